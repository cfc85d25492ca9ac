//! One event of every kind, every optional field of it filled, so that what is frozen is frozen in full.

use forelog::core::code::Code;
use forelog::core::event::{
    Admitted, CredentialCreated, DrillCompleted, DrillFault, Ended, EventKind, IntentRecorded, MendedRows, Refused,
};
use forelog::core::id::{Epoch, Position};
use forelog::core::limit::Limit;
use forelog::core::principal::{Side, Via};
use forelog::core::role::Role;
use forelog::core::scope::Scope;
use forelog::core::switch::{Running, Target};

use crate::fixtures::{NEW_YEAR, account, call, credential, invitation, node, run, switch, user, vm};

/// Scopes that came after the golden leaves were written.
const ADDED_LATER: [Scope; 7] = [
    Scope::ApprovalsDecide,
    Scope::StaffApprove,
    Scope::PeopleRead,
    Scope::PeopleWrite,
    Scope::StaffPeople,
    Scope::KeysRead,
    Scope::KeysWrite,
];

/// One of each, in the order of the enum.
pub fn one_of_each() -> Vec<EventKind> {
    let mut kinds = of_a_call();
    kinds.extend(of_switches());
    kinds.extend(of_accounts());
    kinds.extend(of_the_house());
    kinds
}

/// Leave to execute: claimed by a node, or queued.
pub fn admitted(claimed: bool) -> EventKind {
    EventKind::Admitted(Admitted {
        call: call(1),
        epoch: Epoch(4),
        policy: 1,
        policies: vec!["customers".into()],
        shadows: vec!["stricter".into()],
        limits: vec![format!("credential:{}", credential(1)).into()],
        node: claimed.then(|| node(1)),
        claim: true,
        joins: Some(call(3)),
    })
}

fn ended(code: Option<Code>) -> Ended {
    Ended { call: call(1), code, replay_of: Some(call(2)), switch: Some(switch(1)), node: node(1) }
}

fn intent() -> IntentRecorded {
    IntentRecorded {
        call: call(1),
        account: account(1),
        side: Side::Customer,
        user: user(1),
        credential: credential(1),
        via: Via::Mcp,
        tool: "vm_exec".into(),
        tool_version: 1,
        resources: vec![vm(1).into()],
        providers: vec!["sim".into()],
        session: Some("ab".repeat(32).into()),
        protocol: Some(forelog::core::protocol::Protocol::V2025_11_25),
        follows: Some(call(2)),
        arguments: "cd".repeat(32).into(),
        keyed: true,
    }
}

fn of_a_call() -> Vec<EventKind> {
    let refused = Refused {
        call: call(1),
        code: Code::RateLimited,
        switch: Some(switch(1)),
        policies: vec!["customers".into()],
        policy: 1,
        epoch: Epoch(4),
        retry_after_ms: Some(1001),
    };
    let counted = EventKind::RefusalsCounted {
        run: run(1),
        account: account(1),
        credential: credential(1),
        tool: "vm_exec".into(),
        resources: vec![vm(1).into()],
        code: Code::KillSwitchEngaged,
        count: 12,
        first: NEW_YEAR,
        last: NEW_YEAR,
        mixed: false,
    };
    vec![
        EventKind::IntentRecorded(intent()),
        EventKind::Refused(refused),
        admitted(true),
        EventKind::Held { call: call(1), expires_at: NEW_YEAR, terms: None },
        EventKind::Started { call: call(1), node: node(1), epoch: Epoch(4) },
        EventKind::Succeeded(ended(None)),
        EventKind::Failed(ended(Some(Code::UpstreamError))),
        EventKind::Cancelled(ended(Some(Code::KillSwitchEngaged))),
        EventKind::TimedOut(ended(Some(Code::Timeout))),
        EventKind::Unknown(ended(Some(Code::OutcomeUnknown))),
        EventKind::Reconciled { call: call(1), happened: Some(true) },
        EventKind::LateResult { call: call(1) },
        counted,
    ]
}

fn of_switches() -> Vec<EventKind> {
    vec![
        EventKind::SwitchEngaged {
            switch: switch(1),
            target: Target::Resource { id: vm(1).into(), exec_only: true },
            by: Some(user(1)),
            credential: Some(credential(1)),
            running: Running::Cancel,
            expires_at: Some(NEW_YEAR),
        },
        EventKind::ReleaseRequested { switch: switch(1), by: user(1), credential: None },
        EventKind::SwitchReleased { switch: switch(1), by: Some(user(1)), second: Some(user(2)), break_glass: false },
        EventKind::SwitchExpired { switch: switch(1) },
    ]
}

