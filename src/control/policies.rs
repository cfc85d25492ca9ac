//! The policies in force: loaded from a directory, written down as an event with hash and version, then asked.
//!
//! INVARIANT: a set is asked only once its event is durable; a broken set is an event too, and keeps the old one.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::submit::Judge;
use crate::core::code::Code;
use crate::core::decide::Verdict;
use crate::core::event::Kind;
use crate::core::id::{AccountId, EventId, Position};
use crate::core::principal::Principal;
use crate::core::refusal::Refusal;
use crate::core::scope::ScopeSet;
use crate::core::scrub::Scrubbed;
use crate::core::state::{PolicySet, Vm};
use crate::core::time::{Clock, Entropy};
use crate::core::tool::ToolFacts;
use crate::log::acting::Acting;
use crate::log::draft::{Draft, NewEvent};
use crate::log::store::{StoreError, Want};
use crate::log::vault::{SealedPart, Vault, VaultError};
use crate::log::writer::{WriteError, Writer};
use crate::policy::{Kept, LoadError, Loaded, Policies, Query};
use crate::tools::PolicyLoader;

/// The policies of one node, and where they come from.
pub struct PolicyHolder {
    policies: Arc<Policies>,
    /// Who loads: one at a time, or many who ask for it at once would keep every processor.
    loading: tokio::sync::Mutex<()>,
    /// The built-in set if there is none.
    dir: Option<PathBuf>,
    writer: Writer,
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// The part of the event that holds the policies' text, file by file.
pub const TEXT: &str = "policies";

impl PolicyHolder {
    /// A holder with nothing in force yet: it permits nothing.
    #[must_use]
    pub fn new(
        policies: Policies,
        dir: Option<PathBuf>,
        writer: Writer,
        vault: Arc<Vault>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { policies: Arc::new(policies), loading: tokio::sync::Mutex::default(), dir, writer, vault, clock, entropy }
    }

    /// Reads the set; `recorded` is the version that the log says is in force, which may be other nodes' alone.
    async fn load(&self, recorded: Option<i64>) -> Result<Loaded, Refusal> {
        let _one = self.loading.lock().await;
        let (policies, dir) = (Arc::clone(&self.policies), self.dir.clone());
        let load = move || dir.map_or_else(|| policies.load_default(), |dir| policies.load_dir(&dir));
        // It reads files and may compute for seconds.
        let Ok(loaded) = tokio::task::spawn_blocking(load).await else {
            return Err(Refusal::new(Code::InternalError, "The policies were not loaded."));
        };
        loaded.map_err(|refused| {
            let kept = recorded.map_or(refused.kept, Kept::Version);
            let refusal = Refusal::new(Code::ValidationFailed, LoadError { kept, ..refused }.to_string());
            refusal.hint("Mend what it names and load it again; `forelog policy check` tries a set without loading it.")
        })
    }

    /// The set that the log says is in force.
    async fn recorded(&self) -> Result<Option<PolicySet>, Refusal> {
        self.writer.write(Want::default(), |draft| Ok(draft.state().policy.clone())).await.map_err(unrecorded)
    }

    /// Puts what the directory holds in force if it is what the log says is in force; else loads it as a new version.
    /// Run at start.
    pub async fn start(&self) -> Result<(i64, String), Refusal> {
        let recorded = self.recorded().await?;
        let loaded = self.load(recorded.as_ref().map(|set| set.version)).await?;
        match recorded {
            Some(set) if set.sha256 == loaded.sha256() => {
                self.policies.install(set.version, &loaded);
                Ok((set.version, set.sha256))
            }
            _ => self.put_in_force(&loaded, None, None).await,
        }
    }

    /// Takes over what another process puts in force, if the directory holds that set. Until then verdicts carry an older
    /// version and decisions refuse.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut changes = self.writer.fence().changes();
        while let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await {
            let Some(wanted) = changes.borrow_and_update().policy.clone() else { continue };
            if self.policies.current().is_some_and(|(version, _)| version >= wanted.version) {
                continue;
            }
            match self.load(None).await {
                Ok(loaded) if loaded.sha256() == wanted.sha256 => self.policies.install(wanted.version, &loaded),
                Ok(_) => tracing::error!(version = wanted.version, "this node's directory does not hold the policies in force"),
                Err(refusal) => {
                    tracing::error!(version = wanted.version, reason = %refusal.message, "the policies in force cannot be loaded");
                }
            }
        }
    }

    async fn put_in_force(
        &self,
        loaded: &Loaded,
        acting: Option<Acting>,
        by: Option<&Scrubbed>,
    ) -> Result<(i64, String), Refusal> {
        let (id, sha256) = (self.event_id(), loaded.sha256().to_owned());
        let hash = sha256.clone();
        let house = self.writer.write(Want::default(), |draft| Ok(draft.state().house())).await.map_err(unrecorded)?;
        let text = text_of(loaded)?;
        let mut parts = vec![self.vault.seal(&house, self.clock.now(), &id, TEXT, &text).await.map_err(unsealed)?];
        parts.extend(self.note(&house, &id, by).await?);
        let note = by.cloned().unwrap_or_default();
        let version = self.write(acting, move |draft| {
            let version = draft.state().policy.as_ref().map_or(0, |set| set.version) + 1;
            let kind = Kind::PolicyLoaded { version, sha256: hash.as_str().into() };
            draft.append(Position(0), NewEvent { id: id.clone(), kind, parts: parts.clone(), note: note.clone() })?;
            Ok(version)
        });
        let version = version.await?;
        self.policies.install(version, loaded);
        tracing::info!(version, sha256, "policies are in force");
        Ok((version, sha256))
    }

