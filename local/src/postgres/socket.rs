//! The folder of the Unix socket: the cluster's own where its path is short enough, else a private one elsewhere.

use std::env;
use std::fs::{self, DirBuilder};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use url::Url;

use super::LocalPostgresError;

/// What the port is for on a Unix socket: a part of its name.
const NAME: &str = ".s.PGSQL.5432";
/// `sun_path` has 108 bytes on Linux, 104 on macOS and the BSDs, one of them for the end.
const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Where the socket lies.
#[derive(Debug)]
pub(super) enum SocketFolder {
    /// In the cluster's folder.
    Home(PathBuf),
    /// In one outside, which goes when the server stops.
    Elsewhere(PathBuf),
}

impl SocketFolder {
    pub fn dir(&self) -> &Path {
        match self {
            Self::Home(dir) | Self::Elsewhere(dir) => dir,
        }
    }

    pub fn file(&self) -> PathBuf {
        socket(self.dir())
    }

    pub fn make(&self, owner: (u32, u32)) -> Result<(), LocalPostgresError> {
        match self {
            Self::Home(_) => Ok(()),
            Self::Elsewhere(dir) => make_private(dir, owner),
        }
    }

    pub fn remove(&self) {
        if let Self::Elsewhere(dir) = self {
            // The next start makes it again; one that cannot be removed is found there and used.
            let _left = fs::remove_dir_all(dir);
        }
    }
}

/// A folder for the socket of the cluster in `home`.
pub(super) fn folder(home: &Path) -> Result<SocketFolder, LocalPostgresError> {
    if fits(home) {
        return Ok(SocketFolder::Home(home.to_owned()));
    }
    let temporary = [env::temp_dir(), PathBuf::from("/tmp")].map(|base| private_name(&base, home));
    if let Some(dir) = temporary.iter().find(|dir| fits(dir)) {
        return Ok(SocketFolder::Elsewhere(dir.clone()));
    }
    let [temporary, _] = temporary;
    Err(LocalPostgresError::PathTooLong { dir: home.to_owned(), temporary })
}

fn fits(dir: &Path) -> bool {
    socket(dir).as_os_str().len() <= LONGEST
}

fn socket(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// The URL of the database `postgres` behind the socket. The path stands where the host would, the port is written out
/// because drivers would otherwise take it from `PGPORT`.
pub(super) fn address(dir: &Path) -> Result<Url, LocalPostgresError> {
    let host: String = dir.as_os_str().as_encoded_bytes().iter().map(|byte| format!("%{byte:02X}")).collect();
    Url::parse(&format!("postgres://postgres@{host}:5432/postgres")).map_err(|error| LocalPostgresError::BadUrl {
        reason: format!("{error} in the socket's path {}", dir.display()),
    })
}

/// A name in `base` that only the cluster in `home` has.
pub(super) fn private_name(base: &Path, home: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    home.hash(&mut hasher);
    base.join(format!("rebate-postgres-{:016x}", hasher.finish()))
}

/// Makes a folder of mode 0700 in a place where others may write too, or makes sure that the one there is ours.
pub(super) fn make_private(dir: &Path, (uid, gid): (u32, u32)) -> Result<(), LocalPostgresError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => {
            std::os::unix::fs::chown(dir, Some(uid), Some(gid)).map_err(LocalPostgresError::file("hand over", dir))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(dir).map_err(LocalPostgresError::file("look at", dir))?;
            if found.is_dir() && found.uid() == uid && found.mode() & 0o077 == 0 {
                Ok(())
            } else {
                Err(LocalPostgresError::Unsafe { dir: dir.to_owned() })
            }
        }
        Err(error) => Err(LocalPostgresError::file("make", dir)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_spaces_and_umlauts_survives_the_url() {
        let url = address(Path::new("/tmp/ä b/50%")).unwrap();
        let options: sqlx::postgres::PgConnectOptions = url.as_str().parse().unwrap();
        assert_eq!(options.get_socket().unwrap(), &PathBuf::from("/tmp/ä b/50%"));
        assert_eq!(options.get_port(), 5432);
    }

    #[test]
    fn a_folder_of_somebody_elses_making_is_not_used_for_a_socket() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("rebate-postgres");
        let me = rustix::process::geteuid().as_raw();
        let group = rustix::process::getegid().as_raw();
        fs::create_dir(&dir).unwrap();
        fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        assert!(matches!(make_private(&dir, (me, group)), Err(LocalPostgresError::Unsafe { .. })));
        fs::remove_dir(&dir).unwrap();
        make_private(&dir, (me, group)).unwrap();
        make_private(&dir, (me, group)).unwrap();
    }
}
