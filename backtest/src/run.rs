//! A back-test over a database: one reads and decodes, another decides.

use crate::{
    draft::{Draft, check_assets},
    error::BacktestError,
    followed::{Followed, Range},
    progress::Progress,
    report::{Report, moment},
    stored::Stored,
};
use rebate_client::{Pubkey, event::Event};
use sqlx::PgPool;
use std::sync::Arc;
use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

/// How many batches of events may wait to be decided.
const WAITING: usize = 4;

/// What to test.
#[derive(Clone, Debug)]
pub struct Request {
    /// The platform; `None` for the only one there is.
    pub platform: Option<Pubkey>,
    /// The rules.
    pub draft: Draft,
    /// The time.
    pub range: Range,
}

impl Request {
    /// Checks what can be checked without a database.
    ///
    /// # Errors
    /// [`BacktestError::EmptyRange`].
    pub fn check(&self) -> Result<(), BacktestError> {
        let Range { from, to } = self.range;
        if to.0 != 0 && from >= to {
            let said = |at| moment(at).unwrap_or_else(|| "the beginning".to_owned());
            return Err(BacktestError::EmptyRange { from: said(from), to: said(to) });
        }
        Ok(())
    }
}

/// Tests a draft. Memory grows with users and with refunded payments, not with payments. Reads only, so that a replica will
/// do; what a fork takes back while this runs may be counted.
///
/// # Errors
/// [`BacktestError`].
pub async fn run(
    pool: &PgPool,
    request: Request,
    progress: Arc<Progress>,
    cancel: &CancellationToken,
) -> Result<Report, BacktestError> {
    request.check()?;
    let stored = Stored::find(pool, request.platform).await?;
    if let Some(file) = request.draft.file() {
        check_assets(file, &stored.assets)?;
    }
    let refunds = stored.refunds(pool).await?;
    let count = match request.range.to.0 {
        0 => stored.events,
        to => stored.before(to.saturating_add(stored.lateness.into())),
    };
    progress.begin(count);
    let mut followed = Followed::new(request.draft, request.range, refunds).with_lateness(stored.lateness);
    let (sender, mut receiver) = mpsc::channel::<Vec<Event>>(WAITING);
    let told = Arc::clone(&progress);
    let following = spawn_blocking(move || {
        while let Some(events) = receiver.blocking_recv() {
            followed.follow(&events)?;
            told.at(followed.events());
            if followed.is_over() {
                break;
            }
        }
        Ok::<_, BacktestError>(followed)
    });
    let read = stored.read(pool, count, &sender, cancel).await;
    drop(sender);
    let followed = following.await.map_err(|_| BacktestError::Answer("it could not be followed"))?;
    read?;
    let followed = followed?;
    if cancel.is_cancelled() {
        return Err(BacktestError::Cancelled);
    }
    if !followed.is_over() && followed.events() < count {
        return Err(BacktestError::Gap { expected: followed.events(), found: count });
    }
    progress.at(count);
    spawn_blocking(move || followed.report()).await.map_err(|_| BacktestError::Answer("it could not be summed up"))?
}
