//! Clients that call, and remember what they sent and what they were answered.
//!
//! INVARIANT: a request is in the record before it leaves, and its answer is there as soon as it came. Whoever gets no
//! answer has been told nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forelog::ambient::SystemClock;
use forelog::core::time::Clock;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::history::{Answer, Sent};

/// Randomness that repeats with its seed.
pub struct Dice(AtomicU64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A number below `end`.
    pub fn below(&self, end: u64) -> u64 {
        let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }

    /// One of these.
    pub fn one_of<'a, T>(&self, from: &'a [T]) -> &'a T {
        let last = from.len().max(1) as u64;
        &from[usize::try_from(self.below(last)).expect("a place")]
    }
}

/// Now, as the nodes on this machine see it.
pub fn now() -> i64 {
    SystemClock::start().now().0
}

/// Who calls what, where.
pub struct Load {
    /// Where nodes serve at the moment; none if one is down.
    pub addresses: Arc<Mutex<Vec<Option<String>>>>,
    pub customer: String,
    pub staff: String,
    pub vms: Vec<String>,
    pub dice: Dice,
    client: reqwest::Client,
    sent: Mutex<Vec<Sent>>,
}

impl Load {
    pub fn new(addresses: Arc<Mutex<Vec<Option<String>>>>, keys: [&str; 2], vms: Vec<String>, seed: u64) -> Arc<Self> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().expect("a client");
        let [customer, staff] = keys.map(str::to_owned);
        Arc::new(Self { addresses, customer, staff, vms, dice: Dice::new(seed), client, sent: Mutex::default() })
    }

    /// What was sent until now.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("the record").clone()
    }

    /// How many calls were refused with a code.
    pub fn refusals(&self, code: &str) -> usize {
        let sent = self.sent.lock().expect("the record");
        let codes = sent.iter().filter_map(|sent| sent.answer.as_ref()?.code.as_deref());
        codes.filter(|found| *found == code).count()
    }

    /// How many calls were answered, in whatever way.
    pub fn answers(&self) -> usize {
        self.sent.lock().expect("the record").iter().filter(|sent| sent.answer.is_some()).count()
    }

    /// Calls a tool at one node that serves; nothing if none does or no answer came.
    pub async fn call(&self, key: &str, tool: &str, args: Value) -> Option<Answer> {
        let up: Vec<String> = self.addresses.lock().expect("the addresses").iter().flatten().cloned().collect();
        if up.is_empty() {
            return None;
        }
        self.call_at(self.dice.one_of::<String>(&up), key, tool, args).await
    }

    /// Calls a tool at that node.
    pub async fn call_at(&self, address: &str, key: &str, tool: &str, args: Value) -> Option<Answer> {
        let vm = args["vm_id"].as_str().filter(|id| self.vms.iter().any(|vm| vm == id)).map(str::to_owned);
        let place = {
            let mut sent = self.sent.lock().expect("the record");
            sent.push(Sent { tool: tool.to_owned(), vm, at: now(), answer: None });
            sent.len() - 1
        };
        let url = format!("{address}/api/v1/tools/{tool}");
        let response = self.client.post(url).bearer_auth(key).json(&args).send().await.ok()?;
        let status = response.status().as_u16();
        let header = response.headers().get("forelog-call-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let document: Value = response.json().await.ok()?;
        let error = &document["error"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let call = header.or_else(|| text(&error["call_id"]));
        let (code, run) = (text(&error["code"]), text(&error["details"]["run_id"]));
        let answer = Answer { at: now(), status, call, code, run, document };
        self.sent.lock().expect("the record")[place].answer = Some(answer.clone());
        Some(answer)
    }

    /// Calls as `clients` agents do, and stops and lets go as staff do, until told to stop.
    pub fn run(self: &Arc<Self>, clients: u64, stop: &CancellationToken) -> TaskTracker {
        let tracker = TaskTracker::new();
        for _ in 0..clients {
            let (load, stop) = (Arc::clone(self), stop.clone());
            tracker.spawn(async move {
                while !stop.is_cancelled() {
                    let (tool, args) = load.something();
                    let answer = load.call(&load.customer, tool, args).await;
                    // A client whose server is gone does not hammer at its door.
                    let pause = if answer.is_some() { 5 + load.dice.below(40) } else { 50 };
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
            });
        }
        let (load, stop) = (Arc::clone(self), stop.clone());
        tracker.spawn(async move {
            while !stop.is_cancelled() {
                load.engage().await;
                tokio::time::sleep(Duration::from_millis(50 + load.dice.below(200))).await;
                load.release_all().await;
                let _ = tokio::time::timeout(Duration::from_millis(400 + load.dice.below(800)), stop.cancelled()).await;
            }
        });
        tracker.close();
        tracker
    }

    fn something(&self) -> (&'static str, Value) {
        let vm = self.dice.one_of(&self.vms);
        let reset = json!({ "vm_id": vm, "action": "reset", "confirm": true });
        match self.dice.below(20) {
            0..6 => ("vm_power", reset),
            6..8 => ("vm_power", json!({ "vm_id": vm, "action": "reset" })),
            8..12 => ("vm_get", json!({ "vm_id": vm })),
            12..15 => ("vm_exec", json!({ "vm_id": vm, "command": "echo hello; sleep 0.05" })),
            15..17 => ("command_start", json!({ "vm_id": vm, "command": "sleep 0.2" })),
            17..19 => {
                let key = format!("key-{}", self.dice.below(8));
                ("vm_power", json!({ "vm_id": self.vms[0], "action": "reset", "confirm": true, "idempotency_key": key }))
            }
            _ => ("vm_get", json!({ "vm_id": "nobodys" })),
        }
    }

    async fn engage(&self) {
        let vm = self.dice.one_of(&self.vms);
        let target = match self.dice.below(4) {
            0 => format!("vm:{vm}"),
            1 => format!("vm:{vm}/exec"),
            2 => "tool:vm_power".to_owned(),
            _ => "provider:sim".to_owned(),
        };
        let running = self.dice.one_of(&["let_finish", "cancel"]);
        let args = json!({ "target": target, "reason": "a drill", "running": running });
        self.call(&self.staff, "switch_engage", args).await;
    }

    /// Releases what is engaged, also what was engaged in an answer that got lost; says whether nothing is left.
    pub async fn release_all(&self) -> bool {
        let Some(list) = self.call(&self.staff, "switch_list", json!({})).await.filter(|list| list.status == 200) else {
            return false;
        };
        let mut done = true;
        for switch in list.document["items"].as_array().into_iter().flatten() {
            let args = json!({ "id": switch["id"], "reason": "the drill is over" });
            done &= self.call(&self.staff, "switch_release", args).await.is_some_and(|answer| answer.status == 200);
        }
        done
    }
}
