//! A rotated key is the same key with another secret: what it asked for before is its own, through every door, on both
//! databases (P9, P14).
//!
//! Invariant: each case is asked with keys that see nothing but their own, by the secret that came after, by a stranger's, and
//! by that of a key which the asking one has only made.

use std::collections::BTreeSet;

use forelog::core::id::{CredentialId, VmId};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::console::{ConsoleServer, on_both};
use crate::harness::Answer;

on_both! {
    sees_and_cancels, rotated_a_key_sees_and_cancels_what_it_began, postgres_rotated_a_key_sees_and_cancels_what_it_began;
    lists, rotated_a_key_reads_what_it_did_in_lists_events_and_exports, postgres_rotated_a_key_reads_what_it_did_in_lists_events_and_exports;
    stops, rotated_a_key_stops_what_it_began_and_counts_it, postgres_rotated_a_key_stops_what_it_began_and_counts_it;
}

/// A key, and its id.
#[derive(Clone)]
pub struct Made {
    pub text: String,
    pub id: String,
}

/// Whoever administers the account's keys, a house whose VM takes commands, and what keys are confined to.
pub struct Account {
    pub house: ConsoleServer,
    pub admin: String,
    pub vm: VmId,
}

/// What keys of these tests may do; to read the log they need one more.
const SCOPES: [&str; 4] = ["account:read", "vms:read", "vms:exec", "vms:write"];

impl Account {
    /// Makes an account ready.
    pub async fn of(house: ConsoleServer) -> Self {
        let vm = house.one.vm.clone();
        let owner = house.signed_in(&house.one.owner).await;
        let on = owner.submit(&format!("/console/vms/{vm}/exec"), &[("enabled", "true"), ("agreed", "yes")]).await;
        assert_eq!(on.status, StatusCode::SEE_OTHER, "{on:?}");
        let admin = house.key_over_keys(&house.one.account).await;
        Self { house, admin, vm }
    }

    /// Calls a tool.
    pub async fn call(&self, key: &Made, tool: &str, args: Value) -> Answer {
        self.house.call(&key.text, tool, args).await
    }

    /// What makes a key.
    pub async fn by_admin(&self, tool: &str, args: Value) -> Made {
        let answer = self.house.call(&self.admin, tool, args).await;
        assert!(answer.status.is_success(), "{answer:?}");
        let text = |field: &str| answer.json()[field].as_str().expect("a text").to_owned();
        Made { text: text("api_key"), id: text("id") }
    }

    /// A key that sees no more than its own: confined to the VM, or without the right to read the log.
    pub async fn make(&self, confined: bool) -> Made {
        let mut args = json!({ "label": "own", "scopes": SCOPES });
        if confined {
            args["scopes"].as_array_mut().expect("scopes").push(json!("audit:read"));
            args["vms"] = json!([self.vm]);
        }
        self.by_admin("key_create", args).await
    }

    /// Its next secret.
    pub async fn rotate(&self, key: &Made) -> Made {
        self.by_admin("key_rotate", json!({ "id": key.id })).await
    }

    /// A person keeps a key, which then comes from nothing else.
    async fn adopt(&self, key: &Made) {
        let owner = self.house.signed_in(&self.house.one.owner).await;
        let kept = owner.submit(&format!("/console/keys/{}/adopt", key.id), &[("agreed", "yes")]).await;
        assert_eq!(kept.status, StatusCode::SEE_OTHER, "{kept:?}");
    }

    /// A command that runs until it is cancelled.
    pub async fn begin(&self, key: &Made) -> String {
        let started = self.call(key, "command_start", json!({ "vm_id": self.vm, "command": "sleep 3600" })).await;
        assert!(started.status.is_success(), "{started:?}");
        let id = started.json()["command_id"].as_str().expect("a command").to_owned();
        let running = async || {
            let shown = self.call(key, "command_get", json!({ "command_id": id })).await.json();
            shown["status"] == "running" && shown["source"] == "guest"
        };
        let soon = async {
            while !running().await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), soon).await.expect("the command should run");
        id
    }
}

async fn sees_and_cancels(house: ConsoleServer) {
    let account = Account::of(house).await;
    let stranger = Made { text: account.house.other.key.clone(), id: String::new() };
    for confined in [true, false] {
        let first = account.make(confined).await;
        let beside = account.make(confined).await;
        let command = account.begin(&first).await;
        let last = account.rotate(&account.rotate(&first).await).await;
        if confined {
            account.adopt(&last).await;
        }
        let asked = json!({ "command_id": command });
        let operation = json!({ "operation_id": command });
        for (other, who) in [(&stranger, "a stranger's key"), (&beside, "a key that the same one made")] {
            for (tool, args) in
                [("command_get", &asked), ("command_cancel", &asked), ("command_logs", &asked), ("operation_get", &operation)]
            {
                assert_eq!(account.call(other, tool, args.clone()).await.status, StatusCode::NOT_FOUND, "{tool} by {who}");
            }
            let busy = account.call(other, "vm_exec", json!({ "vm_id": account.vm, "command": "true" })).await;
            assert!(!busy.text.contains(&command), "nor is it named to {who}: {busy:?}");
        }
        assert_eq!(account.call(&first, "command_get", asked.clone()).await.status, StatusCode::UNAUTHORIZED, "the old secret");
        for (tool, args) in [("command_get", &asked), ("command_logs", &asked), ("operation_get", &operation)] {
            let shown = account.call(&last, tool, args.clone()).await;
            assert_eq!(shown.status, StatusCode::OK, "{tool}, confined: {confined}: {shown:?}");
        }
        let busy = account.call(&last, "vm_exec", json!({ "vm_id": account.vm, "command": "true" })).await;
        assert_eq!(busy.code(), "vm_command_in_progress", "{busy:?}");
        assert_eq!(busy.json()["error"]["details"]["command_id"], json!(command), "the command of the same key is named");
        let cancelled = account.call(&last, "command_cancel", asked.clone()).await;
        assert_eq!(
            (&cancelled.json()["status"], &cancelled.json()["changed"]),
            (&json!("cancelled"), &json!(true)),
            "{cancelled:?}"
        );
    }
}

