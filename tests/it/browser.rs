//! The console in a real browser, against the real binary: what it looks like to axe, to a keyboard and to a phone, with
//! and without a script.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;

use crate::console::provider::{Provider, client};
use crate::demo::Demo;
use crate::tools;

const TIMEOUT: Duration = Duration::from_mins(2);

/// What a scenario of `admin-ui/e2e/console.mjs` saw.
#[derive(Debug, Deserialize)]
struct Seen {
    violations: Vec<String>,
    errors: Vec<String>,
    elsewhere: Vec<String>,
    overflows: Vec<String>,
    said: Vec<String>,
}

async fn browse(scenario: &str) -> Seen {
    browse_at(&Demo::start().await, scenario).await
}

async fn browse_at(demo: &Demo, scenario: &str) -> Seen {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("admin-ui/e2e/console.mjs");
    let mut command = Command::new(tools::find("FORELOG_NODE"));
    command.arg(script).arg(scenario).arg(demo.data().join("demo.json")).arg(chromium()).kill_on_drop(true);
    let output = tokio::time::timeout(TIMEOUT, command.output()).await.expect("the browser in time").expect("run the browser");
    let (text, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let seen: Seen = serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{fault}: {text}\n{error}\n{}", demo.log()));
    assert!(seen.elsewhere.is_empty(), "a page loads from elsewhere: {seen:#?}");
    seen
}

fn chromium() -> PathBuf {
    tools::find("FORELOG_CHROMIUM")
}

#[tokio::test]
async fn browser_pages_are_accessible_fit_and_are_quiet_in_both_themes() {
    let seen = browse("pages").await;
    assert_eq!(seen.said, ["refused", "vm_exec", "0", "refused", "vm_exec", "0"]);
    assert!(seen.violations.is_empty(), "{:#?}", seen.violations);
    assert!(seen.overflows.is_empty(), "{:#?}", seen.overflows);
    assert!(seen.errors.is_empty(), "{:#?}", seen.errors);
}

#[tokio::test]
async fn browser_a_person_without_a_script_makes_a_key_and_stops_a_vm() {
    let seen = browse("without_a_script").await;
    assert_eq!(seen.said, ["dark", "Connected.", "kill_switch_engaged", "/console/sign-in"]);
}

#[tokio::test]
async fn browser_the_first_call_of_a_key_shows_by_itself() {
    let seen = browse("first_call").await;
    assert_eq!(seen.said, ["Waiting for the first call with this key", "Connected.", "true"]);
    assert!(seen.errors.is_empty(), "{:#?}", seen.errors);
}

#[tokio::test]
async fn browser_everything_is_stopped_by_keyboard_while_an_agent_calls() {
    let seen = browse("incident").await;
    let told = ["The last drill passed.", "0", "done", "kill_switch_engaged", "true", "cancelled"];
    assert_eq!(seen.said, told);
    assert!(seen.violations.is_empty(), "{:#?}", seen.violations);
    assert!(seen.overflows.is_empty(), "{:#?}", seen.overflows);
    assert!(seen.errors.is_empty(), "{:#?}", seen.errors);
}

#[tokio::test]
async fn browser_staff_search_open_a_call_and_come_back_by_keyboard() {
    let seen = browse("staff").await;
    let once = ["vm_power", "tool:vm_get,vm_power last:1h", "true", "main"];
    assert_eq!(seen.said, [once, once].concat());
    assert!(seen.violations.is_empty(), "{:#?}", seen.violations);
    assert!(seen.overflows.is_empty(), "{:#?}", seen.overflows);
    assert!(seen.errors.is_empty(), "{:#?}", seen.errors);
}

#[tokio::test]
async fn browser_times_are_local_a_part_of_the_time_is_drawn_and_the_tail_waits_for_its_reader() {
    let seen = browse("reading").await;
    // UTC, then Tokyo; half of a day and a bar of it, in hours; the file's digest; what the tail shows while it is looked at.
    assert_eq!(seen.said, ["true", "true", "true", "Asia/Tokyo", "true", "12", "0.5", "true", "0"]);
    assert!(seen.violations.is_empty(), "{:#?}", seen.violations);
    assert!(seen.overflows.is_empty(), "{:#?}", seen.overflows);
    assert!(seen.errors.is_empty(), "{:#?}", seen.errors);
}

#[tokio::test]
async fn browser_what_an_agent_did_yesterday_and_what_was_refused_is_three_clicks_away() {
    let seen = browse("tasks").await;
    assert_eq!(seen.said, ["clicks 2", "true", "echo marsupial; exit 3", "exit 3", "clicks 3", "vm_power", "0"]);
    assert!(seen.violations.is_empty(), "{:#?}", seen.violations);
    assert!(seen.overflows.is_empty(), "{:#?}", seen.overflows);
    assert!(seen.errors.is_empty(), "{:#?}", seen.errors);
}

#[tokio::test]
async fn browser_staff_without_a_script_search_by_fields() {
    let seen = browse("staff_without_a_script").await;
    assert_eq!(seen.said, ["-via:console last:24h tool:vm_get", "vm_get", "true", "1"]);
}

#[tokio::test]
async fn browser_the_tail_shows_calls_by_itself_and_waits_when_told_to() {
    let seen = browse("tail").await;
    assert_eq!(seen.said, ["1", "2", "1", "2"]);
    assert!(seen.violations.is_empty(), "{:#?}", seen.violations);
    assert!(seen.overflows.is_empty(), "{:#?}", seen.overflows);
    assert!(seen.errors.is_empty(), "{:#?}", seen.errors);
}

/// The pages of the console that a person opens: its routes, without what answers a form, a script or an issuer.
fn pages() -> Vec<String> {
    const OTHERS: [&str; 6] =
        ["/tail/stream", "/assets/{name}", "/approvals/{id}", "/switches/{id}/live", "/exports/{id}/file", "/welcome/{token}"];
    let source = include_str!("../../src/http/console/mod.rs");
    let routes = source.split(".route(\"").skip(1).filter_map(|route| route.split_once('"'));
    let opened = routes.filter(|(path, rest)| rest.starts_with(", get(") && !path.contains("/oidc/") && !OTHERS.contains(path));
    let mut pages: Vec<String> = opened.map(|(path, _)| path.to_owned()).collect();
    pages.push("/nowhere".into());
    pages.sort();
    pages.dedup();
    pages
}

#[tokio::test]
async fn browser_every_page_fits_a_phone_and_a_tablet() {
    let seen = browse("small").await;
    assert_eq!(seen.said, pages());
    assert!(seen.overflows.is_empty(), "{:#?}", seen.overflows);
    assert!(seen.violations.is_empty(), "{:#?}", seen.violations);
    assert!(seen.errors.is_empty(), "{:#?}", seen.errors);
}

#[tokio::test]
async fn browser_a_key_is_revoked_on_a_phone_and_a_switch_released_by_two_in_three_clicks() {
    let seen = browse("clicks").await;
    let key = ["Revoked: key \u{201c}stolen\u{201d}. It fails on its next request.", "3", "token_revoked"];
    let first = [
        "The text does not match, so the switch was not released.",
        "it is over",
        "Request recorded. Someone other than you has to confirm the release.",
        "0",
    ];
    let second = ["Switch released. Calls are admitted again.", "2"];
    assert_eq!(seen.said, [&key[..], &first, &second].concat());
}

#[tokio::test]
async fn browser_one_palette_leads_from_any_page_by_keyboard() {
    let seen = browse("palette").await;
    let line = "account:acc tool:command_cancel,command_start,vm_exec,vm_exec_set last:24h";
    assert_eq!(seen.said, ["class:exec", "Example Ltd", "outcome:succeeded", line]);
    assert!(seen.violations.is_empty(), "{:#?}", seen.violations);
    assert!(seen.errors.is_empty(), "{:#?}", seen.errors);
}

#[tokio::test]
async fn browser_a_person_signs_in_links_and_unlinks_by_a_provider_with_and_without_a_script() {
    let mut provider = Provider::start().await;
    let named = |key: &str| format!("FORELOG_SIGN_IN__OIDC__PORTAL__{key}");
    let url = provider.url.clone();
    let keys = [
        ("TITLE", "Example"),
        ("ISSUER", url.as_str()),
        ("CLIENT_ID", "portal"),
        ("CLIENT_SECRET", "a secret of portal"),
        ("SIDE", "customer"),
        ("DOMAINS", "[\"example.com\"]"),
    ];
    let variables = keys.map(|(key, value)| (named(key), value));
    let demo = Demo::start_with(&variables.each_ref().map(|(key, value)| (key.as_str(), *value))).await;
    let email = demo.text("/customer/email");
    let people = json!({ "them-1": { "email": email, "email_verified": true } });
    provider.knows(None, &people, &json!([client("portal", demo.text("/base_url"))]), false).await;
    let seen = browse_at(&demo, "issuer").await;
    assert_eq!(seen.said, [email; 3]);
    assert!(seen.violations.is_empty(), "{:#?}", seen.violations);
    assert!(seen.overflows.is_empty(), "{:#?}", seen.overflows);
    assert!(seen.errors.is_empty(), "{:#?}", seen.errors);
}
