//! As whom Postgres runs. It refuses to be root, so root starts it in a user namespace, where it has another number but
//! may still enter root's folders, or, where namespaces are forbidden, as another user.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::LocalPostgresError;
use super::socket::{make_private, private_name};

/// What root does so that Postgres does not run as root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AsRoot {
    /// A user namespace where the machine allows one, else another user.
    #[default]
    Automatic,
    /// Another user: `postgres` if there is one, else `nobody`.
    OtherUser,
}

/// As whom the server's programs run, and who owns their files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Account {
    /// As we are.
    Own,
    /// As we are, but with a number other than 0 in a user namespace.
    Namespace,
    /// As somebody else.
    Other { uid: u32, gid: u32 },
}

impl Account {
    /// For the cluster in `data`. One that is there already runs as its owner.
    pub fn choose(data: &Path, as_root: AsRoot) -> Result<Self, LocalPostgresError> {
        let me = rustix::process::geteuid();
        let owner = fs::metadata(data).ok();
        if !me.is_root() {
            return match owner {
                Some(owner) if owner.uid() != me.as_raw() => {
                    Err(LocalPostgresError::NotOurs { dir: data.to_owned(), owner: owner.uid() })
                }
                _ => Ok(Self::Own),
            };
        }
        if let Some(owner) = owner
            && owner.uid() != 0
        {
            return Ok(Self::Other { uid: owner.uid(), gid: owner.gid() });
        }
        if as_root == AsRoot::Automatic && Self::Namespace.can_run("true", &[]) {
            return Ok(Self::Namespace);
        }
        ["postgres", "nobody"]
            .iter()
            .filter_map(|name| Some(Self::Other { uid: number(name, "-u")?, gid: number(name, "-g")? }))
            .find(|account| account.can_run("true", &[]))
            .ok_or(LocalPostgresError::NoAccount)
    }

    /// A command that runs `program` as this account.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        match self {
            Self::Own => Command::new(program),
            Self::Namespace => {
                // The numbers are not 0, nothing else about them matters: outside, every file is still root's.
                let mut command = Command::new("unshare");
                command.args(["--user", "--map-user=1000", "--map-group=1000"]).arg(program);
                command
            }
            Self::Other { uid, gid } => {
                let mut command = Command::new(program);
                command.uid(*uid).gid(*gid);
                command
            }
        }
    }

    /// The numbers of user and group that own the files.
    pub fn owner(&self) -> (u32, u32) {
        match self {
            Self::Own | Self::Namespace => (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
            Self::Other { uid, gid } => (*uid, *gid),
        }
    }

    /// Makes `dir` a private folder of this account's and returns where it really is: an account that cannot reach it,
    /// because a folder above it is closed to that account, gets one in `/var/tmp`, with a link to it in `dir`'s place.
    pub fn settle(&self, dir: &Path) -> Result<PathBuf, LocalPostgresError> {
        // Another process may be doing the same. The folder above stays, whatever becomes of this one.
        let above = dir.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(above).map_err(LocalPostgresError::file("make", above))?;
        let lock = fs::File::open(above).map_err(LocalPostgresError::file("open", above))?;
        lock.lock().map_err(LocalPostgresError::file("lock", above))?;
        fs::create_dir_all(dir).map_err(LocalPostgresError::file("make", dir))?;
        let home = fs::canonicalize(dir).map_err(LocalPostgresError::file("find", dir))?;
        self.own(&home)?;
        if self.reaches(&home) {
            return Ok(home);
        }
        if home.join("data").exists() {
            return Err(LocalPostgresError::Unreachable { dir: home, user: self.owner().0 });
        }
        let elsewhere = private_name(Path::new("/var/tmp"), &home);
        make_private(&elsewhere, self.owner())?;
        fs::remove_dir_all(&home).map_err(LocalPostgresError::file("remove", &home))?;
        symlink(&elsewhere, &home).map_err(LocalPostgresError::file("make a link at", &home))?;
        Ok(elsewhere)
    }

    /// Makes everything in `dir` this account's, if it is not yet.
    fn own(&self, dir: &Path) -> Result<(), LocalPostgresError> {
        let (uid, gid) = self.owner();
        let found = fs::metadata(dir).map_err(LocalPostgresError::file("look at", dir))?;
        if found.uid() != uid {
            hand_over(dir, uid, gid).map_err(LocalPostgresError::file("hand over", dir))?;
        }
        if found.mode() & 0o777 != 0o700 {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
                .map_err(LocalPostgresError::file("close", dir))?;
        }
        Ok(())
    }

    fn reaches(&self, dir: &Path) -> bool {
        let dir = dir.to_string_lossy();
        self.can_run("test", &["-w", &dir])
    }

    fn can_run(&self, program: &str, arguments: &[&str]) -> bool {
        self.command(program)
            .args(arguments)
            // The account may not be allowed into the folder that we are in.
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

/// Gives a folder and everything in it to another user; links are given, not followed.
fn hand_over(path: &Path, uid: u32, gid: u32) -> std::io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if found.is_dir() {
        for entry in fs::read_dir(path)? {
            hand_over(&entry?.path(), uid, gid)?;
        }
        chown(path, Some(uid), Some(gid))
    } else {
        std::os::unix::fs::lchown(path, Some(uid), Some(gid))
    }
}

/// A user's number, as the program `id` tells it.
fn number(name: &str, which: &str) -> Option<u32> {
    let told = Command::new("id").args([which, name]).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(told.stdout).ok()?.trim().parse().ok()
}