/// The items of a list, by one of their fields.
fn listed(answer: &Answer, field: &str) -> BTreeSet<String> {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let items = answer.json()["items"].as_array().expect("a list").clone();
    items.iter().filter_map(|item| item[field].as_str().map(str::to_owned)).collect()
}

async fn lists(house: ConsoleServer) {
    let account = Account::of(house).await;
    let first = account.make(true).await;
    let beside = account.make(true).await;
    let shown = account.call(&first, "vm_get", json!({ "vm_id": account.vm })).await;
    let call = shown.header("forelog-call-id").to_owned();
    let hidden = account.call(&beside, "vm_get", json!({ "vm_id": account.vm })).await.header("forelog-call-id").to_owned();
    let last = account.rotate(&first).await;
    let own = account.call(&last, "vm_list", json!({})).await.header("forelog-call-id").to_owned();
    let house = &account.house;
    for path in ["/api/v1/calls?limit=200", &format!("/api/v1/calls?credential={}", first.id)] {
        let calls = listed(&house.read(&last.text, path).await, "call_id");
        assert!(calls.contains(&call) && !calls.contains(&hidden), "{path}: {calls:?}");
        assert_eq!(calls.contains(&own), !path.contains("credential="), "{path}: {calls:?}");
    }
    assert_eq!(house.read(&last.text, &format!("/api/v1/calls/{call}")).await.status, StatusCode::OK);
    let counted = house.read(&last.text, "/api/v1/calls/histogram").await.json();
    let all = listed(&house.read(&last.text, "/api/v1/calls?limit=200").await, "call_id").len();
    assert_eq!(counted["counted"].as_u64().map(|count| count >= all as u64), Some(true), "{counted}");
    let events = listed(&house.read(&last.text, "/api/v1/events?limit=200").await, "subject");
    assert!(events.contains(&first.id) && events.contains(&last.id) && !events.contains(&beside.id), "{events:?}");
    for id in [&first.id, &last.id] {
        assert_eq!(house.read(&last.text, &format!("/api/v1/keys/{id}")).await.status, StatusCode::OK, "a key knows itself");
    }
    assert_eq!(house.read(&last.text, &format!("/api/v1/keys/{}", beside.id)).await.status, StatusCode::NOT_FOUND);
    // A file of what it did, which comes out the same after it was rotated once more.
    let made = account.call(&last, "export_create", json!({ "form": "jsonl" })).await;
    assert!(made.status.is_success(), "{made:?}");
    let export = made.header("forelog-call-id").to_owned();
    let newest = account.rotate(&last).await;
    account.call(&newest, "vm_list", json!({})).await;
    let file = house.read(&newest.text, &format!("/api/v1/exports/{export}/download")).await;
    assert_eq!(file.status, StatusCode::OK, "{file:?}");
    let held: BTreeSet<String> =
        file.text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a call")["call_id"].to_string()).collect();
    assert!(held.contains(&json!(call).to_string()) && held.contains(&json!(own).to_string()), "{held:?}");
    assert!(!held.contains(&json!(hidden).to_string()), "{held:?}");
}

async fn stops(house: ConsoleServer) {
    let account = Account::of(house).await;
    let first = account.make(true).await;
    let command = account.begin(&first).await;
    let last = account.rotate(&first).await;
    let stopped = account.call(&last, "panic_engage", json!({ "reason": "stop me" })).await.json();
    assert_eq!((&stopped["cancelled"], &stopped["fenced"]), (&json!(1), &json!(true)), "what ran was told to end: {stopped}");
    let id: CredentialId = last.id.parse().expect("an id");
    assert_eq!(stopped["switches"][0]["target"], json!(format!("credential:{id}")));
    let reader = account.house.key_over_keys(&account.house.one.account).await;
    let ended = account.house.call(&reader, "operation_wait", json!({ "operation_id": command })).await.json();
    assert_eq!((&ended["status"], &ended["code"]), (&json!("cancelled"), &json!("kill_switch_engaged")), "{ended}");
    // What is stopped already is not stopped twice, by whatever secret.
    let newest = account.rotate(&last).await;
    let again = account.call(&newest, "panic_engage", json!({ "reason": "once more" })).await.json();
    assert_eq!(again["switches"][0]["id"], stopped["switches"][0]["id"], "{again}");
    assert_eq!(again["cancelled"], 0, "there is nothing left to end: {again}");
    assert_eq!(account.house.events("switch_engaged").await.len(), 1);
}
