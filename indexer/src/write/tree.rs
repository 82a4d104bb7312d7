//! The journals' trees, as far as proofs need more than the events.

use super::WriteError;
use rebate_client::merkle::Subtree;
use rebate_core::journal::Hash;
use sqlx::PgConnection;

/// A node that an event completed: its platform, its place in the tree and its hash.
pub(super) type Node = ([u8; 32], Subtree, Hash);

/// Adds nodes, each of which is new where its last event is.
pub(super) async fn add(connection: &mut PgConnection, nodes: &[Node]) -> Result<(), WriteError> {
    if nodes.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO tree_nodes (platform, height, position, hash)
         SELECT * FROM UNNEST($1::bytea[], $2::smallint[], $3::bigint[], $4::bytea[])",
        &nodes.iter().map(|(platform, ..)| *platform).collect::<Vec<_>>() as &[[u8; 32]],
        &nodes.iter().map(|(_, subtree, _)| i16::from(subtree.height)).collect::<Vec<_>>(),
        // Below 2^40, as every journal index.
        &nodes.iter().map(|(_, subtree, _)| subtree.position as i64).collect::<Vec<_>>(),
        &nodes.iter().map(|(.., hash)| *hash).collect::<Vec<_>>() as &[[u8; 32]],
    )
    .execute(connection)
    .await?;
    Ok(())
}
