//! What tests of the core start from: ids that repeat, and one call that every gate lets through.
//!
//! Invariant: [`Case::new`] is admitted. A test breaks one thing, so that what it then sees is what that thing does.

use std::collections::BTreeMap;
use std::time::Duration;

use forelog::core::call::Status;
use forelog::core::decide::{Decision, DecisionInputs, Limits, decide};
use forelog::core::earlier_terms::TermsInForce;
use forelog::core::event::CredentialCreated;
use forelog::core::id::{AccountId, CallId, CredentialId, Position, SwitchId, UserId, VmId};
use forelog::core::job::{Claim, Idempotency};
use forelog::core::limit::{Limit, Window};
use forelog::core::lineage::LineageRows;
use forelog::core::principal::{Principal, Side, Via};
use forelog::core::proposal::{Proposal, Verdict};
use forelog::core::refusal::Refusal;
use forelog::core::resource::ProviderReach;
use forelog::core::row::Descent;
use forelog::core::scope::Scope;
use forelog::core::state::{Account, ControlState, Credential, PolicySet, Vm};
use forelog::core::switch::{Running, Switch, Target};
use forelog::core::table::Changing;
use forelog::core::terms::Terms;
use forelog::core::time::{Entropy, Micros};
use forelog::core::tool::{Class, EffectKind, Risk, Timing, ToolSpec};

/// 2026-01-01 00:00 UTC.
pub const NEW_YEAR: Micros = Micros(1_767_225_600_000_000);

/// Randomness that is all zeros, so that an id is its time.
pub struct Zeros;

impl Entropy for Zeros {
    fn fill(&self, into: &mut [u8]) {
        into.fill(0);
    }
}

macro_rules! nth {
    ($($name:ident -> $id:ty;)*) => {$(
        /// The `n`th id of its kind.
        pub fn $name(n: i64) -> $id {
            <$id>::new(Micros(NEW_YEAR.0 + n * 1000), &Zeros)
        }
    )*};
}

nth! {
    account -> AccountId;
    invitation -> forelog::core::id::InvitationId;
    call -> CallId;
    credential -> CredentialId;
    event -> forelog::core::id::EventId;
    node -> forelog::core::id::NodeId;
    run -> forelog::core::id::RunId;
    switch -> SwitchId;
    user -> UserId;
    vm -> VmId;
}

/// A tool that changes something, and that a customer may call.
pub const fn writing(name: &'static str) -> ToolSpec {
    ToolSpec { scope: Some(Scope::VmsWrite), class: Class::Write, risk: Risk::R2, idempotent: false, ..ToolSpec::reading(name) }
}

/// A tool that every gate has something to say about.
pub fn command() -> ToolSpec {
    ToolSpec {
        scope: Some(Scope::VmsExec),
        class: Class::Exec,
        timing: Timing::Queued,
        needs_exec: true,
        effect: Some(EffectKind::Command),
        ..writing("vm_exec")
    }
}

/// A call, and everything that its decision reads.
#[derive(Clone)]
pub struct Case {
    pub proposal: Proposal,
    pub now: Micros,
    pub state: ControlState,
    pub windows: BTreeMap<String, Window>,
    pub idempotency: Option<Idempotency>,
    pub claim: Option<Claim>,
    pub last_used: Option<Micros>,
    /// When other keys were last used.
    pub uses: BTreeMap<CredentialId, Micros>,
}

impl Case {
    /// A command on the caller's own VM, by a key that is 100 days old and was used today.
    pub fn new() -> Self {
        let now = NEW_YEAR.plus(Duration::from_hours(100 * 24));
        Self {
            proposal: proposal(),
            now,
            state: state(),
            windows: BTreeMap::new(),
            idempotency: None,
            claim: None,
            last_used: Some(now),
            uses: BTreeMap::from([(credential(1), now)]),
        }
    }

    /// The limits in force.
    pub fn limits(&mut self) -> &mut Limits {
        &mut self.state.terms.as_mut().expect("limits").terms.limits
    }

    /// The same with another tool.
    pub fn with_tool(mut self, tool: ToolSpec) -> Self {
        self.proposal.tool = Some(Box::leak(Box::new(tool)));
        self
    }

