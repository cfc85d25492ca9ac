//! What every kind of caller sees by every read that there is: each read of the REST API and each tool that reads, held against a
//! table (`golden/visible.txt`) that somebody has looked at.
//!
//! INVARIANT: the reads are taken from the OpenAPI document and the catalogue, so that a new one fails here until it is in the table.

use std::collections::BTreeMap;
use std::fmt::Write;

use forelog::app::registry::KeySpec;
use forelog::core::id::AccountId;
use forelog::core::role::Role;
use forelog::core::scope::{Scope, ScopeSet};
use forelog::core::tool::Class;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::console::ConsoleServer;
use crate::harness::Answer;

/// Everybody who asks, by name.
async fn callers(house: &ConsoleServer) -> Vec<(&'static str, String)> {
    let of = |account: &AccountId, scopes: ScopeSet| KeySpec { scopes, ..KeySpec::full(account.clone(), "reads") };
    let one = &house.one.account;
    let confined = KeySpec { vms: Some(vec![house.one.vm.clone()]), ..of(one, Role::Owner.scopes()) };
    let without_log = Role::Owner.scopes().into_iter().filter(|scope| *scope != Scope::AuditRead).collect();
    let specs = [
        ("owner", of(one, Role::Owner.scopes())),
        ("member", of(one, Role::Member.scopes())),
        ("confined", confined),
        ("read-only", KeySpec { read_only: true, ..of(one, Role::Owner.scopes()) }),
        ("without the log", of(one, without_log)),
        ("foreign", of(&house.other.account, Role::Owner.scopes())),
        ("staff reader", of(&house.staff.account, Role::Reader.scopes())),
        ("staff responder", of(&house.staff.account, Role::Responder.scopes())),
        ("staff exporter", of(&house.staff.account, Role::Exporter.scopes())),
        ("staff admin", of(&house.staff.account, Role::Admin.scopes())),
    ];
    let mut callers = Vec::new();
    for (name, spec) in specs {
        callers.push((name, house.key_of(spec).await));
    }
    callers
}

/// What may be seen, by the letter that stands for it, and what names it.
struct Planted {
    marks: Vec<(char, String)>,
    ids: BTreeMap<&'static str, [String; 2]>,
}

impl Planted {
    async fn test_node(house: &ConsoleServer) -> Self {
        let second = house.import(&house.one.account, "db-2", "second").await;
        let called = async |key: &str, vm: &str| {
            let answer = house.call(key, "vm_get", json!({ "vm_id": vm })).await;
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            answer.header("forelog-call-id").to_owned()
        };
        let own = called(&house.one.key, house.one.vm.as_str()).await;
        let hidden = called(&house.one.key, second.as_str()).await;
        let foreign = called(&house.other.key, house.other.vm.as_str()).await;
        let staff = house.key_of_staff().await;
        let engage = async |vm: &str| {
            let asked = json!({ "target": format!("vm:{vm}"), "reason": "a test", "message": "a message" });
            let answer = house.rest(&staff, Method::POST, "/switches", Some(asked)).await;
            assert!(answer.status.is_success(), "{answer:?}");
            answer.json()["id"].as_str().expect("a switch").to_owned()
        };
        let state = house.app.node().control.ports.fence().state();
        let key_of = |account: &AccountId| state.keys_of(account).next().expect("a key").created.credential.to_string();
        let (one, other) = (&house.one, &house.other);
        let (keys, people) =
            ([key_of(&one.account), key_of(&other.account)], [one.owner.user.to_string(), other.owner.user.to_string()]);
        let switches = [engage(one.vm.as_str()).await, engage(other.vm.as_str()).await];
        let vms = [one.vm.to_string(), other.vm.to_string()];
        let marks = vec![
            ('c', own.clone()),
            ('h', hidden),
            ('C', foreign.clone()),
            ('v', vms[0].clone()),
            ('w', second.to_string()),
            ('V', vms[1].clone()),
            ('k', keys[0].clone()),
            ('K', keys[1].clone()),
            ('p', people[0].clone()),
            ('P', people[1].clone()),
            ('S', house.staff.user.to_string()),
            ('s', switches[0].clone()),
            ('T', switches[1].clone()),
        ];
        let accounts = [one.account.to_string(), other.account.to_string()];
        let ids = BTreeMap::from([
            ("call", [own, foreign]),
            ("vm", vms),
            ("key", keys),
            ("person", people),
            ("account", accounts),
            ("switch", switches),
        ]);
        Self { marks, ids }
    }

    fn seen(&self, answer: &Answer) -> String {
        let code = if answer.status.is_success() { String::new() } else { answer.code() };
        let marks: String =
            self.marks.iter().filter(|(_, id)| answer.text.contains(id.as_str())).map(|(mark, _)| *mark).collect();
        [answer.status.as_str(), &code, &marks].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ")
    }

