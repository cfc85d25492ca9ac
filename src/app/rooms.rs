//! Opening the three rooms of data, and the key that the vault is wrapped under.
//!
//! INVARIANT: data is made in one place ([`data_files::make`]), all rooms together, and only where nothing of any is left: a file
//! made in the place of one that is away takes what was left of that with it. Likewise a key-encryption key is made only while the
//! vault is empty: a missing file over a vault that has keys is an operator's mistake, and a new key would hide it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::data_files;
use super::key_file::{make_key, read_key};
pub use super::room_error::RoomError;
use crate::config::Config;
use crate::core::error_chain::error_chain;
use crate::core::root::RootKey;
use crate::core::time::{Clock, Entropy};
use crate::log::dialect::{POSTGRES, Room, SQLITE};
use crate::log::file_watch::beside;
use crate::log::loading::is_recorded_with;
use crate::log::migration::{known, migrate, version};
use crate::log::pair::{self, PairError};
use crate::log::postgres::open_postgres;
use crate::log::reading::Reader;
use crate::log::roles;
use crate::log::sql::{Database, SqlError};
use crate::log::sql_store::SqlStore;
use crate::log::sqlite::open_sqlite;
use crate::log::store::Store;
use crate::log::vault::{Vault, VaultError};
use crate::log::writer::STOPPING;
use crate::views::reopening::Reopening;

/// How long whoever stops something waits for the vault.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Before whoever stops something asks for the log again.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The two rooms that may not be lost, open and up to date. The views are opened by whoever reads them: [`open_views`].
#[derive(Clone)]
pub struct Rooms {
    /// Events and control state.
    pub store: Arc<SqlStore>,
    /// Keys and people.
    pub vault: Arc<Vault>,
}

impl Rooms {
    /// Opens what `config` names, making it if nothing of it is there.
    pub async fn make(config: &Config, entropy: Arc<dyn Entropy>) -> Result<Self, RoomError> {
        check_places(config).await?;
        data_files::make(config)?;
        Self::open(config, entropy).await
    }

    /// Opens what `config` names, all of which is there.
    pub async fn open(config: &Config, entropy: Arc<dyn Entropy>) -> Result<Self, RoomError> {
        // Before anything is opened.
        data_files::check(config)?;
        let store = SqlStore::new(open(config, Room::Log).await?);
        store.migrate().await?;
        let vault = open_vault(config, entropy, &store).await?;
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
        let opened = tokio::time::timeout(TIMEOUT, vault_of(config, Arc::clone(&entropy), &store)).await;
        let (vault, why) = match opened {
            Ok(Ok(vault)) => (vault, None),
            // What would be stopped is not in this log.
            Ok(Err(error @ (RoomError::Pair(PairError::LogLost) | RoomError::WrongKey(_)))) => return Err(error),
            Ok(Err(error)) => without_vault(config, error_chain(&error), entropy)?,
            Err(_) => without_vault(config, format!("the vault did not answer within {} s", TIMEOUT.as_secs()), entropy)?,
        };
        Ok((Self { store: Arc::new(store), vault: Arc::new(vault) }, why))
    }

    /// The same for whoever only looks: nothing is brought up to date, and nothing is written. Why there is no vault is answered.
    pub async fn open_to_read(config: &Config, entropy: Arc<dyn Entropy>) -> Result<(Self, Option<RoomError>), RoomError> {
        let store = SqlStore::new(open(config, Room::Log).await?);
        check_version(store.database(), Room::Log).await?;
        let late = RoomError::Open { room: Room::Vault, source: SqlError::TooLong(TIMEOUT) };
        let reading = vault_to_read(config, Arc::clone(&entropy), &store);
        let (vault, why) = match tokio::time::timeout(TIMEOUT, reading).await.unwrap_or(Err(late)) {
            Ok(vault) => (vault, None),
            // What would be looked at is not in this log, or not for this program.
            Err(
                error @ (RoomError::Pair(PairError::LogLost)
                | RoomError::WrongKey(_)
                | RoomError::Old { .. }
                | RoomError::Open { source: SqlError::TooNew { .. }, .. }),
            ) => return Err(error),
            Err(error) => match without_vault(config, error_chain(&error), entropy) {
                Ok((vault, _)) => (vault, Some(error)),
                Err(_) => return Err(error),
            },
        };
        Ok((Self { store: Arc::new(store), vault: Arc::new(vault) }, why))
    }

