//! Where the system keeps Postgres' server programs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::LocalPostgresError;

/// Debian keeps a folder for each version here, none of them on PATH.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The folder that holds `initdb` and `postgres` of one version.
#[derive(Debug)]
pub(super) struct Programs(PathBuf);

impl Programs {
    /// The programs for the cluster in `data`: those of the version that made it, or the first found for a new one.
    pub fn find(data: &Path) -> Result<Self, LocalPostgresError> {
        let made_by = fs::read_to_string(data.join("PG_VERSION")).ok().map(|version| version.trim().to_owned());
        Self::candidates()
            .into_iter()
            .filter(|dir| dir.join("initdb").is_file() && dir.join("postgres").is_file())
            // A link on PATH leads to the folder whose name tells the version.
            .map(|dir| {
                fs::canonicalize(dir.join("postgres")).ok().and_then(|p| Some(p.parent()?.to_owned())).unwrap_or(dir)
            })
            .find(|dir| made_by.as_deref().is_none_or(|version| is_of_version(dir, version)))
            .map(Self)
            .ok_or_else(|| LocalPostgresError::NoPrograms { wanted: made_by.unwrap_or_else(|| "server".into()) })
    }

    pub fn initdb(&self) -> PathBuf {
        self.0.join("initdb")
    }

    pub fn postgres(&self) -> PathBuf {
        self.0.join("postgres")
    }

    fn candidates() -> Vec<PathBuf> {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut debian: Vec<(u32, PathBuf)> = fs::read_dir(DEBIAN)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .collect();
        debian.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        env::split_paths(&path).chain(debian.into_iter().map(|(_, dir)| dir)).collect()
    }
}

/// Whether the programs in `dir` are of this major version, by what they print: "postgres (PostgreSQL) 15.18 (Debian …)".
fn is_of_version(dir: &Path, version: &str) -> bool {
    let Ok(printed) = std::process::Command::new(dir.join("postgres")).arg("--version").output() else {
        return false;
    };
    let printed = String::from_utf8_lossy(&printed.stdout);
    printed.split_whitespace().nth(2).is_some_and(|full| full.split('.').next() == Some(version))
}
