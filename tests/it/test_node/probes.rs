//! Probe tools: they count that they ran, and wait while a test holds them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forelog::core::call::Outcome;
use forelog::core::hold::Hold;
use forelog::core::id::CallId;
use forelog::core::redact::Sensitivity;
use forelog::core::refusal::Refusal;
use forelog::core::resource::Resource;
use forelog::core::tool::{Class, Timing, ToolSpec};
use forelog::tools::{Arguments, Execution, Handler, Tool, every_tool};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::fixtures::writing;

/// What the probes did, and what they wait for. Outlives the nodes that it is shared by, as a provider does.
#[derive(Default)]
pub struct World {
    runs: Mutex<HashMap<CallId, u64>>,
    /// Probes stop here while it is shut.
    gate: tokio::sync::watch::Sender<bool>,
    /// Told when a probe has run.
    pub ran: Notify,
    /// What the policies ask for before a probe may run.
    pub(super) hold: Mutex<Option<Hold>>,
}

impl World {
    /// How often this call was executed.
    pub fn runs_of(&self, call: &CallId) -> u64 {
        self.runs.lock().expect("the world").get(call).copied().unwrap_or(0)
    }

    /// How many calls were executed in all.
    pub fn executed(&self) -> Vec<CallId> {
        self.runs.lock().expect("the world").keys().cloned().collect()
    }

    /// From now on the policies ask for this.
    pub fn hold(&self, hold: Option<Hold>) {
        *self.hold.lock().expect("the world") = hold;
    }

    /// Probes stop before they answer.
    pub fn shut(&self) {
        self.gate.send_replace(true);
    }

    /// Probes go on.
    pub fn open(&self) {
        self.gate.send_replace(false);
    }

    fn execute(&self, call: &CallId) {
        *self.runs.lock().expect("the world").entry(call.clone()).or_default() += 1;
        self.ran.notify_waiters();
    }

    /// Returns once `count` calls were executed.
    pub async fn executed_at_least(&self, count: usize) {
        self.until(|| self.executed().len() >= count).await;
    }

    /// Returns once this call was executed `times`.
    pub async fn ran(&self, call: &CallId, times: u64) {
        self.until(|| self.runs_of(call) >= times).await;
    }

    async fn until(&self, holds: impl Fn() -> bool) {
        loop {
            let ran = self.ran.notified();
            if holds() {
                return;
            }
            tokio::time::timeout(Duration::from_secs(20), ran).await.expect("a probe should have run");
        }
    }
}

static WRITE: ToolSpec = writing("probe_write");
static READ: ToolSpec = ToolSpec { class: Class::Read, idempotent: true, ..writing("probe_read") };
static QUEUED: ToolSpec = ToolSpec { timing: Timing::Queued, ..writing("probe_queued") };

pub fn probes(world: &Arc<World>, acts: bool) -> Vec<Tool> {
    let probes = [&WRITE, &READ, &QUEUED].into_iter().map(|facts| probe(facts, world));
    // Whatever administers, stops, or has a route; the VMs of a test node are probes, unless it has a fleet.
    let people = |tool: &Tool| {
        let name = tool.facts.name;
        tool.is_hidden() || name == "operation_get" || !tool.routes.is_empty() || (acts && tool.facts.effect.is_some())
    };
    probes.chain(every_tool().expect("well-formed tools").into_iter().filter(people)).collect()
}

/// A handler is a plain function, so it finds its world here; nextest gives each test a process of its own.
static THE_WORLD: Mutex<Option<Arc<World>>> = Mutex::new(None);

fn probe(facts: &'static ToolSpec, world: &Arc<World>) -> Tool {
    *THE_WORLD.lock().expect("the world") = Some(Arc::clone(world));
    declared(facts, |execution| Box::pin(run_probe(execution)))
}

/// A tool that takes what probes take, and does this.
pub fn declared(facts: &'static ToolSpec, run: fn(Execution) -> BoxFuture<'static, Outcome>) -> Tool {
    let schema = json!({ "type": "object", "additionalProperties": false, "properties": {
        "text": { "type": "string" }, "secret": { "type": "string" }, "vm_id": { "type": "string" },
        "other_vm_id": { "type": "string" }, "provider": { "type": "string" }, "idempotency_key": { "type": "string", "maxLength": 64 },
    } });
    let listed = [
        ("text", Sensitivity::Content),
        ("secret", Sensitivity::Secret),
        ("vm_id", Sensitivity::Public),
        ("other_vm_id", Sensitivity::Public),
        ("provider", Sensitivity::Public),
        ("idempotency_key", Sensitivity::Content),
    ];
    Tool {
        facts,
        title: facts.name,
        description: "Counts that it ran.",
        input: schema,
        output: output(),
        result: json!({
            "type": "object", "properties": { "ran": { "type": "integer" } }, "required": ["ran"], "additionalProperties": false,
        }),
        arguments: listed.into_iter().map(|(name, class)| (name.to_owned(), class)).collect(),
        results: [("ran".to_owned(), Sensitivity::Public)].into_iter().collect(),
        routes: Vec::new(),
        asks: None,
        time_limit: Duration::from_secs(30),
        handler: Box::new(Probe(run)),
    }
}

/// The text with which a probe answers what it does not declare.
pub const LIE: &str = "lie";

/// Takes anything, and does this.
struct Probe(fn(Execution) -> BoxFuture<'static, Outcome>);

impl Handler for Probe {
    fn read(&self, args: &Value) -> Result<Arguments, String> {
        Ok(Arguments::any(args))
    }

    fn guard(&self, _: &Arguments, _: &[Resource]) -> Option<Refusal> {
        None
    }

    fn run(&self, execution: Execution) -> BoxFuture<'static, Outcome> {
        (self.0)(execution)
    }
}

/// What a probe declares, as tools of the product do.
fn output() -> Value {
    let list =
        every_tool().expect("well-formed tools").into_iter().find(|tool| tool.facts.name == "approval_list").expect("a tool");
    let mut output = list.output;
    let fields = output["properties"].as_object_mut().expect("properties");
    fields.remove("items");
    fields.insert("ran".into(), json!({ "type": "integer", "description": "How often." }));
    output
}

async fn run_probe(execution: Execution) -> Outcome {
    let world = THE_WORLD.lock().expect("the world").clone().expect("a plant was built");
    let permit = match execution.permit() {
        Ok(permit) => permit,
        Err(refusal) => return Outcome::Cancelled(refusal.code),
    };
    world.execute(execution.call());
    drop(permit);
    let mut gate = world.gate.subscribe();
    tokio::select! {
        _ = gate.wait_for(|shut| !shut) => {}
        () = execution.cancel.cancelled() => return Outcome::Cancelled(forelog::core::code::Code::Cancelled),
    }
    let lies = execution.args.of::<Value>().is_some_and(|args| args["text"] == LIE);
    let ran = if lies { json!("often") } else { json!(world.runs_of(execution.call())) };
    Outcome::Succeeded(json!({ "ran": ran }).into())
}