    /// Reads the log back.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader { store: self.store.clone(), vault: Arc::clone(&self.vault) }
    }
}

/// Refuses places in which a room or the key could not be made, before a log is made that nobody could use.
pub async fn check_places(config: &Config) -> Result<(), RoomError> {
    if config.vault_database_url.is_some() {
        open(config, Room::Vault).await?.close().await;
    }
    data_files::check_key_place(config)
}

/// The vault that a log was written with.
async fn vault_of(config: &Config, entropy: Arc<dyn Entropy>, store: &SqlStore) -> Result<Vault, RoomError> {
    let database = open(config, Room::Vault).await?;
    let there = version(&*database, Room::Vault).await.map_err(|source| RoomError::Open { room: Room::Vault, source })?;
    database.close().await;
    if there == 0 {
        return Err(PairError::VaultLost.into());
    }
    let vault = open_vault(config, entropy, store).await?;
    pair::pair(store, &vault).await?;
    Ok(vault)
}

/// Tells a key that is another log's from a vault whose keys were replaced: to the vault both look alike, and control state is
/// recorded with the log's own key.
async fn unopened(path: PathBuf, source: VaultError, store: &SqlStore) -> RoomError {
    let key = read_key(&path).ok().flatten().filter(|_| matches!(source, VaultError::Sealed));
    let is_ours = match key {
        Some(key) => is_recorded_with(store, RootKey::of(&key)).await.unwrap_or(true),
        None => true,
    };
    if is_ours { RoomError::Vault { path, source } } else { RoomError::WrongKey(path) }
}

/// The same, as it is.
async fn vault_to_read(config: &Config, entropy: Arc<dyn Entropy>, store: &SqlStore) -> Result<Vault, RoomError> {
    let database = open(config, Room::Vault).await?;
    if version(&*database, Room::Vault).await.map_err(|source| RoomError::Open { room: Room::Vault, source })? == 0 {
        return Err(PairError::VaultLost.into());
    }
    check_version(&*database, Room::Vault).await?;
    let path = config.key_file();
    let key = read_key(&path)?.ok_or_else(|| RoomError::KeyMissing(path.clone()))?;
    let vault = match Vault::open_to_read(database, key, entropy).await {
        Ok(vault) => vault,
        Err(source) => return Err(unopened(path, source, store).await),
    };
    pair::is_paired(store, &vault).await?;
    Ok(vault)
}

async fn check_version(database: &dyn Database, room: Room) -> Result<(), RoomError> {
    let found = version(database, room).await.map_err(|source| RoomError::Open { room, source })?;
    let known = known(database, room);
    if found < known { Err(RoomError::Old { room, found, known }) } else { Ok(()) }
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
                tracing::debug!(error = error_chain(&error), "the log is opened again");
                tokio::time::sleep(RETRY_AFTER).await;
            }
            done => return done,
        }
    }
}

/// The same, for whoever stops something.
pub async fn found_to_stop(config: &Config, clock: &dyn Clock) -> Result<bool, RoomError> {
    persistently(clock, async || found(config).await).await
}

/// The same for whoever fills them: they may be made anew, if nothing of them is left.
pub async fn make_views(config: &Config) -> Result<Box<dyn Database>, RoomError> {
    data_files::make_views(config)?;
    open_views(config).await
}

/// Refuses views that a newer program has made, which a node would never open. Whatever else is wrong with them may pass.
pub async fn check_views(config: &Config) -> Result<(), RoomError> {
    let Ok(database) = open_views(config).await else { return Ok(()) };
    let found = version(&*database, Room::Views).await;
    database.close().await;
    match found {
        Err(source @ SqlError::TooNew { .. }) => Err(RoomError::Open { room: Room::Views, source }),
        _ => Ok(()),
    }
}

