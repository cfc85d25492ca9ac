//! A history of many accounts, as the writer would have written it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use forelog::core::code::Code;
use forelog::core::event::{Admitted, Ended, EventKind, IntentRecorded, Refused};
use forelog::core::id::{AccountId, CallId, CredentialId, Epoch, EventId, NodeId, Position, SwitchId, UserId, VmId};
use forelog::core::principal::{Side, Via};
use forelog::core::protocol::Protocol;
use forelog::core::scrub::Scrubbed;
use forelog::core::time::{Clock, Entropy, Micros};
use forelog::log::draft::NewEvent;
use forelog::log::reading::Reader;
use forelog::log::store::Want;
use forelog::log::vault::SealedPart;
use forelog::log::writer::Writer;
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600_000_000;
/// Calls of one transaction.
const BATCH: usize = 500;
/// Between two calls: 10^7 events are then about twelve days.
const PACE: i64 = 300_000;

const ACCOUNTS: u64 = 300;
const CREDENTIALS: u64 = 900;
const VMS: u64 = 3_000;
const SESSIONS: u64 = 20_000;
const ADDRESSES: u64 = 4_000;
const SWITCHES: u64 = 40;
pub const TOOLS: [&str; 12] = [
    "vm_list",
    "vm_get",
    "vm_exec",
    "command_get",
    "vm_metrics",
    "operation_get",
    "vm_power",
    "vm_exec_set",
    "vm_rename",
    "vm_reinstall",
    "vm_create",
    "vm_destroy",
];
pub const WORDS: [&str; 24] = [
    "status",
    "restart",
    "nginx",
    "df",
    "apt",
    "update",
    "journalctl",
    "cat",
    "var",
    "log",
    "systemctl",
    "uname",
    "docker",
    "ps",
    "postgres",
    "backup",
    "reboot",
    "certbot",
    "renew",
    "iptables",
    "useradd",
    "passwd",
    "mkfs",
    "shred",
];

/// A clock that runs as fast as it is told.
#[derive(Default)]
pub struct Sped(AtomicI64);

impl Clock for Sped {
    fn now(&self) -> Micros {
        Micros(BEGIN + self.0.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        static STARTED: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        STARTED.get_or_init(Instant::now).elapsed()
    }
}

/// SplitMix64: fast, and the same in every run.
#[derive(Default)]
pub struct Seed(AtomicU64);

impl Seed {
    fn next(&self) -> u64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `0..count`, the small ones far more often: the least of three draws.
    pub fn skewed(&self, count: u64) -> u64 {
        (0..3).map(|_| self.next() % count).min().unwrap_or(0)
    }

    pub fn even(&self, count: u64) -> u64 {
        self.next() % count
    }
}

impl Entropy for Seed {
    fn fill(&self, into: &mut [u8]) {
        for chunk in into.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_be_bytes()[..chunk.len()]);
        }
    }
}

/// The `n`th id of its kind, the same in every run.
struct Nth(u64);

impl Entropy for Nth {
    fn fill(&self, into: &mut [u8]) {
        into.fill(0);
        for (place, byte) in into.iter_mut().rev().zip(self.0.to_be_bytes().into_iter().rev()) {
            *place = byte;
        }
    }
}

pub fn account(n: u64) -> AccountId {
    AccountId::new(Micros(BEGIN), &Nth(n))
}

pub fn credential(n: u64) -> CredentialId {
    CredentialId::new(Micros(BEGIN), &Nth(n))
}

pub fn user(n: u64) -> UserId {
    UserId::new(Micros(BEGIN), &Nth(n))
}

pub fn vm(n: u64) -> VmId {
    VmId::new(Micros(BEGIN), &Nth(n))
}

pub fn switch(n: u64) -> SwitchId {
    SwitchId::new(Micros(BEGIN), &Nth(n))
}

pub fn session(n: u64) -> String {
    format!("{n:032x}")
}

pub fn address(n: u64) -> String {
    format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255)
}

/// A word of the line; the later ones are rare.
pub fn word(seed: &Seed) -> &'static str {
    let at = usize::try_from(seed.skewed(WORDS.len() as u64)).unwrap_or(0);
    WORDS[at]
}

/// A history in the making.
pub struct Past {
    writer: Writer,
    reader: Reader,
    clock: Arc<Sped>,
    pub seed: Arc<Seed>,
    node: NodeId,
    calls: u64,
}

impl Past {
    pub fn new(writer: Writer, reader: Reader, clock: Arc<Sped>, seed: Arc<Seed>) -> Self {
        let node = NodeId::new(Micros(BEGIN), &Nth(1));
        Self { writer, reader, clock, seed, node, calls: 0 }
    }

    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// When the newest call was.
    pub fn now(&self) -> Micros {
        self.clock.now()
    }

