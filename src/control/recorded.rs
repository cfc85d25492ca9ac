//! A call as the log has it: who asked, and with which arguments, for whoever runs it later.
//!
//! INVARIANT: arguments are what the HMAC in the call's own intent says, or there are none. What was redacted or cut is never
//! run.

use serde_json::Value;

use super::Control;
use crate::core::canonical::canonical;
use crate::core::event::{Event, EventKind, IntentRecorded};
use crate::core::id::AccountId;
use crate::core::job::Job;
use crate::core::principal::Principal;
use crate::core::visibility::Visibility;
use crate::log::reading::ReadError;

/// What an intent asked for.
pub struct Recorded {
    /// The intent.
    pub intent: IntentRecorded,
    /// Who.
    pub principal: Principal,
    /// The arguments as they came.
    pub args: Value,
}

impl Control {
    /// What a call asked for. None if its arguments are gone, or a secret or an erased key is in the way.
    pub async fn recorded_request(&self, job: &Job) -> Result<Option<Recorded>, ReadError> {
        let Some(event) = self.ports.reader.event(job.intent).await? else { return Ok(None) };
        let EventKind::IntentRecorded(intent) = &event.kind else { return Ok(None) };
        if (&intent.call, &intent.account) != (&job.call, &job.account) {
            return Ok(None);
        }
        let args = if job.sealed { self.sealed_arguments(job).await? } else { self.kept_arguments(&event, &job.account).await? };
        let Some(args) = args else { return Ok(None) };
        let digest = self.ports.reader.vault.digest(&job.account, &canonical(&args)?).await?;
        if digest != intent.arguments {
            return Ok(None);
        }
        let visibility = Visibility::Account(job.account.clone());
        let ip = self.ports.reader.part(&event, "subject", &visibility).await?.and_then(|said| said["ip"].as_str()?.parse().ok());
        let principal = Principal { ip, ..principal_of(intent) };
        Ok(Some(Recorded { intent: intent.clone(), principal, args }))
    }

    async fn sealed_arguments(&self, job: &Job) -> Result<Option<Value>, ReadError> {
        let seal = self.ports.reader.vault.seal_of(&job.call).await?;
        Ok(seal.map(|plaintext| serde_json::from_slice(&plaintext)).transpose()?)
    }

    async fn kept_arguments(&self, event: &Event, account: &AccountId) -> Result<Option<Value>, ReadError> {
        let recorded = self.ports.reader.part(event, "arguments", &Visibility::Account(account.clone())).await?;
        Ok(recorded.map(|mut recorded| recorded["args"].take()))
    }
}

fn principal_of(intent: &IntentRecorded) -> Principal {
    Principal {
        side: intent.side,
        account: intent.account.clone(),
        user: intent.user.clone(),
        credential: intent.credential.clone(),
        via: intent.via,
        ip: None,
        read_only: false,
    }
}
