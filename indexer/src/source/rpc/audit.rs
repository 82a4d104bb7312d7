//! What became of blocks that were not final yet when they were read, by what a node says at finalized.
//!
//! Blocks say by their parents what is on the final chain, and what it passes by. That settles it either way. The statuses of
//! transactions can only hold it up: they come from elsewhere in the node, and have to agree.

use super::{
    super::{BlockRef, Mined, SourceError, Verdict},
    answer::{Header, Status},
    node::Node,
};
use solana_signature::Signature;

/// How many transactions the node takes in one question.
const AT_ONCE: usize = 256;

/// As [`BlockSource::audit`](super::BlockSource::audit).
pub async fn audit(node: &Node, block: &BlockRef, transactions: &[Mined]) -> Result<Verdict, SourceError> {
    let verdict = of_block(node, block).await?;
    if verdict != Verdict::Final {
        return Ok(verdict);
    }
    for some in transactions.chunks(AT_ONCE) {
        let signatures: Vec<Signature> = some.iter().map(|mined| mined.signature).collect();
        for (mined, status) in some.iter().zip(node.statuses(&signatures).await?) {
            if let Some(differs) = difference(mined, status.as_ref()) {
                // Another node behind the same address may be behind. It is asked again.
                let Mined { signature, slot } = mined;
                let why = format!(
                    "block {block} is final, but transaction {signature}, which was read in slot {slot}, {differs}"
                );
                return Err(node.unavailable("getSignatureStatuses", why));
            }
        }
    }
    Ok(Verdict::Final)
}

async fn of_block(node: &Node, block: &BlockRef) -> Result<Verdict, SourceError> {
    let vanished = |there: String| Ok(Verdict::Vanished { why: there });
    let silent = match node.final_header(block.slot).await {
        Ok(header) if header.blockhash == block.hash.to_string() => return Ok(Verdict::Final),
        Ok(header) => return vanished(format!("the final block of slot {} is {}", block.slot, header.blockhash)),
        Err(error) if error.is_temporary() => error,
        Err(error) => return Err(error),
    };
    // An error does not say that the slot is empty. The next final block does.
    let Some(mut slot) = node.first_final(block.slot.saturating_add(1)).await? else { return Err(silent) };
    let mut header = node.final_header(slot).await?;
    // A list with a hole: go back by the parents.
    while header.parent_slot > block.slot && header.parent_slot < slot {
        slot = header.parent_slot;
        header = node.final_header(slot).await?;
    }
    let Header { previous_blockhash, parent_slot, .. } = header;
    if parent_slot == block.slot && previous_blockhash == block.hash.to_string() {
        return Ok(Verdict::Final);
    }
    if parent_slot > block.slot {
        let why = format!("the final block of slot {slot} says that it builds on slot {parent_slot}");
        return Err(node.unavailable("getBlock", why));
    }
    vanished(format!("the final block of slot {slot} builds on {parent_slot} ({previous_blockhash})"))
}

/// How a transaction's status is not that of one that succeeded where it was read, and is final.
fn difference(mined: &Mined, status: Option<&Status>) -> Option<String> {
    let Some(status) = status else { return Some("is not known".to_owned()) };
    let sure = status.confirmation_status.as_deref().unwrap_or("processed");
    if status.slot != mined.slot {
        Some(format!("is {sure} in slot {}", status.slot))
    } else if status.failed {
        Some(format!("is {sure} there and failed"))
    } else if sure != "finalized" {
        Some(format!("is {sure} only"))
    } else {
        None
    }
}
