//! Opening the three rooms of data, and the key that the vault is wrapped under.
//!
//! INVARIANT: a key-encryption key is made only while the vault is empty. A missing file over a vault that has keys is
//! an operator's mistake, and a new key there would hide it until the old data is needed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::core::caused::with_sources;
use crate::core::time::{Clock, Entropy};
use crate::log::dialect::{Room, migrate, version};
use crate::log::pair::{self, PairError};
use crate::log::private;
use crate::log::reading::Reader;
use crate::log::roles;
use crate::log::session::is_not_there;
use crate::log::sql::{Database, SqlError, open_postgres, open_sqlite};
use crate::log::store::{SqlStore, Store, StoreError};
use crate::log::vault::{Vault, VaultError};
use crate::log::writer::STOPPING;

/// How long whoever stops something waits for the vault.
const PATIENCE: Duration = Duration::from_secs(2);

/// Before whoever stops something asks for the log again.
const AGAIN: Duration = Duration::from_millis(100);

/// A data directory or database that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// The file system refused.
    #[error("{what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A database cannot be opened.
    #[error("opening the {} room", room.name())]
    Open {
        /// Which.
        room: Room,
        /// Why not.
        #[source]
        source: SqlError,
    },
    /// The log room cannot be brought up to date.
    #[error("preparing the log room")]
    Log(#[from] StoreError),
    /// The vault cannot be used with this key.
    #[error("opening the vault with the key-encryption key in {}", path.display())]
    Vault {
        /// Where the key is.
        path: PathBuf,
        /// Why not.
        #[source]
        source: VaultError,
    },
    /// A copy lies beside what another file of that name has left.
    #[error("{} is a copy that was put beside {}-wal, which an earlier file of that name has left and which would be read into it", .0.display(), .0.display())]
    Leftover(PathBuf),
    /// Log and vault do not belong together.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// The vault has keys and the key that opens them is not there.
    #[error("the key-encryption key {} is missing, and the vault holds keys that only it opens; put it back from its copy", .0.display())]
    KeyMissing(PathBuf),
    /// The key file is there and empty, as a write that was cut leaves it.
    #[error("the key-encryption key {} is empty; put it back from its copy, or remove the file if no data was ever kept here", .0.display())]
    KeyEmpty(PathBuf),
    /// The key file holds something else.
    #[error("the key-encryption key {} is not 64 hexadecimal digits", .0.display())]
    KeyUnreadable(PathBuf),
}

impl RoomError {
    /// Whether the log's database may let us in a moment later: it is full, begins, or ends what is asked of it.
    fn may_pass(&self) -> bool {
        match self {
            Self::Open { source, .. } | Self::Log(StoreError::Sql(source)) => source.may_pass() && !is_not_there(source),
            _ => false,
        }
    }

    /// The log's database failed.
    #[must_use]
    pub fn of_log(source: SqlError) -> Self {
        Self::Open { room: Room::Log, source }
    }
}

/// The two rooms that may not be lost, open and up to date. The views are opened by whoever reads them: [`open_views`].
#[derive(Clone)]
pub struct Rooms {
    /// Events and control state.
    pub store: Arc<SqlStore>,
    /// Keys and people.
    pub vault: Arc<Vault>,
}

impl Rooms {
    /// Opens what `config` names, making it if it is not there.
    pub async fn open(config: &Config, entropy: Arc<dyn Entropy>) -> Result<Self, RoomError> {
        make_dir(&config.data_dir)?;
        let store = SqlStore::new(open(config, Room::Log).await?);
        store.migrate().await?;
        let vault = open_vault(config, entropy, pair::is_new(&store).await?).await?;
        if let Err(error) = pair::pair(&store, &vault).await {
            // So that the files can be put back where they belong.
            store.database().close().await;
            vault.database().close().await;
            return Err(error.into());
        }
        Ok(Self { store: Arc::new(store), vault: Arc::new(vault) })
    }

