//! The arguments that operations have by what they are, and not by their own types: the VM, the guard's, the idempotency key.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::core::redact::Sensitivity::{Content, Public};

/// All of them; which of them an operation takes is up to its class and its guard.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub(super) struct CommonArgs {
    /// The VM's id or exact label.
    #[schemars(extend("x-class" = Public), length(min = 1, max = 64))]
    #[expect(dead_code, reason = "the pipeline finds the VM; this is its schema")]
    vm_id: Option<String>,
    /// true: the interruption of service is intended.
    #[schemars(extend("x-class" = Public))]
    pub(super) confirm: Option<bool>,
    /// The exact phrase.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 128))]
    pub(super) confirmation: Option<String>,
    /// true: that data is lost for good is intended.
    #[schemars(extend("x-class" = Public))]
    pub(super) acknowledge_data_loss: Option<bool>,
    /// The label of what is lost, as it is now.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 64))]
    pub(super) expected_label: Option<String>,
    /// Same key and arguments within 24 hours: the first result again.
    #[schemars(extend("x-class" = Content), length(min = 1, max = 64))]
    #[expect(dead_code, reason = "the pipeline takes it as it came; this is its schema")]
    idempotency_key: Option<String>,
}

/// One of them that an operation takes.
pub(super) struct CommonArg {
    pub(super) name: &'static str,
    /// What is said of it, if that is special.
    pub(super) about: Option<&'static str>,
    pub(super) required: bool,
}
