//! What the build in `sbf/` lowers by its own pass computes on the chain what it computes here.

use litesvm::LiteSVM;
use rebate_tests::artifacts;
use solana_keypair::Keypair;
use solana_message::Message;
use solana_program::instruction::Instruction;
use solana_program::pubkey::Pubkey;
use solana_signer::Signer;
use solana_transaction::Transaction;

/// As many as fit into one transaction's compute units for the dearest part.
const ROUNDS: u64 = 200;

/// The most units a transaction may ask for.
const UNITS: u32 = 1_400_000;

#[test]
fn the_lowering_pass_computes_on_chain_what_the_host_computes() {
    let mut chain = LiteSVM::new();
    let payer = Keypair::new();
    chain.airdrop(&payer.pubkey(), 1_000_000_000_000).unwrap();
    let program = Pubkey::new_unique();
    chain.add_program_from_file(program, artifacts::selftest()).unwrap();

    for seed in [1, 42, 0xdead_beef, u64::MAX] {
        for part in 0..sbf_selftest::PARTS {
            let data: Vec<u8> = [seed, ROUNDS, part].iter().flat_map(|word| word.to_le_bytes()).collect();
            let instructions = [
                solana_compute_budget_interface::ComputeBudgetInstruction::set_compute_unit_limit(UNITS),
                Instruction::new_with_bytes(program, &data, vec![]),
            ];
            let message = Message::new(&instructions, Some(&payer.pubkey()));
            let transaction = Transaction::new(&[&payer], message, chain.latest_blockhash());
            let sent = chain
                .send_transaction(transaction)
                .unwrap_or_else(|failed| panic!("part {part} with seed {seed} fails on the chain: {:?}", failed.err));
            // Zero bytes at the end are not returned.
            let mut returned = sent.return_data.data;
            returned.resize(8, 0);
            let on_chain = u64::from_le_bytes(returned.try_into().unwrap());
            assert_eq!(on_chain, sbf_selftest::digest(seed, ROUNDS, part), "part {part} with seed {seed}");
        }
    }
}

#[test]
fn every_part_of_the_self_test_depends_on_its_seed() {
    // Else equal digests would prove nothing.
    for part in 0..sbf_selftest::PARTS {
        assert_ne!(sbf_selftest::digest(1, ROUNDS, part), sbf_selftest::digest(42, ROUNDS, part), "part {part}");
        assert_ne!(sbf_selftest::digest(1, ROUNDS, part), sbf_selftest::digest(1, ROUNDS - 1, part), "part {part}");
    }
}
