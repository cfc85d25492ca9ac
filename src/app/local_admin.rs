//! Administration on the data itself, for the command line: beside a running server, or when no server can run.
//!
//! INVARIANT: every change is an event. It is appended by a writer of its own under the same lock as a server's, so a running
//! server sees it in its next transaction.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::rooms::{RoomError, Rooms};
use crate::config::Config;
use crate::core::commands::Command;
use crate::core::error_chain::error_chain;
use crate::core::id::{AccountId, EventId, IdError};
use crate::core::refusal::Refusal;
use crate::core::scrub::Scrubbed;
use crate::core::state::ControlState;
use crate::core::time::{Clock, Entropy, MAX_DURATION, Micros};
use crate::core::visible::escape_hidden;
use crate::log::changing::{Author, Changed, Ids, Note};
use crate::log::fence::Fence;
use crate::log::fresh::Fresh;
use crate::log::stop_sealing::SealingNeed;
use crate::log::vault::VaultError;
use crate::log::writer::{WriteError, Writer};

/// How often the other nodes are looked at while the time is not clear.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long it may stay unclear before something is recorded.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Something that was not done.
#[derive(Debug, thiserror::Error)]
pub enum LocalAdminError {
    /// The rooms cannot be opened.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// The log was not written, as far as anybody knows.
    #[error("writing to the log")]
    Write(#[from] WriteError),
    /// The log was not read.
    #[error("reading the log")]
    Read(#[source] WriteError),
    /// The vault failed.
    #[error("using the vault")]
    Vault(#[from] VaultError),
    /// An id of ours is not one.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A password was not hashed.
    #[error(transparent)]
    Password(#[from] crate::auth::password::HashError),
    /// What was asked for does not fit what is there.
    #[error("{}", escape_hidden(.0))]
    Refused(String),
    /// The rules of the core refuse it, and say what to do.
    #[error("{}", escape_hidden(.0.message.as_str()))]
    Against(Box<Refusal>),
}

impl From<Refusal> for LocalAdminError {
    fn from(refusal: Refusal) -> Self {
        Self::Against(Box::new(refusal))
    }
}

/// The rooms, and a writer on them.
pub struct LocalAdmin {
    /// The rooms.
    pub rooms: Rooms,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The writer.
    pub writer: Writer,
    /// Why there is no vault, of a local admin that stops without one.
    pub without_vault: Option<String>,
    need: SealingNeed,
    writing: JoinHandle<()>,
}

impl LocalAdmin {
    /// Opens the rooms that `config` names.
    pub async fn open(config: &Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, LocalAdminError> {
        let rooms = Rooms::open(config, Arc::clone(&entropy)).await?;
        Ok(Self::on(rooms, clock, entropy, None, SealingNeed::Always).await)
    }

    /// The same, and makes them if nothing of them is there.
    pub async fn make(config: &Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, LocalAdminError> {
        let rooms = Rooms::make(config, Arc::clone(&entropy)).await?;
        Ok(Self::on(rooms, clock, entropy, None, SealingNeed::Always).await)
    }

    /// Opens what it takes to stop something: the log, and the vault if that answers soon (P15).
    pub async fn open_to_stop(
        config: &Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, LocalAdminError> {
        let (rooms, without_vault) = Rooms::open_to_stop(config, &*clock, Arc::clone(&entropy)).await?;
        if let Some(why) = &without_vault {
            tracing::warn!(why, "the vault is not used: free text of what is recorded now is left out");
        }
        Ok(Self::on(rooms, clock, entropy, without_vault, SealingNeed::IfAtHand).await)
    }

    /// Opens what it takes to look: nothing is written, nothing waits for whoever writes, and the vault may be away.
    pub async fn open_to_read(
        config: &Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, LocalAdminError> {
        let (rooms, why) = Rooms::open_to_read(config, Arc::clone(&entropy)).await?;
        Ok(Self::over(rooms, clock, entropy, why.map(|error| error_chain(&error)), SealingNeed::Always))
    }

    /// The same where the vault is needed as well.
    pub async fn open_to_read_all(
        config: &Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, LocalAdminError> {
        match Rooms::open_to_read(config, Arc::clone(&entropy)).await? {
            (_, Some(error)) => Err(error.into()),
            (rooms, None) => Ok(Self::over(rooms, clock, entropy, None, SealingNeed::Always)),
        }
    }

    async fn on(
        rooms: Rooms,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        without_vault: Option<String>,
        need: SealingNeed,
    ) -> Self {
        let local_admin = Self::over(rooms, clock, entropy, without_vault, need);
        local_admin.settle().await;
        local_admin
    }

    fn over(
        rooms: Rooms,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        without_vault: Option<String>,
        need: SealingNeed,
    ) -> Self {
        let fence = Fence::new(Arc::clone(&clock), rooms.vault.root_key());
        let (writer, writing) = Writer::start(rooms.store.clone(), fence, Arc::clone(&clock));
        Self { rooms, clock, entropy, writer, without_vault, need, writing }
    }

    /// Waits until this machine's clock is found right, or another node is seen to beat, which tells the time then. What
    /// cannot be read is said by whatever is done next.
    pub(super) async fn settle(&self) {
        let peers = self.writer.fence().peers();
        let skewed = async || self.writer.fresh().await.map(|fresh| fresh.is_skewed());
        let begun = self.clock.elapsed();
        while let Ok(true) = skewed().await {
            // Whoever stops something does not wait for a node that never beats: it is recorded all the same.
            if self.clock.elapsed().saturating_sub(begun) >= TIMEOUT {
                return;
            }
            let Ok(seen) = peers.observe(&*self.rooms.store).await else { return };
            if seen.iter().all(|peer| peer.dead) || seen.iter().any(|peer| peer.moved && !peer.dead) {
                // What was seen last may be what settles it.
                let _ = skewed().await;
                return;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until the writer has ended, and gives the rooms back.
    pub async fn close(self) -> Rooms {
        drop(self.writer);
        if let Err(error) = self.writing.await {
            tracing::error!(%error, "the writer did not end by itself");
        }
        self.rooms
    }

    /// Control state as it is now. Nothing is locked, and nobody who appends is waited for.
    pub async fn state(&self) -> Result<ControlState, LocalAdminError> {
        Ok(ControlState::clone(self.read().await?.state()))
    }

    async fn read(&self) -> Result<Fresh, LocalAdminError> {
        self.writer.fresh_to_stop().await.map_err(LocalAdminError::Read)
    }

    /// The time of the log, which ends are counted from: this machine's clock may be wrong.
    pub async fn now(&self) -> Result<Micros, LocalAdminError> {
        Ok(self.read().await?.now())
    }

    /// When something ends that is to last for so long: not before that, however late it is.
    pub async fn end_after(&self, lasts: Duration) -> Result<Micros, LocalAdminError> {
        let read = self.read().await?;
        let most = if lasts > MAX_DURATION { Micros::LAST } else { read.now().plus(MAX_DURATION) };
        Ok(read.latest().plus(lasts).min(most))
    }

    /// Runs a command in the transaction of its writing: all of its events are recorded, or none.
    pub async fn change<C: Command>(
        &self,
        notes: impl IntoIterator<Item = Note>,
        command: C,
    ) -> Result<Changed<C::Answer>, LocalAdminError> {
        let (ids, notes) = (Ids::new(&self.clock, &self.entropy), notes.into_iter().collect());
        Ok(self.writer.change(Author::Operator, ids, notes, command).await??)
    }

    /// Free text of an event, sealed for an account, with who sat at the machine.
    pub async fn note(&self, account: &AccountId, mut note: Value) -> Result<Note, LocalAdminError> {
        let now = self.clock.now();
        let id = EventId::new(now, &*self.entropy);
        if let Some(fields) = note.as_object_mut() {
            fields.insert("operator".into(), local_user());
        }
        let note = Scrubbed::of(note);
        let part = self.rooms.vault.seal_as(self.need, account, now, &id, "note", &note).await?;
        Ok(Note::sealed(id, part, note))
    }

    /// The same with nothing else to say.
    pub async fn signed(&self, account: &AccountId) -> Result<Note, LocalAdminError> {
        self.note(account, json!({})).await
    }
}

/// The name of a user of this machine.
#[must_use]
pub fn user_name(uid: u32) -> Option<String> {
    named_in_passwd(2, uid)
}

/// The user whose own group it is.
#[must_use]
pub fn user_of_group(gid: u32) -> Option<String> {
    named_in_passwd(3, gid).filter(|_| gid != 0)
}

fn named_in_passwd(field: usize, number: u32) -> Option<String> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let matches = fields.get(field).and_then(|field| field.parse::<u32>().ok()) == Some(number);
        fields.first().filter(|_| matches).map(|name| (*name).to_owned())
    })
}

/// Who sits at this machine: the user that owns this process, and the host's name.
#[must_use]
pub fn local_user() -> Value {
    let uid = std::fs::metadata("/proc/self").map(|process| process.uid()).ok();
    let named = uid.and_then(user_name);
    let user = named.or_else(|| uid.map(|uid| uid.to_string())).unwrap_or_else(|| "unknown".into());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    json!({ "user": user, "host": host.trim() })
}
