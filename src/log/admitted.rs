//! The proof that a call may be executed.
//!
//! INVARIANT: none is made but by the log, for a call whose admission or claim is committed (P1).

use super::fence::Admissibility;
use super::row_names::freed_with;
use crate::core::bounded::Name;
use crate::core::id::{CallId, Epoch};
use crate::core::job::Job;
use crate::core::resource::ResourceId;

/// Proof that leave to execute is durable. Not `Clone`, and made only after the commit of an admission or a claim, which hand
/// it out; the worker consumes it (P1).
#[derive(Debug)]
pub struct Admitted {
    call: CallId,
    epoch: Epoch,
    leave: Admissibility,
    resources: Vec<ResourceId>,
    providers: Vec<Name>,
    depends: Vec<String>,
    sealed: bool,
}

impl Admitted {
    pub(super) fn proven(job: &Job, epoch: Epoch, leave: Admissibility) -> Self {
        let depends = freed_with(job);
        let (resources, providers) = (job.resources.clone(), job.providers.clone());
        Self { call: job.call.clone(), epoch, leave, resources, providers, depends, sealed: job.sealed }
    }

    /// Its arguments are sealed in the vault until it has ended.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// The call.
    #[must_use]
    pub fn call(&self) -> &CallId {
        &self.call
    }

    /// The epoch it was decided at.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What the fence holds it against.
    #[must_use]
    pub fn leave(&self) -> Admissibility {
        self.leave
    }

    /// The rows that the call's end has to free.
    #[must_use]
    pub fn depends(&self) -> &[String] {
        &self.depends
    }

    /// What it is about.
    #[must_use]
    pub fn resources(&self) -> &[ResourceId] {
        &self.resources
    }

    /// The providers that it reaches beside those of its resources.
    #[must_use]
    pub fn providers(&self) -> &[Name] {
        &self.providers
    }
}
