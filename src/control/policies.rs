//! The policies in force: those that an event put in force, wherever its text came from, and asked only then.
//!
//! INVARIANT: a node serves the set that the log names, by its hash, whatever its own files hold. Only the first start of a log
//! puts a node's files in force by itself; later that takes a right, and is an event with its author. A broken set is an event
//! too, and keeps the old one.

mod recording;
mod text;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use self::text::{File, files};
use super::in_force::{POLICIES, event};
use super::plane::PolicyEvaluator;
use crate::core::code::Code;
use crate::core::event::EventKind;
use crate::core::principal::Principal;
use crate::core::proposal::Verdict;
use crate::core::refusal::Refusal;
use crate::core::resource::Resource;
use crate::core::scope::ScopeSet;
use crate::core::scrub::{Scrubbed, scrub_text};
use crate::core::state::PolicySet;
use crate::core::time::{Clock, Entropy};
use crate::core::tool::ToolSpec;
use crate::log::call_write::CallWrite;
use crate::log::reading::Reader;
use crate::log::writer::Writer;
use crate::policy::{Kept, LoadError, Loaded, Policies, Query, both};
use crate::tools::{NodePolicies, PolicyLoader, Reloaded};

/// How long a node waits that could not take over the set in force, before it tries again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The policies of one node, and where they come from.
pub struct PolicyHolder {
    policies: Arc<Policies>,
    /// Who loads: one at a time, or many who ask for it at once would keep every processor.
    loading: tokio::sync::Mutex<()>,
    /// The built-in set if there is none.
    dir: Option<PathBuf>,
    writer: Writer,
    reader: Reader,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// Why the set in force is not served here.
    trouble: Mutex<Option<String>>,
}

impl PolicyHolder {
    /// A holder with nothing in force yet: it permits nothing.
    #[must_use]
    pub fn new(
        policies: Policies,
        dir: Option<PathBuf>,
        writer: Writer,
        reader: Reader,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let (loading, trouble) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { policies: Arc::new(policies), loading, dir, writer, reader, clock, entropy, trouble }
    }

