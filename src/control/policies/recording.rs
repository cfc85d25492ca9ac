//! Putting a set in force: one event, with its text beside it and who did it.
//!
//! INVARIANT: the version is that of the transaction, so two who load at once get two versions; the first start of a log puts
//! nothing in force if another node was first.

use super::text::parts;
use super::{PolicyHolder, Reloaded};
use crate::core::code::Code;
use crate::core::commands::Command;
use crate::core::commands::policy::{PutPolicies, RejectPolicies};
use crate::core::id::{AccountId, EventId};
use crate::core::refusal::Refusal;
use crate::core::scrub::Scrubbed;
use crate::core::state::PolicySet;
use crate::log::call_write::CallWrite;
use crate::log::changing::{Author, Changed, Ids, Note};
use crate::log::vault::{SealedPart, VaultError};
use crate::log::writer::WriteError;
use crate::policy::Loaded;

impl PolicyHolder {
    /// Puts a set in force if none is.
    pub(super) async fn put_first(&self, loaded: &Loaded) -> Result<(), Refusal> {
        self.put(loaded, None, None, true).await.map(drop)
    }

    /// Puts a set in force, and serves it.
    pub(super) async fn put_in_force(
        &self,
        loaded: &Loaded,
        acting: Option<CallWrite>,
        by: Option<&Scrubbed>,
    ) -> Result<Reloaded, Refusal> {
        let (set, before) = self.put(loaded, acting, by, false).await?;
        self.policies.install(set.version, loaded);
        *self.trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
        tracing::info!(version = set.version, sha256 = set.sha256, "policies are in force");
        Ok(Reloaded { set, before })
    }

    /// Answers what is in force now and what was before; the same twice if `first` and there was something.
    async fn put(
        &self,
        loaded: &Loaded,
        acting: Option<CallWrite>,
        by: Option<&Scrubbed>,
        first: bool,
    ) -> Result<(PolicySet, Option<PolicySet>), Refusal> {
        let (id, sha256) = (self.event_id(), loaded.sha256().to_owned());
        let house = self.writer.fresh().await.map_err(unrecorded)?.state().operator_account();
        let mut sealed = self.sealed_text(&house, &id, loaded).await?;
        sealed.extend(self.note(&house, &id, by).await?);
        let note = Note::of_parts(id, sealed, by.cloned().unwrap_or_default());
        let who = acting.as_ref().map(|acting| (acting.principal.user.clone(), acting.principal.credential.clone()));
        let command = PutPolicies { sha256, only_first: first, by: who, event: note.id() };
        Ok(self.change(acting, note, command).await?.answer)
    }

    async fn change<C: Command>(&self, acting: Option<CallWrite>, note: Note, command: C) -> Result<Changed<C::Answer>, Refusal> {
        let author = acting.map_or(Author::Node, |acting| Author::Call(Box::new(acting)));
        let ids = Ids::new(&self.clock, &self.entropy);
        self.writer.change(author, ids, vec![note], command).await.map_err(unrecorded)?
    }

    /// The text of a set as it is recorded, which is the text that its hash is of.
    async fn sealed_text(&self, house: &AccountId, id: &EventId, loaded: &Loaded) -> Result<Vec<SealedPart>, Refusal> {
        let whole = serde_json::json!(loaded.set().files());
        let mut is_clean = *Scrubbed::of(whole.clone()).document() == whole;
        let mut sealed = Vec::new();
        for (name, text) in parts(loaded.set().files()) {
            let recorded = Scrubbed::of(text.clone());
            is_clean &= *recorded.document() == text;
            sealed.push(self.reader.vault.seal(house, self.clock.now(), id, &name, &recorded).await.map_err(unsealed)?);
        }
        if is_clean {
            return Ok(sealed);
        }
        let refusal = Refusal::new(Code::ValidationFailed, "The policies have a secret in them, which would be recorded.");
        Err(refusal.hint("The set that was in force stays in force."))
    }

    /// Who did it, if he has no key that says so.
    async fn note(&self, house: &AccountId, id: &EventId, by: Option<&Scrubbed>) -> Result<Option<SealedPart>, Refusal> {
        let Some(by) = by else { return Ok(None) };
        self.reader.vault.seal(house, self.clock.now(), id, "note", by).await.map(Some).map_err(unsealed)
    }

    /// Records that a set was not taken.
    pub(super) async fn reject(&self, refusal: &Refusal, acting: Option<CallWrite>, by: Option<&Scrubbed>) {
        let (id, text) = (self.event_id(), refusal.message.as_bytes());
        let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(text));
        let mut note = Note::of_parts(id.clone(), Vec::new(), Scrubbed::default());
        if let Some(by) = by {
            let house = self.writer.fence().state().operator_account();
            match self.note(&house, &id, Some(by)).await {
                Ok(part) => note = Note::of_parts(id.clone(), part.into_iter().collect(), by.clone()),
                Err(refusal) => tracing::error!(code = %refusal.code, "who brought a rejected policy set could not be recorded"),
            }
        }
        if let Err(refusal) = self.change(acting, note, RejectPolicies { sha256, event: id }).await {
            tracing::error!(code = %refusal.code, "a rejected policy set could not be recorded");
        }
        tracing::warn!(reason = %refusal.message, "a policy set was rejected");
    }

    fn event_id(&self) -> EventId {
        EventId::new(self.clock.now(), &*self.entropy)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the shape that map_err wants")]
pub(super) fn unrecorded(error: WriteError) -> Refusal {
    if matches!(error, WriteError::Differs(_)) {
        let refusal = Refusal::new(Code::ControlStateUnreadable, "Control state is not what the log says of it.");
        return refusal.hint("`forelog doctor` names what differs.");
    }
    crate::control::unrecorded::refusal_of(&error)
}

#[expect(clippy::needless_pass_by_value, reason = "it is the shape that map_err wants")]
fn unsealed(error: VaultError) -> Refusal {
    tracing::error!(%error, "the text of a policy set could not be encrypted");
    Refusal::new(Code::AuditUnavailable, "The set could not be recorded, so it was not put in force.")
}
