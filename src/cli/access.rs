//! Whether this user may read what a command needs, and as whom the command works, if not.
//!
//! INVARIANT: looking opens nothing: closing a database's file would free the locks that SQLite has on it. What is absent is no
//! matter of access.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;

use crate::app::local_admin::{user_name, user_of_group};
use crate::config::Config;
use crate::log::dialect::Room;

/// A file or directory that this user may not use.
#[derive(Debug, thiserror::Error)]
#[error("Permission denied: {} belongs to the user {owner}", path.display())]
pub struct Denied {
    path: PathBuf,
    /// Whose it is; the number of a user without a name.
    owner: String,
    /// Who can use it: its owner, or the service user whose group root has given it to.
    user: String,
    is_ours: bool,
}

impl Denied {
    /// The command to type instead.
    pub fn hint(&self) -> String {
        if self.is_ours {
            return format!("it is yours: chmod u+rwX {}", quoted(&self.path.display().to_string()));
        }
        let typed: Vec<String> = std::env::args().map(|word| quoted(&word)).collect();
        let whom = if self.user == "root" { String::new() } else { format!("-u {} ", self.user) };
        format!("run it as the service user: sudo {whom}{}", typed.join(" "))
    }
}

/// Refuses a file that this user may not read.
pub fn check(path: &Path) -> Result<(), Denied> {
    check_for(path, Access::READ_OK)
}

/// Refuses data that this user may not use: the files of its rooms, and the key file. Root may use them, and is refused where
/// they belong to a service user, who could not open what root makes there.
pub fn check_data(config: &Config) -> Result<(), Denied> {
    check_to_stop(config)?;
    check_owner(&config.data_dir)?;
    if config.database_url.is_some() || config.vault_database_url.is_some() {
        return Ok(());
    }
    check_for(&file_of(config, Room::Vault), Access::READ_OK | Access::WRITE_OK)
}

/// The same of what it takes to stop something: the log and the key file.
pub fn check_to_stop(config: &Config) -> Result<(), Denied> {
    if config.database_url.is_none() {
        check_for(&file_of(config, Room::Log), Access::READ_OK | Access::WRITE_OK)?;
    }
    check(&config.key_file())
}

fn check_owner(dir: &Path) -> Result<(), Denied> {
    let is_anothers = |about: std::fs::Metadata| rustix::process::geteuid().is_root() && about.uid() != 0;
    if std::fs::metadata(dir).is_ok_and(is_anothers) { Err(denied(dir)) } else { Ok(()) }
}

fn file_of(config: &Config, room: Room) -> PathBuf {
    config.data_dir.join(format!("{}.db", room.name()))
}

fn check_for(path: &Path, wanted: Access) -> Result<(), Denied> {
    match access(path.as_os_str().as_bytes(), wanted) {
        Err(Errno::ACCESS) => Err(denied(path)),
        _ => Ok(()),
    }
}

/// Names what is closed to this user: the file itself, or the directory above it that cannot be entered.
fn denied(path: &Path) -> Denied {
    let closed = path.ancestors().find_map(|path| Some((path, std::fs::metadata(path).ok()?)));
    let Some((closed, about)) = closed else {
        return Denied { path: path.to_owned(), owner: "unknown".into(), user: "root".into(), is_ours: false };
    };
    let owner = user_name(about.uid()).unwrap_or_else(|| about.uid().to_string());
    let of_service = (about.uid() == 0).then(|| user_of_group(about.gid())).flatten();
    let user = of_service.unwrap_or_else(|| if about.uid() == 0 { "root".into() } else { owner.clone() });
    let is_ours = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == about.uid());
    Denied { path: closed.to_owned(), owner, user, is_ours }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&byte));
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}
