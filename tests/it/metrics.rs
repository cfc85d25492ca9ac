//! What operators' machines see: `/metrics` of the real binary, and the dashboard and alerts that are shipped for it.

#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use forelog::core::covering::Covered;
use forelog::core::time::Clock;
use forelog::log::fence::Admissibility;
use reqwest::Method;
use serde_json::{Value, json};

use crate::demo::Demo;
use crate::harness::{TestApp, send};
use crate::postgres::Cluster;

const DASHBOARD: &str = include_str!("../../packaging/grafana/forelog.json");
const RULES: &str = include_str!("../../packaging/prometheus/forelog.rules.yml");
const MANUAL: &str = include_str!("../../docs/operations.md");
const TIMEOUT: Duration = Duration::from_secs(30);

/// A scrape: each sample by its name with its labels.
async fn scrape(demo: &Demo) -> BTreeMap<String, f64> {
    let url = format!("{}/metrics", demo.text("/base_url"));
    samples(&reqwest::get(url).await.expect("an answer").text().await.expect("a body"))
}

fn samples(text: &str) -> BTreeMap<String, f64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
    };
    samples.map(read).collect()
}

async fn call(demo: &Demo, who: &str, tool: &str, args: Value) -> Value {
    let url = format!("{}/api/v1/tools/{tool}", demo.text("/base_url"));
    let request = reqwest::Client::new().post(url).bearer_auth(demo.text(&format!("/{who}/api_key"))).json(&args);
    request.send().await.expect("an answer").json().await.expect("a document")
}

/// Scrapes until it `holds`.
async fn until(demo: &Demo, holds: impl Fn(&BTreeMap<String, f64>) -> bool) -> BTreeMap<String, f64> {
    let scraped = tokio::time::timeout(TIMEOUT, async {
        loop {
            let samples = scrape(demo).await;
            if holds(&samples) {
                return samples;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    if let Ok(samples) = scraped.await {
        return samples;
    }
    panic!("it never held: {:#?}", scrape(demo).await)
}

/// The names that begin with ours in an expression.
fn names(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("forelog_")).map(str::to_owned).collect()
}

fn expressions_of_the_dashboard() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter().filter(|panel| panel["type"] != "row");
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("targets"));
    targets.map(|target| target["expr"].as_str().expect("an expression").to_owned()).collect()
}

fn fields_of_the_rules(field: &str) -> Vec<&'static str> {
    RULES.lines().filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix(field)).map(str::trim).collect()
}

#[tokio::test]
async fn metrics_dashboard_and_alerts_ask_for_what_there_is() {
    let demo = Demo::start().await;
    let vm = demo.text("/vms/0/id");
    call(&demo, "customer", "vm_get", json!({ "vm_id": vm })).await;
    call(&demo, "customer", "vm_get", json!({ "vm_id": "vm_none" })).await;
    let samples = until(&demo, |samples| samples.contains_key("forelog_views_lag_seconds")).await;
    let there: BTreeSet<&str> = samples.keys().map(|name| name.split('{').next().expect("a name")).collect();
    let (dashboard, rules) = (expressions_of_the_dashboard(), fields_of_the_rules("expr: "));
    assert!(dashboard.len() > 20 && rules.len() > 10, "{dashboard:?} {rules:?}");
    for expression in dashboard.iter().map(String::as_str).chain(rules) {
        let names = names(expression);
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            assert!(there.contains(name.as_str()), "{name} of {expression:?} is not in {there:#?}");
        }
    }
}

#[test]
fn metrics_every_alert_is_explained_and_every_explanation_is_of_one() {
    let alerts: BTreeSet<&str> = fields_of_the_rules("alert: ").into_iter().collect();
    let explained = MANUAL.lines().filter_map(|line| line.strip_prefix("### ")).filter(|title| title.starts_with("Forelog"));
    assert_eq!(alerts, explained.collect());
}