    /// The addresses that a path of the document stands for: with an id of each customer. None of what is no single answer.
    fn addresses(&self, path: &str) -> Vec<(String, String)> {
        let kind = match path {
            "/api/v1/calls/live" | "/api/v1/exports/{id}/download" => return Vec::new(),
            "/api/v1/calls/{id}" => "call",
            "/api/v1/keys/{id}" => "key",
            "/api/v1/accounts/{id}" => "account",
            "/api/v1/people/{id}/sessions" => "person",
            "/api/v1/switches/reach" => {
                let asked = |target: &str| format!("/switches/reach?target={target}&reason=why");
                return vec![("GET /switches/reach of all".into(), asked("all"))];
            }
            plain if !plain.contains('{') => {
                let path = plain.trim_start_matches("/api/v1");
                return vec![(format!("GET {path}"), path.to_owned())];
            }
            other => panic!("say here with which ids {other} is asked"),
        };
        let path = path.trim_start_matches("/api/v1");
        let with = |(whose, id): (&str, &String)| (format!("GET {path} {whose}"), path.replace("{id}", id));
        ["of one", "of the other"].into_iter().zip(&self.ids[kind]).map(with).collect()
    }

    /// The arguments that a tool is asked with.
    fn arguments(&self, tool: &str, schema: &Value) -> Vec<(String, Value)> {
        let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let kind = match required.as_slice() {
            // What a caller has typed is among its own calls.
            [] if schema["properties"]["limit"].is_object() => return vec![(tool.to_owned(), json!({ "limit": 100 }))],
            [] => return vec![(tool.to_owned(), json!({}))],
            ["vm_id"] => ("vm_id", "vm"),
            [name] if schema["properties"][name]["enum"].is_array() => {
                let words = schema["properties"][name]["enum"].as_array().into_iter().flatten();
                return words.map(|word| (format!("{tool} {word}"), json!({ *name: word }))).collect();
            }
            [name @ ("operation_id" | "command_id" | "call_id" | "event_id" | "id")] => (*name, "call"),
            other => panic!("say here with which {other:?} {tool} is asked"),
        };
        let with = |(whose, id): (&str, &String)| (format!("{tool} {whose}"), json!({ kind.0: id }));
        ["of one", "of the other"].into_iter().zip(&self.ids[kind.1]).map(with).collect()
    }
}

/// A line for each caller who sees the same as nobody before them.
fn write(table: &mut String, read: &str, cells: Vec<(&str, String)>) {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (caller, cell) in cells {
        match groups.iter_mut().find(|(said, _)| *said == cell) {
            Some((_, callers)) => callers.push(caller),
            None => groups.push((cell, vec![caller])),
        }
    }
    writeln!(table, "{read}").expect("a line");
    for (cell, callers) in groups {
        writeln!(table, "    {cell:<40} {}", callers.join(", ")).expect("a line");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visible_is_what_the_table_says_to_every_kind_of_caller() {
    let house = ConsoleServer::open().await;
    let planted = Planted::test_node(&house).await;
    let callers = callers(&house).await;
    let mut table = String::from(
        "What each caller sees by each read. Calls c (of their VM), h (of another VM of the account), C (of the other account); VMs v, w, V; keys k, K;\n\
         people p, P, S (staff); switches s, T. A capital is of the other account, or of the staff.\n\n",
    );
    let document = house.read(&house.one.key, "/api/v1/openapi.json").await.json();
    for (path, item) in document["paths"].as_object().expect("paths") {
        if item["get"].is_null() || path == "/api/v1" || path.ends_with("openapi.json") {
            continue;
        }
        for (read, address) in planted.addresses(path) {
            let mut cells = Vec::new();
            for (name, key) in &callers {
                cells.push((*name, planted.seen(&house.rest(key, Method::GET, &address, None).await)));
            }
            write(&mut table, &read, cells);
        }
    }
    for tool in house.app.node().control.catalogue.iter().filter(|tool| tool.facts.class == Class::Read) {
        for (read, args) in planted.arguments(tool.facts.name, &tool.input) {
            let mut cells = Vec::new();
            for (name, key) in &callers {
                cells.push((*name, planted.seen(&house.call(key, tool.facts.name, args.clone()).await)));
            }
            write(&mut table, &read, cells);
        }
    }
    if table != include_str!("golden/visible.txt") {
        let found = concat!(env!("CARGO_TARGET_TMPDIR"), "/visible.txt");
        std::fs::write(found, &table).expect("a file");
        panic!("callers see something else than tests/it/golden/visible.txt says: look at what differs in {found}");
    }
}
