//! Notices of a new epoch, from node to node, through PostgreSQL's NOTIFY.
//!
//! INVARIANT: a notice is a courtesy. It is sent after the commit, on a connection of its own, and nothing waits for it or
//! fails with it; a node that misses it finds the epoch in the log's head. Every role of the server can send one, so a notice
//! says when to look and never what is true, and however many arrive, there is one look in each [`PAUSE`].

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::Mutex;
use tokio::time::{Sleep, sleep};

use super::session::{CONNECT, Servers, Sessions, had_died};
use super::sql::SqlError;

/// The channel, which all databases of a server keep apart.
const CHANNEL: &str = "forelog";

/// Notices that arrive within this time of the last look cause one look together.
const PAUSE: Duration = Duration::from_millis(50);

/// An epoch moves by one with each change of control state: no log gets this far.
const BEYOND_REASON: i64 = 1_000_000_000_000_000;

/// Sends and receives notices.
pub(super) struct Notices {
    /// One connection, for sending.
    sender: Sessions,
    /// The newest epoch that there is to tell.
    newest: AtomicI64,
    sending: AtomicBool,
    failing: AtomicBool,
    listening: Mutex<Option<Listening>>,
}

struct Listening {
    listener: PgListener,
    /// Over once the next look may be taken.
    pause: Pin<Box<Sleep>>,
}

impl Notices {
    /// Connects to nothing yet.
    pub fn new(servers: Servers) -> Result<Arc<Self>, SqlError> {
        Ok(Arc::new(Self {
            sender: servers.pool(1)?,
            newest: AtomicI64::new(0),
            sending: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            listening: Mutex::default(),
        }))
    }

    /// Tells the other nodes of an epoch, in the background. Epochs that come while one is being sent are sent as one.
    pub fn send(self: &Arc<Self>, epoch: i64) {
        self.newest.fetch_max(epoch, Ordering::SeqCst);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !self.sending.swap(true, Ordering::SeqCst) {
            runtime.spawn(Arc::clone(self).send_newest());
        }
    }

    async fn send_newest(self: Arc<Self>) {
        loop {
            let epoch = self.newest.load(Ordering::SeqCst);
            let sent = self.notify(epoch).await;
            let failed_before = self.failing.swap(sent.is_err(), Ordering::Relaxed);
            match sent {
                Err(error) if !failed_before => {
                    tracing::warn!(%error, "the other nodes cannot be told of changes; each finds them when it next looks");
                }
                Ok(()) if failed_before => tracing::info!("the other nodes are told of changes again"),
                _ => {}
            }
            self.sending.store(false, Ordering::SeqCst);
            let is_recorded = self.newest.load(Ordering::SeqCst) == epoch;
            if is_recorded || self.sending.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }

    async fn notify(&self, epoch: i64) -> Result<(), String> {
        loop {
            let mut session = self.sender.get().await.map_err(|error| error.to_string())?;
            let notify = sqlx::query("select pg_catalog.pg_notify($1, $2)").bind(CHANNEL).bind(epoch.to_string());
            match session.execute(notify).await {
                Ok(_) => return Ok(()),
                Err(error) if had_died(&session, &error) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Waits for a notice and returns the newest epoch that was named within [`PAUSE`] of the last return; none if a
    /// connection has just been made or lost, so that notices may have been missed.
    pub async fn receive(&self) -> Result<Option<i64>, SqlError> {
        let mut place = self.listening.lock().await;
        let Some(Listening { listener, pause }) = place.as_mut() else {
            *place = Some(self.listen().await.map_err(|error| SqlError::Open(error.into()))?);
            return Ok(None);
        };
        let mut newest = None;
        loop {
            let notice = tokio::select! {
                biased;
                () = pause.as_mut(), if newest.is_some() => break,
                notice = listener.try_recv() => notice,
            };
            let Ok(Some(notice)) = notice else {
                *place = None;
                return Ok(None);
            };
            newest = newest.max(epoch_in(notice.payload()));
        }
        *pause = Box::pin(sleep(PAUSE));
        Ok(newest)
    }

    async fn listen(&self) -> Result<Listening, sqlx::Error> {
        // Whoever asks for a connection finds the server that takes writes.
        drop(self.sender.get().await.map_err(|error| sqlx::Error::Io(std::io::Error::other(error.to_string())))?);
        let options = self.sender.manager().good().cloned().unwrap_or_default();
        let one = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT).connect_lazy_with(options);
        let mut listener = PgListener::connect_with(&one).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok(Listening { listener, pause: Box::pin(sleep(Duration::ZERO)) })
    }

    /// Gives up every connection.
    pub async fn close(&self) {
        // Somebody who listens just now gives it up himself.
        if let Ok(mut listening) = self.listening.try_lock() {
            *listening = None;
        }
        for session in self.sender.retain(|_, _| false).removed {
            session.close().await;
        }
        self.sender.close();
    }
}

/// The epoch that a notice names; none if it is no notice of a node.
fn epoch_in(payload: &str) -> Option<i64> {
    let digits = payload.bytes().all(|byte| byte.is_ascii_digit());
    payload.parse().ok().filter(|epoch| digits && (1..BEYOND_REASON).contains(epoch))
}
