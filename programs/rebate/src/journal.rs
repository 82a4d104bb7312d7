//! Emitting an event: its bytes become a leaf of the journal and the data of a self-CPI, so that no relayer can push
//! it out of a log.

use crate::{error::RebateError, log, state::Journal};
use alloc::vec::Vec;
use anchor_lang::{BorshConfig, event::EVENT_IX_TAG_LE, pinocchio, prelude::*, wincode};
use pinocchio::{
    cpi::{CpiAccount, Seed, Signer as CpiSigner},
    instruction::{InstructionAccount, InstructionView},
};
use rebate_core::{journal, units::JournalIndex};

/// The seed of the address that signs the self-CPI.
const EVENT_AUTHORITY: &[u8] = b"__event_authority";

/// Emits events of one instruction into one journal. Reuses one buffer: the program's heap is never freed.
pub struct Emitter<'a> {
    authority: AccountView,
    bump: u8,
    program: &'a Address,
    buffer: Vec<u8>,
}

impl<'a> Emitter<'a> {
    /// `authority` is the account the framework checked to be the event authority, and `bump` its bump.
    pub fn new(authority: &UncheckedAccount, bump: u8, program: &'a Address) -> Self {
        Self { authority: *authority.account(), bump, program, buffer: Vec::with_capacity(512) }
    }

    /// Emits the event that `event` makes for the index it gets.
    ///
    /// # Errors
    /// [`RebateError::JournalFull`].
    pub fn emit<E>(&mut self, journal: &mut Journal, event: impl FnOnce(JournalIndex) -> E) -> Result<()>
    where
        E: Discriminator + wincode::SchemaWrite<BorshConfig, Src = E>,
    {
        let event = event(JournalIndex(journal.count));
        self.emit_with::<E>(journal, |buffer| {
            wincode::config::serialize_into(buffer, &event, anchor_lang::BORSH_CONFIG)
                .map_err(|_| ProgramError::InvalidInstructionData)
        })
    }

    /// Emits an `E` whose fields `write` appends to the buffer, byte for byte as `E` would be serialised.
    ///
    /// # Errors
    /// What `write` fails with, and [`RebateError::JournalFull`].
    pub fn emit_with<E: Discriminator>(
        &mut self,
        journal: &mut Journal,
        write: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        self.buffer.clear();
        self.buffer.extend_from_slice(EVENT_IX_TAG_LE);
        self.buffer.extend_from_slice(E::DISCRIMINATOR);
        write(&mut self.buffer)?;
        log::mark();
        let canonical = self.buffer.get(EVENT_IX_TAG_LE.len()..).unwrap_or_default();
        journal::append(&mut journal.count, &mut journal.peaks, journal::leaf(canonical))
            .map_err(|_| RebateError::JournalFull)?;
        log::mark();
        self.invoke();
        Ok(())
    }

    fn invoke(&self) {
        let accounts = [InstructionAccount::readonly_signer(self.authority.address())];
        let instruction = InstructionView { program_id: self.program, accounts: &accounts, data: &self.buffer };
        let bump = [self.bump];
        let seeds = [Seed::from(EVENT_AUTHORITY), Seed::from(&bump)];
        // SAFETY: the one account passed is the event authority, which holds no data and which nothing here borrows.
        unsafe {
            pinocchio::cpi::invoke_signed_unchecked(
                &instruction,
                &[CpiAccount::from(&self.authority)],
                &[CpiSigner::from(&seeds)],
            );
        }
    }
}