    /// Opens the log of `config`, and its vault if that answers soon: for whoever stops something, which takes no more. Why the
    /// vault is not there, if it is not, is in the answer. Nothing is made that is not there.
    pub async fn open_to_stop(
        config: &Config,
        clock: &dyn Clock,
        entropy: Arc<dyn Entropy>,
    ) -> Result<(Self, Option<String>), RoomError> {
        let store = persistently(clock, async || {
            let store = SqlStore::new(open(config, Room::Log).await?);
            store.migrate().await?;
            Ok(store)
        })
        .await?;
        let opened = tokio::time::timeout(PATIENCE, vault_of(config, Arc::clone(&entropy), &store)).await;
        let (vault, why) = match opened {
            Ok(Ok(vault)) => (vault, None),
            // What would be stopped is not in this log.
            Ok(Err(error @ RoomError::Pair(PairError::LogLost))) => return Err(error),
            Ok(Err(error)) => without_vault(config, with_sources(&error), entropy)?,
            Err(_) => without_vault(config, format!("the vault did not answer within {} s", PATIENCE.as_secs()), entropy)?,
        };
        Ok((Self { store: Arc::new(store), vault: Arc::new(vault) }, why))
    }

    /// Reads the log back.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader { store: self.store.clone(), vault: Arc::clone(&self.vault) }
    }
}

/// The vault that a log was written with.
async fn vault_of(config: &Config, entropy: Arc<dyn Entropy>, store: &SqlStore) -> Result<Vault, RoomError> {
    let file = config.data_dir.join("vault.db");
    if config.database_url.is_none() && config.vault_database_url.is_none() && !file.exists() {
        return Err(PairError::VaultLost.into());
    }
    let database = open(config, Room::Vault).await?;
    let there = version(&*database, Room::Vault).await.map_err(|source| RoomError::Open { room: Room::Vault, source })?;
    database.close().await;
    if there == 0 {
        return Err(PairError::VaultLost.into());
    }
    let vault = open_vault(config, entropy, pair::is_new(store).await?).await?;
    pair::pair(store, &vault).await?;
    Ok(vault)
}

/// What stands for the vault; the key file there has to be, for control state is held against the log with it.
fn without_vault(config: &Config, why: String, entropy: Arc<dyn Entropy>) -> Result<(Vault, Option<String>), RoomError> {
    let path = config.key_file();
    let key = read_key(&path)?.ok_or(RoomError::KeyMissing(path))?;
    Ok((Vault::away(&why, key, entropy), Some(why)))
}

/// Opens the read models' room; its schema is theirs.
pub async fn open_views(config: &Config) -> Result<Box<dyn Database>, RoomError> {
    open(config, Room::Views).await
}

/// Tries again for as long as a stop is tried, while the log's database lets nobody in who comes late.
async fn persistently<T>(clock: &dyn Clock, attempt: impl AsyncFn() -> Result<T, RoomError>) -> Result<T, RoomError> {
    let begun = clock.elapsed();
    loop {
        match attempt().await {
            Err(error) if error.may_pass() && clock.elapsed().saturating_sub(begun) < STOPPING => {
                tracing::debug!(error = with_sources(&error), "the log is opened again");
                tokio::time::sleep(AGAIN).await;
            }
            done => return done,
        }
    }
}

/// The same, for whoever stops something.
pub async fn found_to_stop(config: &Config, clock: &dyn Clock) -> Result<bool, RoomError> {
    persistently(clock, async || found(config).await).await
}

/// Whether the place that `config` names holds a log. Looking makes nothing.
pub async fn found(config: &Config) -> Result<bool, RoomError> {
    if config.database_url.is_none() {
        return Ok(config.data_dir.join("log.db").exists());
    }
    let database = open(config, Room::Log).await?;
    let version = version(&*database, Room::Log).await.map_err(RoomError::of_log)?;
    database.close().await;
    Ok(version > 0)
}

/// Brings every room's schema up to date and, on PostgreSQL, gives `role` what serving needs. Answers the versions.
pub async fn prepare(config: &Config, role: Option<&str>) -> Result<Vec<(Room, i64)>, RoomError> {
    if config.database_url.is_none() {
        make_dir(&config.data_dir)?;
    }
    let mut versions = Vec::new();
    for room in Room::ALL {
        let failed = |source| RoomError::Open { room, source };
        let database = open(config, room).await?;
        migrate(&*database, room).await.map_err(failed)?;
        if let Some(role) = role {
            roles::grant(&*database, room, role).await.map_err(failed)?;
        }
        versions.push((room, version(&*database, room).await.map_err(failed)?));
        database.close().await;
    }
    Ok(versions)
}