#[tokio::test]
async fn metrics_count_what_happened_and_name_nobody() {
    let demo = Demo::start().await;
    let before = scrape(&demo).await;
    let vm = demo.text("/vms/0/id");
    for _ in 0..3 {
        call(&demo, "customer", "vm_get", json!({ "vm_id": vm })).await;
    }
    let refused = call(&demo, "customer", "vm_exec", json!({ "vm_id": vm, "command": "true" })).await;
    assert_eq!(refused["error"]["code"], "mcp_exec_disabled");
    let url = format!("{}/api/v1/switches", demo.text("/base_url"));
    let body = json!({ "target": format!("vm:{vm}"), "reason": "counting" });
    let engaged = reqwest::Client::new().post(url).bearer_auth(demo.text("/staff/api_key")).json(&body).send().await;
    assert!(engaged.expect("an answer").status().is_success());
    let after = until(&demo, |samples| samples.get("forelog_views_lag_events") == Some(&0.0)).await;
    let grown = |name: &str| after[name] - before.get(name).copied().unwrap_or_default();
    assert_eq!(grown("forelog_calls_total{tool=\"vm_get\",status=\"succeeded\",code=\"\"}"), 3.0);
    assert_eq!(grown("forelog_calls_total{tool=\"vm_exec\",status=\"refused\",code=\"mcp_exec_disabled\"}"), 1.0);
    assert!(grown("forelog_calls_ended_total{status=\"succeeded\"}") >= 3.0);
    assert_eq!(after["forelog_switches_engaged"], 1.0);
    assert!(grown("forelog_control_epoch") >= 1.0);
    assert!(grown("forelog_log_position") >= 10.0);
    assert_eq!(after["forelog_log_position"], after["forelog_views_position"]);
    let commits = "forelog_writer_commit_seconds";
    assert!(grown(&format!("{commits}_count")) >= 7.0 && after[&format!("{commits}_sum")] > 0.0);
    assert_eq!(after[&format!("{commits}_bucket{{le=\"+Inf\"}}")], after[&format!("{commits}_count")]);
    assert!(after["forelog_lease_remaining_seconds"] > 0.0 && after["forelog_lease_remaining_seconds"] <= 3.0);
    let healthy = [("forelog_store_up", 1.0), ("forelog_nodes_alive", 1.0), ("forelog_clock_skewed", 0.0)];
    assert!(healthy.iter().all(|(name, value)| after[*name] == *value), "{after:#?}");

    let document = demo.document();
    let text = after.keys().cloned().collect::<Vec<_>>().join("\n");
    let keys = ["customer", "staff"].map(|who| demo.text(&format!("/{who}/api_key")).chars().skip(9).take(6).collect::<String>());
    let vms = document["vms"].as_array().expect("vms").iter().map(|vm| vm["id"].as_str().expect("an id").to_owned());
    for nobody in vms.chain(keys).chain(["acc_".into(), "key_".into(), "example".into(), "web-1".into()]) {
        assert!(!text.contains(&nobody), "{nobody} is in {text}");
    }
}

#[tokio::test]
async fn metrics_show_what_a_crash_left_and_what_became_of_it() {
    let mut demo = Demo::start().await;
    let vm = demo.text("/vms/0/id").to_owned();
    let args = json!({ "vm_id": vm, "enabled": true, "confirmation": format!("ENABLE MCP EXEC {vm}") });
    assert_eq!(call(&demo, "customer", "vm_exec_set", args).await["exec_enabled"], true);
    let started = call(&demo, "customer", "command_start", json!({ "vm_id": vm, "command": "sleep 600" })).await;
    assert!(started["command_id"].is_string(), "{started}");
    until(&demo, |samples| samples["forelog_calls_open{status=\"running\"}"] == 1.0).await;
    demo.kill();
    demo.restart().await;
    let found = |samples: &BTreeMap<String, f64>, family: &str| {
        samples.iter().filter(|(name, _)| name.starts_with(family)).map(|(_, value)| value).sum::<f64>()
    };
    let after = until(&demo, |samples| found(samples, "forelog_recovered_total") >= 1.0).await;
    assert_eq!(after["forelog_recovered_total{as=\"unknown\"}"], 1.0, "{after:#?}");
    let after = until(&demo, |samples| found(samples, "forelog_reconciled_total") >= 1.0).await;
    assert_eq!(after["forelog_calls_ended_total{status=\"unknown\"}"], 1.0, "{after:#?}");
}

/// A scrape of a product in this process.
async fn scrape_app(app: &TestApp) -> BTreeMap<String, f64> {
    samples(&send(app.bare(Method::GET, "/metrics")).await.text)
}