    async fn write<R: Send + 'static>(
        &self,
        acting: Option<Acting>,
        mut entry: impl FnMut(&mut Draft) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, Refusal> {
        let want = acting.as_ref().map(Acting::want).unwrap_or_default();
        let written = self.writer.write(want, move |draft| {
            let allowed = acting.as_ref().map_or(Ok(Ok(())), |acting| acting.check(draft))?;
            Ok(match allowed {
                Ok(()) => Ok(entry(draft)?),
                Err(refusal) => Err(refusal),
            })
        });
        written.await.map_err(unrecorded)?
    }

    /// Who did it, if he has no key that says so.
    async fn note(&self, house: &AccountId, id: &EventId, by: Option<&Scrubbed>) -> Result<Option<SealedPart>, Refusal> {
        let Some(by) = by else { return Ok(None) };
        self.vault.seal(house, self.clock.now(), id, "note", by).await.map(Some).map_err(unsealed)
    }

    /// Puts what the directory holds in force for somebody who sits at the machine, and says who.
    pub async fn reload_by(&self, by: &Scrubbed) -> Result<(i64, String), Refusal> {
        let recorded = self.recorded().await?.map(|set| set.version);
        match self.load(recorded).await {
            Ok(loaded) => self.put_in_force(&loaded, None, Some(by)).await,
            Err(refusal) => {
                self.reject(&refusal, None, Some(by)).await;
                Err(refusal)
            }
        }
    }

    async fn reject(&self, refusal: &Refusal, acting: Option<Acting>, by: Option<&Scrubbed>) {
        let (id, text) = (self.event_id(), refusal.message.as_bytes());
        let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(text));
        let mut event = NewEvent::plain(id, Kind::PolicyRejected { sha256: sha256.into() });
        if let Some(by) = by {
            let house = self.writer.fence().state().house();
            match self.note(&house, &event.id, Some(by)).await {
                Ok(part) => event = NewEvent { parts: part.into_iter().collect(), note: by.clone(), ..event },
                Err(refusal) => tracing::error!(code = %refusal.code, "who brought a rejected policy set could not be recorded"),
            }
        }
        if let Err(refusal) = self.write(acting, move |draft| draft.append(Position(0), event.clone())).await {
            tracing::error!(code = %refusal.code, "a rejected policy set could not be recorded");
        }
        tracing::warn!(reason = %refusal.message, "a policy set was rejected");
    }

    fn event_id(&self) -> EventId {
        EventId::new(self.clock.now(), &*self.entropy)
    }
}

/// The text of a set as it is recorded, which is the text that its hash is of.
fn text_of(loaded: &Loaded) -> Result<Scrubbed, Refusal> {
    let text = serde_json::json!(loaded.set().files());
    let recorded = Scrubbed::of(text.clone());
    if *recorded.document() == text {
        return Ok(recorded);
    }
    let refusal = Refusal::new(Code::ValidationFailed, "The policies have a secret in them, which would be recorded.");
    Err(refusal.hint("The set that was in force stays in force."))
}

#[expect(clippy::needless_pass_by_value, reason = "it is the shape that map_err wants")]
fn unrecorded(error: WriteError) -> Refusal {
    if matches!(error, WriteError::Differs(_)) {
        let refusal = Refusal::new(Code::ControlStateUnreadable, "Control state is not what the log says of it.");
        return refusal.hint("`forelog doctor` names what differs.");
    }
    super::intake::unrecorded(&error)
}

#[expect(clippy::needless_pass_by_value, reason = "it is the shape that map_err wants")]
fn unsealed(error: VaultError) -> Refusal {
    tracing::error!(%error, "the text of a policy set could not be encrypted");
    Refusal::new(Code::AuditUnavailable, "The set could not be recorded, so it was not put in force.")
}

impl Judge for PolicyHolder {
    fn judge(&self, principal: &Principal, scopes: &ScopeSet, tool: &'static ToolFacts, vm: Option<&Vm>) -> Verdict {
        self.policies.evaluate(&Query { principal, scopes, read_only: principal.read_only, tool, vm })
    }
}

#[async_trait]
impl PolicyLoader for PolicyHolder {
    async fn reload(&self, acting: Option<Acting>) -> Result<(i64, String), Refusal> {
        let recorded = self.recorded().await?.map(|set| set.version);
        match self.load(recorded).await {
            Ok(loaded) => self.put_in_force(&loaded, acting, None).await,
            Err(refusal) => {
                self.reject(&refusal, acting, None).await;
                Err(refusal)
            }
        }
    }
}