async fn open(config: &Config, room: Room) -> Result<Box<dyn Database>, RoomError> {
    let url = config.vault_database_url.as_ref().filter(|_| room == Room::Vault).or(config.database_url.as_ref());
    let opened = if let Some(url) = url {
        open_postgres(SecretString::expose_secret(url), room).await
    } else {
        let file = config.data_dir.join(format!("{}.db", room.name()));
        check_alone(&file)?;
        // Made here, so that nobody else can read it: SQLite gives its journals the mode of the file they belong to.
        private::open(&file, OpenOptions::new().write(true).create(true)).map_err(failed("opening", &file))?;
        open_sqlite(&file, room).await
    };
    opened.map_err(|source| RoomError::Open { room, source })
}

/// Refuses a file that was never opened by us beside a log of writes that another one has left: SQLite would read those into
/// it. Ours are in the mode that makes such a log from the first opening on, and a copy that was made by `vacuum into` is not.
fn check_alone(file: &Path) -> Result<(), RoomError> {
    let mut wal = file.as_os_str().to_owned();
    wal.push("-wal");
    if !std::fs::metadata(&wal).is_ok_and(|wal| wal.len() > 0) {
        return Ok(());
    }
    let Ok(mut opened) = File::open(file) else { return Ok(()) };
    let mut head = [0; 20];
    let is_whole = opened.read_exact(&mut head).is_ok();
    // The versions of the format that it is written and read by: 1 for a journal that is rolled back, 2 for a log of writes.
    if is_whole && head.ends_with(&[1, 1]) { Err(RoomError::Leftover(file.to_owned())) } else { Ok(()) }
}

async fn open_vault(config: &Config, entropy: Arc<dyn Entropy>, log_is_new: bool) -> Result<Vault, RoomError> {
    let failed = |source| RoomError::Open { room: Room::Vault, source };
    let database = open(config, Room::Vault).await?;
    migrate(&*database, Room::Vault).await.map_err(failed)?;
    let keys = database.query("select id from data_key limit 1", Vec::new()).await.map_err(failed)?;
    if keys.is_empty() && !log_is_new {
        database.close().await;
        return Err(PairError::VaultLost.into());
    }
    let path = config.key_file();
    let key = match read_key(&path)? {
        Some(key) => key,
        None if keys.is_empty() => make_key(&path, &*entropy)?,
        None => return Err(RoomError::KeyMissing(path)),
    };
    Vault::open(database, key, entropy).await.map_err(|source| RoomError::Vault { path, source })
}

fn read_key(path: &Path) -> Result<Option<Zeroizing<[u8; 32]>>, RoomError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("opening", path)(error)),
    };
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(failed("reading", path))?;
    let mut key = Zeroizing::new([0; 32]);
    if text.is_empty() {
        return Err(RoomError::KeyEmpty(path.to_owned()));
    }
    hex::decode_to_slice(text.trim(), &mut *key).map_err(|_| RoomError::KeyUnreadable(path.to_owned()))?;
    Ok(Some(key))
}

fn make_key(path: &Path, entropy: &dyn Entropy) -> Result<Zeroizing<[u8; 32]>, RoomError> {
    let mut key = Zeroizing::new([0; 32]);
    entropy.fill(&mut *key);
    let text = Zeroizing::new(hex::encode(*key));
    // Under another name until it is whole and on disk: half a key would be a broken one for ever. Who makes one at the same
    // time finds the name taken.
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = private::create(&draft).map_err(failed("making", path))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed("writing", path))?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft).map_err(failed("making", path))?;
    linked.map_err(failed("making", path))?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("writing", path))?;
    Ok(key)
}

fn make_dir(path: &Path) -> Result<(), RoomError> {
    private::make_dir(path).map_err(failed("making the data directory", path))
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> RoomError + 'a {
    move |source| RoomError::File { what, path: path.to_owned(), source }
}
