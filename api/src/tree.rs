//! A platform's journal as a tree, of which a proof reads only what it needs: a few hundred rows, however long the journal
//! is. See [`rebate_client::merkle`].

use crate::{
    problem::Problem,
    snapshot::Snapshot,
    value::{Address, Hash},
};
use rebate_client::merkle::{self, Kept, Run, Subtree};
use rebate_core::{
    journal::{self, Climb, MAX_PEAKS},
    units::JournalIndex,
};
use serde::Serialize;
use utoipa::ToSchema;

/// A tree head.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct TreeHead {
    /// How many events it is over.
    #[schema(minimum = 0, example = 42)]
    pub leaf_count: u64,
    /// The head (RFC 6962 `MTH`).
    pub head: Hash,
}

/// The root of one of the complete trees that a journal consists of.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Peak {
    /// How high it stands: it is over 2^height events, and at this place in the account.
    #[schema(minimum = 0, maximum = 39, example = 3)]
    pub height: u8,
    /// The root.
    pub hash: Hash,
}

/// A journal as of a snapshot, as far as it was read.
pub(crate) struct Tree {
    platform: Address,
    count: u64,
    peaks: [journal::Hash; MAX_PEAKS],
    read: Kept,
}

impl Tree {
    /// The journal of a platform that is on record.
    ///
    /// # Errors
    /// Where the database does not answer, or is damaged.
    pub(crate) async fn of(snapshot: &mut Snapshot, platform: Address) -> Result<Self, Problem> {
        let row = sqlx::query!("SELECT leaf_count, peaks FROM journals WHERE platform = $1", &platform.0)
            .fetch_optional(snapshot.connection())
            .await?
            .ok_or_else(|| damaged(platform, "it has no row in journals"))?;
        let count = u64::try_from(row.leaf_count).map_err(|error| damaged(platform, error))?;
        let mut peaks = [[0; 32]; MAX_PEAKS];
        for (peak, stored) in peaks.iter_mut().zip(row.peaks) {
            *peak = stored.as_slice().try_into().map_err(|error| damaged(platform, error))?;
        }
        Ok(Self { platform, count, peaks, read: Kept::of_peaks(count, &peaks) })
    }

    /// How many events there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The head over all of them.
    pub(crate) fn head(&self) -> TreeHead {
        TreeHead { leaf_count: self.count, head: Hash(journal::root(self.count, &self.peaks)) }
    }

    /// The peaks, from the lowest, which is over the last events.
    pub(crate) fn peaks(&self) -> Vec<Peak> {
        (0u8..)
            .zip(&self.peaks)
            .filter(|(height, _)| self.count >> height & 1 == 1)
            .map(|(height, peak)| Peak { height, hash: Hash(*peak) })
            .collect()
    }

    /// The heads of these runs.
    ///
    /// # Errors
    /// Where the database does not answer, or is damaged.
    pub(crate) async fn heads(&mut self, snapshot: &mut Snapshot, runs: &[Run]) -> Result<Vec<Hash>, Problem> {
        self.read(snapshot, runs).await?;
        let heads = runs.iter().map(|run| self.read.head(*run).map(Hash));
        heads.collect::<Option<_>>().ok_or_else(|| damaged(self.platform, "it lacks events, or nodes above them"))
    }

    async fn read(&mut self, snapshot: &mut Snapshot, runs: &[Run]) -> Result<(), Problem> {
        let (mut events, mut heights, mut positions) = (Vec::new(), Vec::new(), Vec::new());
        for (height, missing) in self.read.missing(runs) {
            // Below 2^40, as every journal index.
            let missing = missing.map(|position| position as i64);
            if height == 0 {
                events.extend(missing);
            } else {
                positions.extend(missing);
                heights.resize(positions.len(), i16::from(height));
            }
        }
        let place = |height: i16, position: i64| -> Result<Subtree, Problem> {
            let height = u8::try_from(height).map_err(|error| damaged(self.platform, error))?;
            let position = u64::try_from(position).map_err(|error| damaged(self.platform, error))?;
            Ok(Subtree { height, position })
        };
        // Named one by one: of ranges, Postgres cannot tell how few rows they are, and may read all there are.
        if !events.is_empty() {
            let rows = sqlx::query!(
                "SELECT journal_index, bytes FROM events WHERE platform = $1 AND journal_index = ANY($2)
                     AND month BETWEEN month_of($1, $3) AND month_of($1, $4)",
                &self.platform.0,
                &events,
                events.iter().copied().min().unwrap_or_default(),
                events.iter().copied().max().unwrap_or_default(),
            )
            .fetch_all(snapshot.connection())
            .await?;
            for row in rows {
                self.read.insert(place(0, row.journal_index)?, journal::leaf(&row.bytes));
            }
        }
        if !heights.is_empty() {
            let rows = sqlx::query!(
                r#"SELECT height, position, hash AS "hash: Hash" FROM tree_nodes
                   JOIN UNNEST($2::smallint[], $3::bigint[]) AS missing (height, position) USING (height, position)
                   WHERE platform = $1"#,
                &self.platform.0,
                &heights,
                &positions
            )
            .fetch_all(snapshot.connection())
            .await?;
            for row in rows {
                self.read.insert(place(row.height, row.position)?, row.hash.0);
            }
        }
        Ok(())
    }

    /// Checks that the path leads from these bytes to the journal's peak above them, as whoever gets it will.
    ///
    /// # Errors
    /// Where it does not: some of the rows it was made of are not what was written.
    pub(crate) fn require(&self, index: JournalIndex, event: &[u8], path: &[Hash]) -> Result<(), Problem> {
        let mut climb = Climb::new(index, journal::leaf(event));
        let mut nodes = path.iter();
        while !climb.is_at_peak(self.count, &self.peaks) {
            let node = nodes.next().ok_or_else(|| damaged(self.platform, "a path leads to no peak"))?;
            climb.step(&node.0).map_err(|_| damaged(self.platform, "a path leads above all peaks"))?;
        }
        Ok(())
    }

    /// Checks that the proof leads from the one head to the other, and `rest` from there to the journal's own.
    ///
    /// # Errors
    /// Where it does not: some of the rows it was made of are not what was written.
    pub(crate) fn require_consistent(
        &self,
        from: &TreeHead,
        to: &TreeHead,
        proof: &[Hash],
        rest: &[Hash],
    ) -> Result<(), Problem> {
        let leads = |from: &TreeHead, to: &TreeHead, proof: &[Hash]| {
            let proof: Vec<_> = proof.iter().map(|node| node.0).collect();
            merkle::is_consistent((from.leaf_count, from.head.0), (to.leaf_count, to.head.0), &proof)
        };
        if leads(from, to, proof) && leads(to, &self.head(), rest) {
            return Ok(());
        }
        Err(damaged(self.platform, "a consistency proof does not lead to its head"))
    }
}

fn damaged(platform: Address, what: impl std::fmt::Display) -> Problem {
    Problem::internal(&format_args!("the journal of platform {platform}: {what}"))
}