    /// Appends calls until there are that many events; answers where the log stands.
    pub async fn fill(&mut self, events: i64) -> Position {
        let mut head = Position(0);
        while head.0 < events {
            let mut batch = Vec::with_capacity(BATCH);
            for _ in 0..BATCH {
                batch.push(self.call().await);
            }
            self.calls += BATCH as u64;
            self.clock.0.fetch_add(PACE * i64::try_from(BATCH).unwrap_or(0), Ordering::SeqCst);
            let append = move |draft: &mut forelog::log::draft::Draft| {
                let mut last = Position(0);
                for events in &batch {
                    last = Position(0);
                    for event in events {
                        last = draft.append(last, event.clone())?;
                    }
                }
                Ok(last)
            };
            head = self.writer.write(Want::default(), append).await.expect("an append");
        }
        head
    }

    /// A call from intent to end: of a hundred, six are refused and four end badly.
    async fn call(&self) -> Vec<NewEvent> {
        let seed = &*self.seed;
        let key = seed.skewed(CREDENTIALS);
        let (account, call) = (account(key % ACCOUNTS), CallId::new(self.clock.now(), seed));
        let mut intent = self.intent(key, &account, &call);
        let (id, kind) = (self.id(), seed.even(1000));
        let text = format!("command={} {} label=web-{}", word(seed), word(seed), seed.skewed(VMS));
        let said = json!({ "args": { "command": text }, "text": text });
        let from = json!({ "ip": address(seed.skewed(ADDRESSES)), "user_agent": "bench" });
        let parts = vec![self.seal(&account, &id, "arguments", &said).await, self.seal(&account, &id, "subject", &from).await];
        if kind < 60 {
            intent.tool = TOOLS[TOOLS.len() - 1 - usize::try_from(seed.skewed(6)).unwrap_or(0)].into();
        }
        let recorded = NewEvent { id, kind: EventKind::IntentRecorded(intent), parts, note: Scrubbed::default() };
        if kind < 60 {
            return vec![recorded, NewEvent::plain(self.id(), EventKind::Refused(refused(seed, call, kind)))];
        }
        let admitted = Admitted {
            call: call.clone(),
            epoch: Epoch(1),
            policy: 1,
            policies: vec!["customers".into()],
            shadows: Vec::new(),
            limits: vec![format!("credential:{}", credential(key)).into()],
            node: Some(self.node.clone()),
            claim: false,
            joins: None,
        };
        let end = |code| Ended::of(call.clone(), self.node.clone(), code);
        let ended = match kind {
            60..90 => EventKind::Failed(end(Some(Code::UpstreamError))),
            90..97 => EventKind::Cancelled(end(Some(Code::Cancelled))),
            97..99 => EventKind::TimedOut(end(Some(Code::Timeout))),
            99 => EventKind::Unknown(end(Some(Code::OutcomeUnknown))),
            _ => EventKind::Succeeded(end(None)),
        };
        vec![recorded, NewEvent::plain(self.id(), EventKind::Admitted(admitted)), NewEvent::plain(self.id(), ended)]
    }

    fn intent(&self, key: u64, account: &AccountId, call: &CallId) -> IntentRecorded {
        let seed = &*self.seed;
        let tool = TOOLS[usize::try_from(seed.skewed(TOOLS.len() as u64)).unwrap_or(0)];
        IntentRecorded {
            call: call.clone(),
            account: account.clone(),
            side: Side::Customer,
            user: user(key % (ACCOUNTS * 2)),
            credential: credential(key),
            via: if seed.even(5) == 0 { Via::Rest } else { Via::Mcp },
            tool: tool.into(),
            tool_version: 1,
            resources: (tool != "vm_list").then(|| vm(seed.skewed(VMS)).into()).into_iter().collect(),
            providers: Vec::new(),
            session: Some(session(seed.skewed(SESSIONS)).into()),
            protocol: Some(Protocol::V2025_11_25),
            follows: None,
            arguments: "00".repeat(32).into(),
            keyed: false,
        }
    }

    fn id(&self) -> EventId {
        EventId::new(self.clock.now(), &*self.seed)
    }

    async fn seal(&self, account: &AccountId, id: &EventId, part: &str, value: &Value) -> SealedPart {
        self.reader.vault.seal(account, self.clock.now(), id, part, &Scrubbed::of(value.clone())).await.expect("a sealed part")
    }
}

fn refused(seed: &Seed, call: CallId, kind: u64) -> Refused {
    let (code, switch_id, policies) = match kind {
        0..30 => (Code::RateLimited, None, Vec::new()),
        30..45 => (Code::PolicyDenied, None, vec![format!("rule-{}", seed.skewed(20)).into()]),
        45..55 => (Code::KillSwitchEngaged, Some(switch(seed.skewed(SWITCHES))), Vec::new()),
        _ => (Code::ConfirmationRequired, None, Vec::new()),
    };
    Refused { call, code, switch: switch_id, policies, policy: 1, epoch: Epoch(1), retry_after_ms: None }
}