    /// The key's row, if there is one.
    pub fn key(&mut self) -> Option<Changing<'_, Credential>> {
        self.state.credentials.get_mut(&credential(1))
    }

    /// Engages a switch.
    pub fn engage(&mut self, target: Target, expires_at: Option<Micros>) {
        self.state.switches.insert(switch(1), engaged(target, expires_at));
    }

    pub fn decide(&self) -> Decision {
        let own = self.proposal.principal.credential.clone();
        let proposal = Proposal { lineage_rows: self.state.lineage_rows(&own), ..self.proposal.clone() };
        let mut uses = self.uses.clone();
        uses.remove(&own);
        uses.extend(self.last_used.map(|used| (own, used)));
        let facts = DecisionInputs {
            now: self.now,
            state: &self.state,
            windows: &self.windows,
            idempotency: self.idempotency.as_ref(),
            joined: self.idempotency.as_ref().map_or(0, |row| row.joined),
            claim: self.claim.as_ref(),
            uses: &uses,
        };
        decide(&proposal, &facts)
    }

    /// The refusal that the decision has to be.
    pub fn refusal(&self) -> Refusal {
        match self.decide() {
            Decision::Refuse { refusal, .. } => refusal,
            other => panic!("not refused but {other:?}"),
        }
    }
}

fn proposal() -> Proposal {
    Proposal {
        call: call(1),
        principal: Principal {
            side: Side::Customer,
            account: account(1),
            user: user(1),
            credential: credential(1),
            via: Via::Mcp,
            ip: None,
            read_only: false,
        },
        lineage_rows: LineageRows { uses: vec![credential(1)], windows: vec![credential(1)] },
        tool: Some(Box::leak(Box::new(command()))),
        resources: vec![vm(1).into()],
        versions: vec![Position(3)],
        reach: ProviderReach::default(),
        invalid: None,
        guard: None,
        enables_exec: false,
        stop: None,
        idempotency: Some(("row".into(), "digest".into())),
        follows: None,
        verdict: Verdict { version: 1, permit: true, policies: vec!["customers".into()], ..Verdict::default() },
        approved: None,
    }
}

fn state() -> ControlState {
    let mut state = ControlState::default();
    for n in [1, 2] {
        state.accounts.insert(account(n), Account { id: account(n), side: Side::Customer, agents_may_enable_exec: true });
    }
    state.credentials.insert(credential(1), key());
    state.vms.insert(vm(1), machine(1, 1));
    state.vms.insert(vm(2), machine(2, 2));
    let ample = Limit { admit: 10, window_ms: 60_000 };
    let limits = Limits { credential: ample, exec: ample, write: ample };
    state.terms = Some(TermsInForce::first(1, Terms { limits, ..Terms::default() }));
    state.policy = Some(PolicySet { version: 1, sha256: "00".repeat(32) });
    state
}

fn key() -> Credential {
    Credential {
        created: key_made(1),
        label: "agent".into(),
        ips: None,
        created_at: NEW_YEAR,
        revoked_at: None,
        descent: Descent::default(),
    }
}

/// What is recorded of the `n`th key, of the first account.
pub fn key_made(n: i64) -> CredentialCreated {
    CredentialCreated {
        credential: credential(n),
        account: account(1),
        user: user(1),
        side: Side::Customer,
        hash: "11".repeat(32).into(),
        prefix: "flk_live_abcd".into(),
        scopes: Scope::customer(),
        vms: None,
        read_only: false,
        expires_at: None,
        limit: None,
        rotates: None,
        role: None,
        made_by: None,
    }
}

/// The `n`th VM, of that account.
pub fn machine(n: i64, owner: i64) -> Vm {
    Vm {
        id: vm(n),
        account: account(owner),
        provider: "sim".into(),
        machine: format!("machine-{n}"),
        label: format!("web-{n}"),
        exec_enabled: true,
        version: Position(3),
    }
}

fn engaged(target: Target, expires_at: Option<Micros>) -> Switch {
    Switch {
        id: switch(1),
        target,
        reason: "an incident".into(),
        message: None,
        by: None,
        credential: None,
        incident: None,
        expires_at,
        running: Running::LetFinish,
        engaged_at: NEW_YEAR,
        position: Position(4),
        release_requested_by: None,
        release_requested_with: None,
        ramp: None,
    }
}

/// The row of an earlier call with the same idempotency key.
pub fn row(now: Micros, arguments: &str, end: Option<Position>) -> Idempotency {
    let expires_at = now.plus(Duration::from_secs(1));
    Idempotency { call: call(7), arguments: arguments.into(), expires_at, end, status: Status::Succeeded, joined: 0 }
}