/// The same for a node, which works without them: they are opened when they are needed, and again once what was open is gone.
#[must_use]
pub fn views_that_reopen(config: &Config) -> Box<dyn Database> {
    let dialect = if config.database_url.is_none() { &SQLITE } else { &POSTGRES };
    let config = Arc::new(config.clone());
    let open = move || {
        let config = Arc::clone(&config);
        let opening = async move {
            let database = make_views(&config).await.map_err(|error| SqlError::Open(error.into()))?;
            migrate(&*database, Room::Views).await?;
            Ok(database)
        };
        Box::pin(opening) as Pin<Box<dyn Future<Output = _> + Send>>
    };
    Box::new(Reopening::new(dialect, Box::new(open)))
}

/// Opens the views for whoever makes them again from nothing. What cannot be opened is removed first, with all that SQLite keeps
/// beside it: they hold nothing of their own.
pub async fn remake_views(config: &Config) -> Result<Box<dyn Database>, RoomError> {
    match usable_views(config).await {
        Err(RoomError::Open { .. } | RoomError::Missing { .. } | RoomError::Leftover(_)) if config.database_url.is_none() => {
            data_files::remove_views(config)?;
            usable_views(config).await
        }
        opened => opened,
    }
}

/// The same where what could be opened is broken all the same.
pub async fn remake_views_anew(config: &Config) -> Result<Box<dyn Database>, RoomError> {
    data_files::remove_views(config)?;
    usable_views(config).await
}

async fn usable_views(config: &Config) -> Result<Box<dyn Database>, RoomError> {
    let failed = |source| RoomError::Open { room: Room::Views, source };
    let database = make_views(config).await?;
    migrate(&*database, Room::Views).await.map_err(failed)?;
    database.check().await.map_err(failed)?;
    Ok(database)
}

/// Whether the place that `config` names holds a log; an error if it does not and something else of the data is there. Looking
/// makes nothing.
pub async fn found(config: &Config) -> Result<bool, RoomError> {
    if config.database_url.is_none() {
        return data_files::is_there(config, Room::Log);
    }
    let database = open(config, Room::Log).await?;
    let version = version(&*database, Room::Log).await.map_err(RoomError::of_log)?;
    database.close().await;
    let key = config.key_file();
    if version == 0 && key.exists() { Err(RoomError::NoLog(key)) } else { Ok(version > 0) }
}

/// Brings every room's schema up to date and, on PostgreSQL, gives `role` what serving needs. Answers the versions.
pub async fn prepare(config: &Config, role: Option<&str>) -> Result<Vec<(Room, i64)>, RoomError> {
    data_files::make(config)?;
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
        let file = data_files::file_of(config, room);
        if !data_files::is_there(config, room)? {
            return Err(RoomError::Nothing(config.data_dir.clone()));
        }
        check_alone(&file)?;
        open_sqlite(&file, room).await
    };
    opened.map_err(|source| RoomError::Open { room, source })
}

/// Refuses a file that was never opened by us beside a log of writes that another one has left: SQLite would read those into
/// it. Ours are in the mode that makes such a log from the first opening on, and a copy that was made by `vacuum into` is not.
fn check_alone(file: &Path) -> Result<(), RoomError> {
    if !std::fs::metadata(beside(file, "-wal")).is_ok_and(|wal| wal.len() > 0) {
        return Ok(());
    }
    let Ok(mut opened) = File::open(file) else { return Ok(()) };
    let mut head = [0; 20];
    let is_whole = opened.read_exact(&mut head).is_ok();
    // The versions of the format that it is written and read by: 1 for a journal that is rolled back, 2 for a log of writes.
    if is_whole && head.ends_with(&[1, 1]) { Err(RoomError::Leftover(file.to_owned())) } else { Ok(()) }
}

async fn open_vault(config: &Config, entropy: Arc<dyn Entropy>, store: &SqlStore) -> Result<Vault, RoomError> {
    let log_is_new = pair::is_new(store).await?;
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
    match Vault::open(database, key, entropy).await {
        Ok(vault) => Ok(vault),
        Err(source) => Err(unopened(path, source, store).await),
    }
}