fn of_accounts() -> Vec<EventKind> {
    let created = CredentialCreated {
        credential: credential(1),
        account: account(1),
        user: user(1),
        side: Side::Staff,
        hash: "ef".repeat(32).into(),
        prefix: "flk_live_abcd".into(),
        scopes: Scope::ALL.iter().copied().filter(|scope| !ADDED_LATER.contains(scope)).collect(),
        vms: Some(vec![vm(1)]),
        read_only: true,
        expires_at: Some(NEW_YEAR),
        limit: Some(Limit { admit: 60, window_ms: 60_000 }),
        rotates: Some(credential(2)),
        role: None,
        made_by: None,
    };
    vec![
        EventKind::AccountCreated { account: account(1), side: Side::Customer },
        EventKind::AccountChanged { account: account(1), agents_may_enable_exec: true },
        EventKind::UserCreated {
            user: user(1),
            account: account(1),
            side: Side::Customer,
            role: None,
            invitation: None,
            invited_by: None,
            address: None,
        },
        EventKind::CredentialCreated(created),
        EventKind::CredentialRevoked { credential: credential(1), by: Some(user(1)) },
        EventKind::VmImported { vm: vm(1), account: account(1), provider: "sim".into(), machine: "machine-1".into() },
        EventKind::VmExecSet { vm: vm(1), enabled: true },
        EventKind::ClaimCleared { resource: vm(1).into(), call: call(1), by: Some(user(1)) },
    ]
}

fn of_the_house() -> Vec<EventKind> {
    vec![
        EventKind::PolicyLoaded { version: 1, sha256: "01".repeat(32).into(), by: None, credential: None },
        EventKind::PolicyRejected { sha256: "02".repeat(32).into() },
        EventKind::NodeStarted { node: node(1), version: "0.1.0".into() },
        EventKind::NodeStopped { node: node(1) },
        EventKind::LogRead { user: Some(user(1)), account: Some(account(1)), what: "calls".into() },
        EventKind::SignedIn { user: user(1), session: None, issuer: None },
        EventKind::SignInRefused { user: Some(user(1)), issuer: None },
        EventKind::ClockAccepted { by: Some(user(1)), credential: None, ahead: 0 },
        EventKind::SignedOut { user: user(1), session: Some("ab".repeat(16).into()), by: None },
        EventKind::PasswordSet { user: user(1), session: None },
        EventKind::ApprovalDecided { call: call(1), by: Some(user(2)), credential: Some(credential(2)), approved: true },
        EventKind::ReleaseRamped {
            switch: switch(1),
            by: Some(user(1)),
            second: Some(user(2)),
            until: NEW_YEAR,
            break_glass: false,
        },
        EventKind::RoleChanged { user: user(1), account: account(1), role: Role::Reader, by: Some(user(2)) },
        EventKind::IdentityLinked { user: user(1), issuer: "staff".into(), known_as: None },
        EventKind::IdentityUnlinked { user: user(1), issuer: "staff".into(), known_as: None },
        EventKind::CancelRequested { call: call(1), by: user(1), credential: credential(1) },
        EventKind::DrillCompleted(DrillCompleted {
            drill: call(1),
            by: user(1),
            credential: credential(1),
            switch: Some(switch(1)),
            nodes: 2,
            refused_after_us: Some(4000),
            fenced_after_us: Some(9000),
            admitted_after: Some(1),
            failed: Some(DrillFault::AdmittedLate),
        }),
        EventKind::PersonInvited {
            invitation: invitation(1),
            account: account(1),
            role: Role::Owner,
            by: Some(user(1)),
            credential: None,
            expires_at: NEW_YEAR,
            address: None,
        },
        EventKind::InvitationRevoked { invitation: invitation(1), account: account(1), by: Some(user(1)) },
        EventKind::UserRemoved { user: user(1), account: account(1), by: Some(user(2)) },
        EventKind::CredentialAdopted { credential: credential(1), by: Some(user(1)), with: credential(2) },
        EventKind::StateMended { rows: vec![MendedRows { kind: "credential".into(), written: 2, removed: 1 }], epoch: Epoch(9) },
        EventKind::VouchedFor { user: user(1), issuer: Some("staff".into()), until: Some(NEW_YEAR), gives: None, alone: false },
        EventKind::RoleWithdrawn { user: user(1), account: account(1), issuer: "staff".into(), role: Role::Reader },
        EventKind::LimitsSet { version: 2, terms: Box::default(), by: Some(user(1)), credential: Some(credential(1)) },
        EventKind::AlarmAcknowledged { switch: switch(1), alarm: Position(7), by: user(1), credential: credential(1) },
    ]
}
