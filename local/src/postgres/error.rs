//! What can keep a private Postgres from running, and what to do about it.

use std::path::PathBuf;

/// Why there is no private Postgres. Each message ends with what to do.
#[derive(Debug, thiserror::Error)]
pub enum LocalPostgresError {
    /// The machine has no Postgres server, or none of the version that made the cluster.
    #[error(
        "found no Postgres {wanted} (initdb and postgres) on PATH or in /usr/lib/postgresql; run setup/postgres, or set \
         DATABASE_URL to a Postgres of yours"
    )]
    NoPrograms {
        /// "server", or the version that the cluster in the folder needs.
        wanted: String,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {doing} {}: {source}; is the disk full, or the folder another user's?", path.display())]
    File {
        /// A verb.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A program could not be started at all.
    #[error("cannot run {program}: {source}; install it or put it on PATH")]
    Program {
        /// What was to be run.
        program: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// `initdb` failed.
    #[error("initdb could not make a cluster in {}: {said}\nmend that and try again; nothing was left behind", dir.display())]
    Initdb {
        /// The cluster's folder.
        dir: PathBuf,
        /// The last lines that it printed.
        said: String,
    },
    /// The server ended instead of starting.
    #[error(
        "Postgres did not start in {}: {said}\nmend that and try again; {} has the whole log; if the cluster may go, remove {}",
        dir.display(), log.display(), dir.display()
    )]
    DidNotStart {
        /// The cluster's folder.
        dir: PathBuf,
        /// The server's log.
        log: PathBuf,
        /// The last lines of the log.
        said: String,
    },
    /// The server neither started nor ended in time.
    #[error(
        "Postgres in {} was not ready after {seconds} s; look into {}, end the process that postmaster.pid names there, \
         and try again", dir.display(), log.display()
    )]
    Slow {
        /// The cluster's folder.
        dir: PathBuf,
        /// The server's log.
        log: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// The server did not stop when told to.
    #[error("Postgres (process {pid}) in {} did not stop within {seconds} s; end it with: kill -QUIT {pid}", dir.display())]
    DidNotStop {
        /// The cluster's folder.
        dir: PathBuf,
        /// The server's process.
        pid: i32,
        /// How long was waited.
        seconds: u64,
    },
    /// The cluster belongs to somebody else.
    #[error("the cluster in {} belongs to user {owner}; run this as that user, or remove the folder", dir.display())]
    NotOurs {
        /// The cluster's folder.
        dir: PathBuf,
        /// The owner's numeric id.
        owner: u32,
    },
    /// A cluster that root made in a closed folder, and that the other user whom Postgres now runs as cannot get at.
    #[error(
        "the cluster in {} lies in a folder that user {user}, as whom Postgres runs here, may not enter; open the folders \
         above it to others, or remove it",
        dir.display()
    )]
    Unreachable {
        /// The cluster's folder.
        dir: PathBuf,
        /// The numeric id of the user who cannot reach it.
        user: u32,
    },
    /// A folder in a place open to all is not as we would have made it.
    #[error("{} is there already, but is not a private folder (mode 0700) of ours; remove it", dir.display())]
    Unsafe {
        /// The folder.
        dir: PathBuf,
    },
    /// Started by root, on a machine that lets root neither use a user namespace nor become another user.
    #[error(
        "Postgres refuses to run as root, and here root can neither make a user namespace (unshare --user) nor run a \
         program as postgres or nobody; run this as an ordinary user, or set DATABASE_URL to a Postgres of yours"
    )]
    NoAccount,
    /// No folder has a path short enough for a Unix socket.
    #[error("the paths {} and {} are too long for a Unix socket; set TMPDIR to a shorter one", dir.display(), temporary.display())]
    PathTooLong {
        /// The cluster's folder.
        dir: PathBuf,
        /// The folder tried instead.
        temporary: PathBuf,
    },
    /// `DATABASE_URL` is not a Postgres URL.
    #[error(
        "DATABASE_URL is no Postgres URL ({reason}); write it as postgres://USER:PASSWORD@HOST:5432/DATABASE, or unset it"
    )]
    BadUrl {
        /// What is wrong with it. The URL itself may hold a password.
        reason: String,
    },
    /// A statement failed.
    #[error("cannot {doing}: {source}; is the Postgres up, and may its user make databases?")]
    Sql {
        /// What was tried.
        doing: String,
        /// Postgres' reason.
        source: sqlx::Error,
    },
}

impl LocalPostgresError {
    /// For `map_err` on file operations.
    pub(super) fn file(doing: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }
}
