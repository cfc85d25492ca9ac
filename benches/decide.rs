//! What deciding a call costs: the policies' verdict, and the pure decision in the writer.
#![expect(clippy::expect_used, reason = "a bench fails by panicking")]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use forelog::core::decide::{Decision, DecisionInputs, decide};
use forelog::core::earlier_terms::TermsInForce;
use forelog::core::event::CredentialCreated;
use forelog::core::id::{AccountId, CallId, CredentialId, Position, UserId, VmId};
use forelog::core::limit::Limit;
use forelog::core::lineage::LineageRows;
use forelog::core::principal::{Principal, Side, Via};
use forelog::core::proposal::{Proposal, Verdict};
use forelog::core::resource::ProviderReach;
use forelog::core::row::Descent;
use forelog::core::scope::Scope;
use forelog::core::state::{Account, ControlState, Credential, PolicySet, Vm};
use forelog::core::terms::{Limits, Terms};
use forelog::core::time::{Entropy, Micros};
use forelog::core::tool::{Class, Risk, ToolSpec};
use forelog::policy::{Policies, Query};

struct Zeros;

impl Entropy for Zeros {
    fn fill(&self, into: &mut [u8]) {
        into.fill(0);
    }
}

const NOW: Micros = Micros(1_767_225_600_000_000);

const fn tool(name: &'static str, class: Class, scope: Scope) -> ToolSpec {
    ToolSpec { scope: Some(scope), class, risk: Risk::R2, idempotent: false, ..ToolSpec::reading(name) }
}

static TOOLS: [ToolSpec; 5] = [
    tool("vm_list", Class::Read, Scope::VmsRead),
    tool("vm_get", Class::Read, Scope::VmsRead),
    tool("vm_power", Class::Write, Scope::VmsPower),
    tool("vm_exec", Class::Exec, Scope::VmsExec),
    tool("switch_engage", Class::Control, Scope::StaffSwitch),
];

fn principal() -> Principal {
    Principal {
        side: Side::Customer,
        account: AccountId::new(NOW, &Zeros),
        user: UserId::new(NOW, &Zeros),
        credential: CredentialId::new(NOW, &Zeros),
        via: Via::Mcp,
        ip: "192.0.2.1".parse().ok(),
        read_only: false,
    }
}

fn machine(owner: &Principal) -> Vm {
    Vm {
        id: VmId::new(NOW, &Zeros),
        account: owner.account.clone(),
        provider: "sim".into(),
        machine: "m1".into(),
        label: "web".into(),
        exec_enabled: true,
        version: Position(1),
    }
}

fn state(who: &Principal, vm: &Vm) -> ControlState {
    let created = CredentialCreated {
        credential: who.credential.clone(),
        account: who.account.clone(),
        user: who.user.clone(),
        side: who.side,
        hash: "h".into(),
        prefix: "p".into(),
        scopes: Scope::customer(),
        vms: None,
        read_only: false,
        expires_at: None,
        limit: None,
        rotates: None,
        role: None,
        made_by: None,
    };
    let mut state = ControlState::default();
    let account = Account { id: who.account.clone(), side: who.side, agents_may_enable_exec: false };
    state.accounts.insert(who.account.clone(), account);
    let row =
        Credential { created, label: String::new(), ips: None, created_at: NOW, revoked_at: None, descent: Descent::default() };
    state.credentials.insert(who.credential.clone(), row);
    state.vms.insert(vm.id.clone(), vm.clone());
    state.policy = Some(PolicySet { version: 1, sha256: String::new() });
    state
}

fn bench(criterion: &mut Criterion) {
    let tools: Vec<_> = TOOLS.iter().collect();
    let policies = Policies::new(&tools).expect("a schema");
    policies.install(1, &policies.load_default().expect("the default set"));
    let (who, scopes) = (principal(), Scope::customer());
    let vm = machine(&who);
    let about = vm.resource();
    let query = Query { principal: &who, scopes: &scopes, read_only: false, tool: &TOOLS[2], resource: Some(&about) };
    let verdict = policies.evaluate(&query);
    assert!(verdict.permit);
    criterion.bench_function("policy verdict", |bench| bench.iter(|| policies.evaluate(black_box(&query))));

    let proposal = proposal(&who, &vm, verdict);
    let limit = Limit { admit: 1000, window_ms: 60_000 };
    let limits = Limits { credential: limit, exec: limit, write: limit };
    let (mut state, windows) = (state(&who, &vm), BTreeMap::new());
    state.terms = Some(TermsInForce::first(1, Terms { limits, ..Terms::default() }));
    let uses = BTreeMap::from([(who.credential.clone(), NOW)]);
    let proposal = Proposal { lineage_rows: state.lineage_rows(&who.credential), ..proposal };
    let facts =
        DecisionInputs { now: NOW, state: &state, windows: &windows, idempotency: None, joined: 0, claim: None, uses: &uses };
    assert!(matches!(decide(&proposal, &facts), Decision::Admit(_)));
    criterion.bench_function("decide", |bench| bench.iter(|| decide(black_box(&proposal), black_box(&facts))));
}

fn proposal(who: &Principal, vm: &Vm, verdict: Verdict) -> Proposal {
    Proposal {
        call: CallId::new(NOW, &Zeros),
        principal: who.clone(),
        lineage_rows: LineageRows::default(),
        tool: Some(&TOOLS[2]),
        resources: vec![(&vm.id).into()],
        versions: vec![vm.version],
        reach: ProviderReach::default(),
        invalid: None,
        guard: None,
        enables_exec: false,
        stop: None,
        idempotency: None,
        follows: None,
        verdict,
        approved: None,
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