#[tokio::test]
async fn metrics_are_text_as_openmetrics_writes_it() {
    let app = TestApp::start().await;
    app.key(|_| {}).await;
    let answer = send(app.bare(Method::GET, "/metrics")).await;
    assert_eq!(answer.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let (lines, end) = answer.text.rsplit_once("# EOF\n").expect("an end");
    assert_eq!(end, "");
    // Each sample stands below the one line that says of which type its family is.
    let (mut types, mut family) = (BTreeMap::new(), String::new());
    for line in lines.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            family = name.to_owned();
            assert_eq!(types.insert(family.clone(), kind), None, "{name} has two types");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().expect("a name");
            let suffixes: &[&str] = match types.get(&family) {
                Some(&"counter") => &["_total"],
                Some(&"gauge") => &[""],
                Some(&"info") => &["_info"],
                Some(&"histogram") => &["_bucket", "_count", "_sum"],
                kind => panic!("{line}: {kind:?}"),
            };
            let of_family = name.strip_prefix(&family).is_some_and(|suffix| suffixes.contains(&suffix));
            assert!(of_family && name.starts_with("forelog_"), "{line} is below {family}");
        }
    }
    let bound = |line: &str| {
        line.strip_prefix("forelog_writer_batch_entries_bucket{le=\"")?.split_once("\"} ").map(|(_, count)| count.parse().ok())
    };
    let below: Vec<Option<u64>> = lines.lines().filter_map(bound).collect();
    assert!(below.len() == 12 && below.is_sorted() && below[11] > Some(0), "each bucket counts those before it: {below:?}");
}

#[tokio::test]
async fn metrics_age_the_fence_until_the_last_old_section_is_left() {
    let app = TestApp::start().await;
    let (fence, key) = (app.test_node.control.ports.fence(), app.key(|_| {}).await);
    let tool = app.test_node.control.catalogue.get("probe_read").expect("a tool").facts;
    let call = Covered { tool, account: &key.account, credential: &key.id, resources: &[], providers: &[], visible: false };
    let section =
        fence.enter(&call, Admissibility { lease: fence.lease(), at: app.test_node.clock.now() }).expect("nothing stops it");
    app.test_node.clock.pass(Duration::from_secs(1));
    assert_eq!(scrape_app(&app).await["forelog_fence_unconfirmed_seconds"], 0.0, "nothing has changed since");
    app.key(|_| {}).await;
    app.test_node.clock.pass(Duration::from_secs(7));
    app.key(|_| {}).await;
    let old = scrape_app(&app).await;
    assert_eq!(old["forelog_fence_unconfirmed_seconds"], 7.0, "since the first change that it has outlived");
    assert_eq!(old["forelog_lease_remaining_seconds"], 0.0, "nobody beats, and time went by");
    drop(section);
    assert_eq!(scrape_app(&app).await["forelog_fence_unconfirmed_seconds"], 0.0);
}

#[tokio::test]
async fn metrics_tell_of_a_clock_that_cannot_be_trusted() {
    let app = TestApp::start().await;
    app.test_node.clock.jump(-3_600_000_000);
    app.test_node.beat().await;
    assert_eq!(send(app.bare(Method::GET, "/readyz")).await.status, 503);
    assert_eq!(scrape_app(&app).await["forelog_clock_skewed"], 1.0);
    app.test_node.clock.jump(3_600_000_000);
    app.test_node.beat().await;
    assert_eq!(send(app.bare(Method::GET, "/readyz")).await.status, 200);
    assert_eq!(scrape_app(&app).await["forelog_clock_skewed"], 0.0);
}

#[tokio::test]
async fn postgres_metrics_tell_of_a_store_that_is_gone_and_comes_back() {
    let cluster = Cluster::start().await;
    let demo = Demo::start_with(&[("FORELOG_DATABASE_URL", &cluster.fresh_database().await)]).await;
    cluster.stop();
    let refused = call(&demo, "customer", "vm_get", json!({ "vm_id": demo.text("/vms/0/id") })).await;
    assert_eq!(refused["error"]["code"], "audit_unavailable", "{refused}");
    let gone = until(&demo, |samples| samples["forelog_store_up"] == 0.0).await;
    assert!(!gone.contains_key("forelog_log_position"), "what cannot be read is not guessed: {gone:#?}");
    until(&demo, |samples| samples["forelog_lease_remaining_seconds"] == 0.0).await;
    cluster.start_again().await;
    until(&demo, |samples| samples["forelog_store_up"] == 1.0 && samples["forelog_lease_remaining_seconds"] > 0.0).await;
}