    /// Runs something that reads files, and may compute for seconds.
    async fn work<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Policies, Option<PathBuf>) -> R + Send + 'static,
    ) -> Result<R, Refusal> {
        let _one = self.loading.lock().await;
        let (policies, dir) = (Arc::clone(&self.policies), self.dir.clone());
        let done = tokio::task::spawn_blocking(move || work(&policies, dir)).await;
        done.map_err(|_| Refusal::new(Code::InternalError, "The policies were not loaded."))
    }

    /// Reads this node's own set; `recorded` is the version that the log says is in force, which may be other nodes' alone.
    async fn load(&self, recorded: Option<i64>) -> Result<Loaded, Refusal> {
        self.work(|policies, dir| policies.load(dir.as_deref())).await?.map_err(|refused| {
            let kept = recorded.map_or(refused.kept, Kept::Version);
            let refusal = Refusal::new(Code::ValidationFailed, LoadError { kept, ..refused }.to_string());
            refusal.hint("Mend what it names and load it again; `forelog policy check` tries a set without loading it.")
        })
    }

    /// This node's own files, without a look at what they say.
    async fn own_files(&self) -> Result<(Vec<File>, String), String> {
        let read = self.work(|_, dir| Policies::read(dir.as_deref()).map_err(|error| error.to_string())).await;
        read.unwrap_or_else(|refusal| Err(refusal.message))
    }

    /// The digest of this node's own set; why it could not be put in force, if it is not what is.
    async fn own(&self, in_force: Option<&PolicySet>) -> Result<String, String> {
        let (_, sha256) = self.own_files().await?;
        if in_force.is_some_and(|set| set.sha256 == sha256) {
            return Ok(sha256);
        }
        let loaded = self.work(|policies, dir| policies.load(dir.as_deref())).await.map_err(|refusal| refusal.message)?;
        loaded.map(|loaded| loaded.sha256().to_owned()).map_err(|refused| scrub_text(&refused.error.to_string()))
    }

    /// The set that the log says is in force.
    async fn recorded(&self) -> Result<Option<PolicySet>, Refusal> {
        self.writer.fresh().await.map(|fresh| fresh.state().policy.clone()).map_err(recording::unrecorded)
    }

    /// Serves what the log says is in force; if nothing is, puts this node's own set in force. Run at start. A set that cannot be
    /// served here is no reason not to start: stopping goes on, and so does putting another one in force.
    pub async fn start(&self) -> Result<(), Refusal> {
        if self.recorded().await?.is_none() {
            let loaded = self.load(None).await?;
            self.put_first(&loaded).await?;
        }
        if let Some(set) = self.recorded().await? {
            self.serve(&set).await;
            match self.own_files().await {
                Ok((_, sha256)) if sha256 == set.sha256 => {}
                Ok((_, sha256)) => tracing::warn!(
                    version = set.version,
                    in_force = set.sha256,
                    own = sha256,
                    "this node's policy files are not the set in force, which is served; policy_reload puts the files in force"
                ),
                Err(why) => tracing::warn!(
                    version = set.version,
                    why,
                    "this node's policy files cannot be read; the set in force is served"
                ),
            }
        }
        Ok(())
    }

    /// Takes over what another process puts in force. Until then verdicts carry an older version and decisions refuse.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut changes = self.writer.fence().changes();
        loop {
            let wanted = changes.borrow_and_update().policy.clone();
            let behind = wanted.filter(|set| self.version().is_none_or(|version| version < set.version));
            if let Some(set) = &behind {
                self.serve(set).await;
            }
            let is_behind = behind.is_some_and(|set| self.version().is_none_or(|version| version < set.version));
            let news = async {
                if is_behind {
                    return tokio::time::timeout(RETRY_AFTER, changes.changed()).await.unwrap_or(Ok(()));
                }
                changes.changed().await
            };
            let Some(Ok(())) = stop.run_until_cancelled(news).await else { return };
        }
    }

    /// Serves a set that is in force, or keeps and says why it cannot.
    async fn serve(&self, set: &PolicySet) {
        let trouble = match self.take_over(set).await {
            Ok(loaded) => {
                self.policies.install(set.version, &loaded);
                tracing::info!(version = set.version, sha256 = set.sha256, "policies are served");
                None
            }
            Err(why) => Some(why),
        };
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = trouble.as_ref().filter(|_| *known != trouble) {
            tracing::error!(version = set.version, why, "the policies in force cannot be served here, and calls are refused");
        }
        *known = trouble;
    }

    /// Loads the set in force: from this node's own files if they are it, else from the log.
    pub async fn take_over(&self, set: &PolicySet) -> Result<Loaded, String> {
        let files = match self.own_files().await {
            Ok((files, sha256)) if sha256 == set.sha256 => files,
            _ => self.kept(set).await?,
        };
        let loaded = self.work(move |policies, _| policies.load_recorded(&files)).await.map_err(|refusal| refusal.message)?;
        let loaded = loaded.map_err(|error| format!("this version of Forelog cannot load them: {error}"))?;
        if loaded.sha256() != set.sha256 {
            return Err("their recorded text is not what the log says of it".into());
        }
        Ok(loaded)
    }

    /// The recorded text of a set.
    async fn kept(&self, set: &PolicySet) -> Result<Vec<File>, String> {
        let unread = |error: &dyn std::error::Error| {
            format!("their recorded text cannot be read: {}", crate::core::error_chain::error_chain(error))
        };
        let event = event(&self.reader, POLICIES).await.map_err(|error| unread(&error))?;
        let is_it = |kind: &EventKind| matches!(kind, EventKind::PolicyLoaded { version, sha256, .. } if *version == set.version && **sha256 == *set.sha256);
        let Some(event) = event.filter(|event| is_it(&event.kind)) else {
            return Err("the event that put them in force cannot be found".into());
        };
        let kept = files(&self.reader, &event).await.map_err(|error| unread(&error))?;
        kept.ok_or_else(|| "their text is not kept".into())
    }

    /// Puts this node's files in force for somebody who sits at the machine, and says who.
    pub async fn reload_by(&self, by: &Scrubbed) -> Result<Reloaded, Refusal> {
        self.reload_as(None, Some(by)).await
    }

    async fn reload_as(&self, acting: Option<CallWrite>, by: Option<&Scrubbed>) -> Result<Reloaded, Refusal> {
        let recorded = self.recorded().await?.map(|set| set.version);
        match self.load(recorded).await {
            Ok(loaded) => self.put_in_force(&loaded, acting, by).await,
            Err(refusal) => {
                self.reject(&refusal, acting, by).await;
                Err(refusal)
            }
        }
    }
}

impl PolicyEvaluator for PolicyHolder {
    fn evaluate(&self, principal: &Principal, scopes: &ScopeSet, tool: &'static ToolSpec, about: &[Resource]) -> Verdict {
        let read_only = principal.read_only;
        let ask = |resource| self.policies.evaluate(&Query { principal, scopes, read_only, tool, resource });
        about.iter().map(|row| ask(Some(row))).reduce(both).unwrap_or_else(|| ask(None))
    }

    fn version(&self) -> Option<i64> {
        self.policies.current().map(|(version, _)| version)
    }
}

#[async_trait]
impl PolicyLoader for PolicyHolder {
    async fn reload(&self, acting: Option<CallWrite>) -> Result<Reloaded, Refusal> {
        self.reload_as(acting, None).await
    }

    async fn node(&self) -> NodePolicies {
        let own = self.own(self.writer.fence().state().policy.as_ref()).await;
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        NodePolicies { version: self.version(), trouble, own }
    }
}
