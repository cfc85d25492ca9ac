//! The staff's side: searching everything with a reason, landing on ids, accounts, keys, and what happened outside of calls.

use std::time::Duration;

use forelog::core::visibility::Visibility;
use reqwest::StatusCode;
use serde_json::json;

use super::{Browser, ConsoleServer, between, older};

const REASON: &str = "ticket 4711";

impl ConsoleServer {
    /// Somebody of the staff, who has said why they look.
    pub async fn investigator(&self) -> Browser {
        let browser = self.signed_in(&self.staff).await;
        let answer = browser.submit("/console/reason", &[("reason", REASON), ("next", "/console/search")]).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/console/search"), "{answer:?}");
        browser
    }

    async fn busy() -> Self {
        let console = Self::open().await;
        for customer in [&console.one, &console.other] {
            console.call(&customer.key, "vm_get", json!({ "vm_id": customer.vm })).await;
            console.call(&customer.key, "vm_exec", json!({ "vm_id": customer.vm, "command": "true" })).await;
        }
        console
    }
}

/// The page of the staff's search for a line.
pub fn search(line: &str) -> String {
    format!("/console/search?{}", query_of(line))
}

fn query_of(line: &str) -> String {
    let url = reqwest::Url::parse_with_params("http://x/", [("q", line)]).expect("an address");
    url.query().expect("a query").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn console_search_across_accounts_needs_a_reason_and_writes_it_down() {
    let console = ConsoleServer::busy().await;
    let browser = console.signed_in(&console.staff).await;
    for path in ["/console/search", "/console/search?q=tool:vm_get", "/console/events"] {
        let reads = console.events("log_read").await.len();
        let answer = browser.get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}: {answer:?}");
        assert!(answer.header("location").starts_with("/console/reason?next=/console/"), "{answer:?}");
        assert_eq!(console.events("log_read").await.len(), reads, "{path} was read without a reason");
    }
    let reads = console.events("log_read").await.len();
    let overview = browser.page("/console/").await;
    assert!(!overview.contains("/console/calls/") && overview.contains("Say why you look"), "{overview}");
    assert_eq!(console.events("log_read").await.len(), reads, "the overview was read without a reason");
    let own = search(&format!("account:{}", console.one.account));
    assert!(browser.page(&own).await.contains("one-web-1"), "one account needs no reason");
    assert_eq!(browser.submit("/console/reason", &[("reason", "  ")]).await.status, StatusCode::BAD_REQUEST);
    let investigator = console.investigator().await;
    assert!(investigator.page("/console/").await.contains("/console/calls/"), "the overview lists nothing");
    let page = investigator.page("/console/search").await;
    assert!(page.contains("one-web-1") && page.contains("other-db-1") && page.contains(REASON), "{page}");
    let events = investigator.page("/console/events?type=log_read").await;
    assert!(events.contains(REASON), "the reason is not in the event: {events}");
    // Another session of the same browser has to say why again.
    let again = investigator.sign_in(&console.staff.email, &console.staff.password).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    assert_eq!(investigator.get("/console/search").await.status, StatusCode::SEE_OTHER);
    let customer = console.signed_in(&console.one.owner).await;
    for path in ["/console/search", "/console/reason", &format!("/console/accounts/{}", console.one.account)] {
        assert_eq!(customer.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn console_search_says_where_a_line_is_wrong_and_what_excludes_everything() {
    let console = ConsoleServer::busy().await;
    let staff = console.investigator().await;
    let wrong = staff.page(&search("tool:vm_get colour:red")).await;
    let told = between(&wrong, "<pre class=\"caret\"", "</pre>");
    let (line, caret) = told.split_once('>').expect("a tag").1.split_once('\n').expect("two lines");
    assert_eq!(caret.find('^'), line.find("colour"), "{told}");
    assert!(wrong.contains("Column 13"), "{wrong}");
    let empty = staff.page(&search("tool:vm_get outcome:cancelled last:1h")).await;
    assert!(empty.contains("Without <code>outcome:cancelled</code>"), "{empty}");
    let told = |item: &str| {
        between(&empty, &format!("Without <code>{item}</code>:"), "</a>").rsplit_once('>').expect("a link").1.to_owned()
    };
    assert_eq!(told("outcome:cancelled"), "2 calls");
    assert_eq!(told("tool:vm_get"), "0 calls");
    assert_eq!(told("last:1h"), "0 calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_search_fields_and_cells_yield_the_same_line() {
    let console = ConsoleServer::busy().await;
    let staff = console.investigator().await;
    let line = "-outcome:failed tool:vm_exec last:1h";
    let page = staff.page(&search(line)).await;
    assert!(page.contains("value=\"-outcome:failed tool:vm_exec last:1h\""), "{page}");
    // As a browser sends the form: every field with what it showed.
    let form = format!("/console/search?{}&outcome=&was_outcome=&tool=vm_get&was_tool=vm_exec&via=&was_via=", query_of(line));
    let merged = staff.get(&form).await;
    let expected = "/console/search?q=-outcome%3Afailed%20last%3A1h%20tool%3Avm_get";
    assert_eq!(merged.header("location"), expected);
    let listed = staff.page(expected).await;
    assert_eq!(listed.matches("<td class=\"time\">").count(), 2, "{listed}");
    let without = between(&listed, "tool vm_get</span>", "Without tool vm_get").rsplit_once("href=\"").expect("a link").1;
    let without = without.split_once('"').expect("an address").0.replace("&#38;", "&");
    let refused = staff.page(&without).await;
    assert!(refused.contains("-tool:vm_get"), "{refused}");
    let account = format!("account%3A{}", console.one.account);
    assert!(listed.contains(&account) && listed.contains(&format!("-{account}")), "no links to add or exclude the account");
    for time in ["last%3A15m", "last%3A1h", "last%3A24h", "last%3A7d"] {
        assert!(listed.contains(time), "no preset {time}");
    }
    let usual = staff.page("/console/search").await;
    assert!(usual.contains("value=\"-via:console last:24h\""), "the last day is not what is shown first");
    console.clock.pass(Duration::from_hours(25));
    let later = console.investigator().await.page("/console/search?q=vm_get").await;
    assert!(later.contains("Without <code>last:24h</code>: "), "{later}");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_search_pages_never_shift_and_say_what_is_new() {
    let console = ConsoleServer::open().await;
    let call = async || console.call(&console.one.key, "vm_get", json!({ "vm_id": console.one.vm })).await;
    for _ in 0..55 {
        call().await;
    }
    let staff = console.investigator().await;
    let ids = |page: &str| -> Vec<String> {
        let links = page.split("<td class=\"time\"><a href=\"/console/calls/").skip(1);
        links.map(|link| link.split_once('"').expect("an address").0.to_owned()).collect()
    };
    let first = staff.page(&search("tool:vm_get")).await;
    assert!(first.contains("55 calls over time") && !first.contains("there are more"), "{first}");
    let bars = first.matches("<rect class=\"ok\"").count();
    assert!(bars > 0 && first.contains("As a table"), "{bars} bars");
    // A bar is a link to its part of the time: together they hold all calls, and each holds those it says.
    let mut held = 0;
    for bar in first.split("<svg viewBox=\"0 0 960").nth(1).expect("bars").split("<a href=\"").skip(1).take(bars) {
        let (href, rest) = bar.split_once('"').expect("an address");
        let said = between(rest, "succeeded ", "\"").parse::<usize>().expect("a number");
        let narrowed = staff.page(&href.replace("&#38;", "&")).await;
        let calls = if said == 1 { "call" } else { "calls" };
        assert!(narrowed.contains(&format!("{said} {calls} over time")), "{href}: {narrowed}");
        held += said;
    }
    assert_eq!(held, 55);
    let next = older(&first);
    let second = staff.page(&next).await;
    assert!(!second.contains("new calls since"), "{second}");
    for _ in 0..3 {
        call().await;
    }
    let after = staff.page(&next).await;
    assert_eq!(ids(&after), ids(&second), "the page has shifted");
    assert!(after.contains("3 new calls since these pages began"), "{after}");
    assert_eq!(ids(&first).len() + ids(&second).len(), 55);
}

#[tokio::test(flavor = "multi_thread")]
async fn console_an_id_that_is_pasted_leads_to_what_it_names() {
    let console = ConsoleServer::busy().await;
    let staff = console.investigator().await;
    let listed = staff.page("/console/search").await;
    let call = between(&listed, "/console/calls/", "\"").to_owned();
    let key = between(&listed, "/console/credentials/", "\"").to_owned();
    let owned = console.app.node().control.ports.fence().state().credentials.len();
    assert!(owned >= 2);
    for (page, id) in [
        ("calls", call),
        ("vms", console.one.vm.to_string()),
        ("accounts", console.one.account.to_string()),
        ("credentials", key),
    ] {
        let answer = staff.get(&search(&id)).await;
        assert_eq!(answer.header("location"), format!("/console/{page}/{id}"));
        assert_eq!(staff.get(answer.header("location")).await.status, StatusCode::OK, "{id}");
    }
    let reads = console.events("log_read").await.len();
    for given in [console.one.key.clone(), console.one.key.chars().take(15).collect(), format!("tool:vm_get {}", console.one.key)]
    {
        let to = staff.get(&search(&given)).await.header("location").to_owned();
        assert!(to.starts_with("/console/credentials/key_"), "{given} leads to {to}");
        assert!(!to.contains("flk_live_"), "{to}");
    }
    let read = console.events("log_read").await;
    assert_eq!(read.len(), reads + 3, "each is on record");
    for event in &read[reads..] {
        let note = console.app.node().control.ports.reader.part(event, "note", &Visibility::Everything).await.expect("a note");
        let note = note.unwrap_or_default().to_string();
        assert!(!note.contains(&console.one.key[..12]), "a whole key is a secret and must not be written down: {note}");
    }
    let switch = "swi_00000000000000000000000000";
    assert_eq!(staff.get(&search(switch)).await.header("location"), format!("/console/events?subject={switch}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_call_shows_staff_where_it_is_written_and_what_was_around_it() {
    let console = ConsoleServer::busy().await;
    let staff = console.investigator().await;
    let listed = staff.page(&search("tool:vm_get")).await;
    let call = between(&listed, "/console/calls/", "\"").to_owned();
    let page = staff.page(&format!("/console/calls/{call}")).await;
    let raw: serde_json::Value = serde_json::from_str(&staff.page(&format!("/console/calls/{call}/raw")).await).expect("JSON");
    let events = raw["events"].as_array().expect("events");
    assert!(events.len() >= 2, "{raw}");
    for event in events {
        let sha256 = event["sha256"].as_str().expect("a digest");
        assert!(page.matches(sha256).count() >= 2, "{sha256} is not in {page}");
    }
    // The clock of this server stands still: what took no time is not listed.
    assert!(page.contains("In its account") && page.contains("By its key") && !page.contains("<dt>Total</dt>"), "{page}");
    let around = between(&page, "aria-label=\"Within five minutes\"", "By its key").rsplit_once("href=\"").expect("a link").1;
    let around = staff.page(&around.split_once('"').expect("an address").0.replace("&#38;", "&")).await;
    assert!(around.contains(&call), "{around}");
    let told = staff.page("/console/events?type=log_read").await;
    assert!(told.contains(&format!("calls/{call}")), "{told}");
    // The customer is told that staff read it, and by nobody's name.
    let customer = console.signed_in(&console.other.owner).await.page("/console/events?type=log_read").await;
    assert!(customer.contains(&format!("calls/{call}")), "{customer}");
    assert!(!customer.contains("staff@example.com") && !customer.contains(REASON), "{customer}");
    let one = console.signed_in(&console.one.owner).await.page("/console/events?type=log_read").await;
    assert!(!one.contains(&call), "{one}");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_staff_revoke_a_key_and_stop_commands_after_a_page_that_says_what_that_does() {
    let console = ConsoleServer::busy().await;
    let staff = console.investigator().await;
    let account = staff.page(&format!("/console/accounts/{}", console.one.account)).await;
    for part in ["one-web-1", "one&#39;s agent", "one@example.com", "owner", "Limits", "vm_get"] {
        assert!(account.contains(part), "no {part}: {account}");
    }
    assert!(!account.contains("other-db-1"), "{account}");
    let key = between(&account, "/console/credentials/", "\"").to_owned();
    let asked = staff.page(&format!("/console/credentials/{key}/revoke")).await;
    assert!(asked.contains("one&#39;s agent") && asked.contains("fails on its next request"), "{asked}");
    let vm = format!("/console/vms/{}/stop-commands", console.other.vm);
    let asked = staff.page(&vm).await;
    assert!(asked.contains("other-db-1") && asked.contains("no agent can run a command"), "{asked}");
    let reader = console.hire(&console.staff.account, "reader").await;
    let reader = console.signed_in(&reader).await;
    assert_eq!(reader.submit(&format!("/console/credentials/{key}/revoke"), &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(reader.submit(&vm, &[("reason", "x")]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(console.call(&console.one.key, "vm_list", json!({})).await.status, StatusCode::OK);
    let revoked = staff.submit(&format!("/console/credentials/{key}/revoke"), &[]).await;
    assert_eq!(revoked.status, StatusCode::SEE_OTHER, "{revoked:?}");
    assert_eq!(console.call(&console.one.key, "vm_list", json!({})).await.status, StatusCode::UNAUTHORIZED);
    let stopped = staff.submit(&vm, &[("reason", "a miner runs there"), ("message", "Call us.")]).await;
    assert_eq!(stopped.status, StatusCode::SEE_OTHER, "{stopped:?}");
    let answer = console.call(&console.other.key, "vm_exec", json!({ "vm_id": console.other.vm, "command": "true" })).await;
    assert_eq!(answer.json()["error"]["code"], "kill_switch_engaged");
    assert_eq!(console.call(&console.other.key, "vm_get", json!({ "vm_id": console.other.vm })).await.status, StatusCode::OK);
    let history = staff.page("/console/events?type=switch_engaged").await;
    assert!(history.contains("a miner runs there") && history.contains("staff@example.com"), "{history}");
    let theirs = console.signed_in(&console.other.owner).await.page("/console/events").await;
    assert!(theirs.contains("Call us.") && !theirs.contains("a miner"), "{theirs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_staff_export_with_a_reason_and_the_customer_is_told() {
    let console = ConsoleServer::busy().await;
    let silent = console.signed_in(&console.staff).await;
    let refused = silent.submit("/console/exports", &[("q", ""), ("form", "csv")]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "exported without a reason");
    let one = format!("account:{}", console.one.account);
    let made = silent.submit("/console/exports", &[("q", &one), ("form", "csv")]).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{made:?}");
    let place = made.header("location").to_owned();
    let file = silent.page(&format!("{place}/file")).await;
    assert!(file.contains("vm_get") && !file.contains(console.other.account.as_str()), "{file}");
    let told = |page: String| page.matches("an export of calls of this account").count();
    let customer = console.signed_in(&console.one.owner).await;
    assert_eq!(told(customer.page("/console/events?type=log_read").await), 2, "making it and downloading it are told");
    let staff = console.investigator().await;
    let all = staff.submit("/console/exports", &[("q", "tool:vm_get"), ("form", "jsonl")]).await;
    let lines = staff.page(&format!("{}/file", all.header("location"))).await;
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(staff.page("/console/events?type=log_read").await.contains(REASON));
    assert_eq!(told(customer.page("/console/events?type=log_read").await), 4);
    // A file that would be another one is not sent.
    let other = console.hire(&console.staff.account, "reader").await;
    let reader = console.signed_in(&other).await;
    assert_eq!(reader.submit("/console/exports", &[("q", &one), ("form", "csv")]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(reader.get(&format!("{place}/file")).await.status, StatusCode::FORBIDDEN);
    let views = rusqlite::Connection::open(console.dir.path().join("views.db")).expect("the views");
    views.busy_timeout(Duration::from_secs(10)).expect("patience");
    views.execute("update call set text = 'vm_id=other' where tool = 'vm_get'", []).expect("a change");
    let changed = staff.get(&format!("{place}/file")).await;
    assert_eq!(changed.status, StatusCode::CONFLICT, "{changed:?}");
}

const OWN: &str = r#"@id("own") permit (principal, action, resource) when { principal.side == "customer" && resource in principal.account };
@id("no-lists") forbid (principal, action == Forelog::Action::"vm_list", resource);
@id("ask") @hold("it interrupts") permit (principal, action == Forelog::Action::"vm_power", resource) when { resource in principal.account };
@id("staff") permit (principal, action, resource) when { principal.side == "staff" };
"#;

#[tokio::test(flavor = "multi_thread")]
async fn console_a_call_shows_the_text_of_the_policies_that_decided_it_also_when_others_are_in_force() {
    let policies = tempfile::tempdir().expect("a directory");
    let write = |text: &str| std::fs::write(policies.path().join("own.cedar"), text).expect("policies");
    write(OWN);
    let cases = "[[case]]\nname = \"get\"\nside = \"customer\"\nscopes = [\"vms:read\"]\ntool = \"vm_get\"\n\
                 vm = { owner = \"caller\" }\nexpect = \"permit\"\n";
    std::fs::write(policies.path().join("cases.toml"), cases).expect("cases");
    let console = ConsoleServer::with(&format!("policies_dir = \"{}\"\ninstant_wait_ms = 2000", policies.path().display())).await;
    let browser = console.signed_in(&console.one.owner).await;
    console.call(&console.one.key, "vm_get", json!({ "vm_id": console.one.vm })).await;
    console.call(&console.one.key, "vm_list", json!({})).await;
    console.call(&console.one.key, "vm_power", json!({ "vm_id": console.one.vm, "action": "reboot", "confirm": true })).await;
    let page = async |tool: &str| {
        let listed = browser.page(&format!("/console/activity?tool={tool}")).await;
        browser.page(&format!("/console/calls/{}", between(&listed, "/console/calls/", "\""))).await
    };
    for (tool, id, text) in [
        ("vm_get", "own", "resource in principal.account"),
        ("vm_list", "no-lists", "forbid (principal"),
        ("vm_power", "ask", "@hold("),
    ] {
        let page = page(tool).await;
        let rule = between(&page, &format!("Policy <code>{id}</code> of version 1"), "</details>");
        assert!(rule.contains(text), "{tool}: {rule}");
    }
    write(&OWN.replace("@id(\"no-lists\") forbid", "@id(\"no-lists\") // Since Monday.\nforbid"));
    console.app.node().control.ports.policies.reload(None).await.expect("another version");
    console.call(&console.one.key, "vm_exec", json!({ "vm_id": console.one.vm, "command": "true" })).await;
    let old = page("vm_list").await;
    assert!(old.contains("of version 1") && !old.contains("Since Monday"), "{old}");
    console.call(&console.one.key, "vm_list", json!({})).await;
    assert!(page("vm_list").await.contains("of version 2"));
    let staff = console.investigator().await;
    let loaded = staff.page("/console/events?type=policy_loaded").await;
    let change = between(&loaded, "<pre class=\"diff\"", "</pre>");
    assert!(change.contains("<span class=\"came\">+ @id(&#34;no-lists&#34;) // Since Monday.</span>"), "{change}");
    assert!(change.contains("class=\"went\""), "{change}");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_an_administrative_event_shows_before_and_after() {
    let console = ConsoleServer::open().await;
    let browser = console.signed_in(&console.one.owner).await;
    for enabled in ["true", "false"] {
        browser.submit(&format!("/console/vms/{}/exec", console.one.vm), &[("enabled", enabled), ("agreed", "yes")]).await;
    }
    let page = browser.page("/console/events?type=vm_exec_set").await;
    let (off, on) = page.split_once("commands by agents: on</span>").expect("two changes");
    assert!(off.contains("<span class=\"went\">− "), "{page}");
    assert!(on.contains("<span class=\"came\">+ commands by agents: off</span>"), "{page}");
    assert!(browser.page("/console/events?type=credential_created").await.contains("+ scope everything of a customer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_call_is_checked_in_the_page_load_and_says_what_is_not_recorded() {
    let console = ConsoleServer::busy().await;
    let browser = console.signed_in(&console.one.owner).await;
    console.call(&console.one.key, "vm_get", json!({ "vm_id": console.one.vm, "colour": "a secret" })).await;
    let listed = browser.page("/console/activity?tool=vm_get&outcome=refused").await;
    let place = format!("/console/calls/{}", between(&listed, "/console/calls/", "\""));
    let page = browser.page(&place).await;
    assert!(page.contains("Record checked: 2 events in order,"), "{page}");
    assert!(
        page.contains("forelog log verify")
            && page.contains("Revoke key \u{201c}one&#39;s agent\u{201d}")
            && page.contains("#stop\""),
        "{page}"
    );
    browser.submit("/console/keys", &[("label", "laptop"), ("scope", "vms:read")]).await;
    let listed = browser.page("/console/activity?tool=key_create").await;
    let place = format!("/console/calls/{}", between(&listed, "/console/calls/", "\""));
    assert!(browser.page(&place).await.contains("result.api_key: class secret, not recorded"), "a gap is not explained");
    let raw = browser.page(&format!("{place}?as=json")).await;
    assert!(raw.contains("&#34;$redacted&#34;") && !raw.contains("id=\"steps\""), "{raw}");
    let asked = browser.page(between(&page, "<a class=\"button ends\" href=\"", "\"")).await;
    assert!(
        asked.contains("Revoke key \u{201c}one&#39;s agent\u{201d}") && asked.contains("fails on its next request"),
        "{asked}"
    );
}
