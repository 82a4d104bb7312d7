//! Back-tests that are running, waiting, or done, of this process: another one knows nothing of them, and neither does this one
//! once it was started anew.

use crate::problem::{Kind, Problem};
use rebate_backtest::{BacktestError, Progress, Report, Request};
use sqlx::PgPool;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How many may run or wait at a time; one runs.
pub const UNFINISHED: usize = 5;

/// How many that are done are kept, the last ones.
pub const KEPT: usize = 32;

/// For how long they are kept.
pub const KEPT_FOR: Duration = Duration::from_secs(3_600);

/// How one is.
#[derive(Clone, Debug)]
pub enum Stage {
    /// Others run before it.
    Waiting,
    /// It runs.
    Running,
    /// It came to something.
    Done(Arc<Report>),
    /// It came to nothing, and why.
    Failed(String),
    /// Somebody asked to stop it.
    Cancelled,
}

/// One of them, as it is now.
#[derive(Clone, Debug)]
pub struct Shown {
    /// How it is.
    pub stage: Stage,
    /// How far it is.
    pub progress: Arc<Progress>,
    /// How many are before it.
    pub before: usize,
}

struct Job {
    /// In which order they came.
    number: u64,
    stage: Stage,
    progress: Arc<Progress>,
    cancel: CancellationToken,
    ended: Option<Instant>,
}

#[derive(Default)]
struct Jobs {
    next: u64,
    by_id: HashMap<Uuid, Job>,
}

/// All of them.
#[derive(Clone)]
pub struct Backtests {
    jobs: Arc<Mutex<Jobs>>,
    turn: Arc<Semaphore>,
}

impl Default for Backtests {
    fn default() -> Self {
        Self { jobs: Arc::default(), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Backtests {
    /// Lets one run when it is its turn, and says what it is known by.
    ///
    /// # Errors
    /// A problem where as many wait as may.
    pub fn begin(&self, pool: PgPool, request: Request) -> Result<Uuid, Problem> {
        let (id, progress, cancel) = (Uuid::new_v4(), Arc::new(Progress::default()), CancellationToken::new());
        {
            let mut jobs = self.lock();
            let unfinished = jobs.by_id.values().filter(|job| job.ended.is_none()).count();
            if unfinished >= UNFINISHED {
                return Err(Problem::new(
                    Kind::Overloaded,
                    format!("{unfinished} back-tests run or wait already; try again when one is done, or cancel one"),
                ));
            }
            let number = jobs.next;
            jobs.next = number.saturating_add(1);
            let (progress, cancel) = (Arc::clone(&progress), cancel.clone());
            jobs.by_id.insert(id, Job { number, stage: Stage::Waiting, progress, cancel, ended: None });
        }
        let this = self.clone();
        tokio::spawn(async move {
            let turn = tokio::select! {
                turn = Arc::clone(&this.turn).acquire_owned() => turn,
                () = cancel.cancelled() => return this.end(id, Err(BacktestError::Cancelled)),
            };
            this.set(id, Stage::Running);
            let result = rebate_backtest::run(&pool, request, progress, &cancel).await;
            drop(turn);
            this.end(id, result);
        });
        Ok(id)
    }

    /// How one is; `None` if it is not known, or not any more.
    pub fn show(&self, id: Uuid) -> Option<Shown> {
        let jobs = self.lock();
        let job = jobs.by_id.get(&id)?;
        let before = jobs.by_id.values().filter(|other| other.ended.is_none() && other.number < job.number).count();
        Some(Shown { stage: job.stage.clone(), progress: Arc::clone(&job.progress), before })
    }

    /// Stops one, or forgets it if it is done. Says whether it was known.
    pub fn cancel(&self, id: Uuid) -> bool {
        let mut jobs = self.lock();
        match jobs.by_id.get(&id) {
            None => false,
            Some(job) if job.ended.is_some() => jobs.by_id.remove(&id).is_some(),
            Some(job) => {
                job.cancel.cancel();
                true
            }
        }
    }

    fn set(&self, id: Uuid, stage: Stage) {
        if let Some(job) = self.lock().by_id.get_mut(&id) {
            job.stage = stage;
        }
    }

    fn end(&self, id: Uuid, result: Result<Report, BacktestError>) {
        let stage = match result {
            Ok(report) => Stage::Done(Arc::new(report)),
            Err(BacktestError::Cancelled) => Stage::Cancelled,
            Err(BacktestError::Database(error)) => {
                tracing::error!(%error, %id, "a back-test ended without the database");
                Stage::Failed("the database behind this server did not answer; try again in a moment".to_owned())
            }
            Err(error) => Stage::Failed(error.to_string()),
        };
        let mut jobs = self.lock();
        if let Some(job) = jobs.by_id.get_mut(&id) {
            (job.stage, job.ended) = (stage, Some(Instant::now()));
        }
    }

    /// What was done long ago is forgotten first, and all but the last ones.
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.by_id.retain(|_, job| job.ended.is_none_or(|ended| ended.elapsed() < KEPT_FOR));
        while jobs.by_id.values().filter(|job| job.ended.is_some()).count() > KEPT {
            let ended = jobs.by_id.iter().filter_map(|(id, job)| Some((job.ended?, *id)));
            let Some((_, oldest)) = ended.min() else { break };
            jobs.by_id.remove(&oldest);
        }
        jobs
    }
}
