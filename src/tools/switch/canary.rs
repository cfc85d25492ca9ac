//! The key that a drill stops: of the house's own account, for reading only, and for nobody.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::auth::key::ApiKey;
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::commands::key::By;
use crate::core::commands::key::canary::MakeCanary;
use crate::core::commands::key::revoke::RevokeKey;
use crate::core::event::{CredentialCreated, EventKind};
use crate::core::id::{CredentialId, Position, SwitchId};
use crate::core::limit::Limit;
use crate::core::principal::{Principal, Via};
use crate::core::scope::Scope;
use crate::tools::Execution;
use crate::tools::record::{change, note};

/// What it is called wherever keys are listed.
const LABEL: &str = "canary of a drill";

/// The tool it calls: it reads, and the house has no VMs.
const TOOL: &str = "vm_list";

/// A canary whose drill never came to its end stops by itself.
const LASTS: Duration = Duration::from_mins(5);

/// A drill must not be refused by the limit that it is not about.
const AMPLE: Limit = Limit { admit: Limit::MAX_COUNT, window_ms: 1000 };

/// Events of the log that are read at a time.
const PAGE: u32 = 1000;

/// A key that was made for one drill.
pub(super) struct Canary {
    pub(super) credential: CredentialId,
    principal: Principal,
}

impl Canary {
    /// Makes one. Nobody learns its secret, this process included.
    pub(super) async fn make(execution: &Execution) -> Result<Self, Outcome> {
        let (ports, who) = (&execution.ports, &execution.principal);
        let (key, now) = (ApiKey::generate(&*ports.entropy), ports.clock.now());
        let credential = CredentialId::new(now, &*ports.entropy);
        let created = CredentialCreated {
            credential: credential.clone(),
            account: who.account.clone(),
            user: who.user.clone(),
            side: who.side,
            hash: key.hash().into(),
            prefix: key.prefix().into(),
            scopes: [Scope::VmsRead].into_iter().collect(),
            vms: Some(Vec::new()),
            read_only: true,
            expires_at: Some(now.plus(LASTS)),
            limit: Some(AMPLE),
            rotates: None,
            role: None,
            made_by: Some(execution.principal.credential.clone()),
        };
        let note = note(execution, &who.account, json!({ "label": LABEL })).await?;
        let event = note.id();
        change(execution, [note], MakeCanary { created, event }).await?;
        // From where its maker calls: it may be used from nowhere else.
        let principal = Principal { credential: credential.clone(), via: Via::Rest, read_only: true, ..who.clone() };
        Ok(Self { credential, principal })
    }

    /// Makes one call, the whole way.
    pub(super) async fn call(&self, execution: &Execution) -> Result<(), Code> {
        let called = Arc::clone(&execution.calls).call(self.principal.clone(), TOOL, json!({})).await;
        called.map(drop).map_err(|refusal| refusal.code)
    }

    /// Its calls that the log admitted after the switch; none if the log cannot be read.
    pub(super) async fn admitted_under(&self, execution: &Execution, switch: &SwitchId, from: Position) -> Option<u64> {
        let until = execution.ports.reader.store.head().await.ok()?.position;
        let (mut after, mut own, mut engaged, mut admitted) = (from, BTreeSet::new(), false, 0);
        while after < until {
            let events = execution.ports.reader.events(after, PAGE).await.ok()?;
            after = events.last()?.position;
            for event in events {
                match event.kind {
                    EventKind::SwitchEngaged { switch: of, .. } => engaged |= of == *switch,
                    EventKind::IntentRecorded(intent) if intent.credential == self.credential => drop(own.insert(intent.call)),
                    EventKind::Admitted(leave) if engaged && own.contains(&leave.call) => admitted += 1,
                    _ => {}
                }
            }
        }
        engaged.then_some(admitted)
    }

    /// Ends the key.
    pub(super) async fn revoke(&self, execution: &Execution) -> Result<(), Outcome> {
        let (key, by) = (self.credential.clone(), By::Caller(execution.principal.clone()));
        change(execution, None, RevokeKey { key, by, event: None }).await.map(drop)
    }
}
