//! The incident page: what is stopped, stopping it, watching it stop, and releasing it, each a recorded call.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{ConsoleServer, between, nothing};

/// Where a form led to.
fn led_to(answer: &crate::harness::Answer) -> String {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    answer.header("location").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn console_everything_is_stopped_watched_and_released_by_two_persons() {
    let console = ConsoleServer::open().await;
    let (staff, second) = (console.signed_in(&console.staff).await, console.hire(&console.staff.account, "responder").await);
    let key = &console.one.key;
    for _ in 0..3 {
        assert_eq!(console.call(key, "vm_list", nothing()).await.status, StatusCode::OK);
    }
    let preview = staff.page("/console/switches/new?target=all").await;
    assert!(preview.contains("Stop every call?"), "{preview}");
    assert!(between(&preview, "<dt>customers</dt><dd class=\"count\">", "<") == "2", "{preview}");
    assert!(between(&preview, "over 5 minutes</dt><dd class=\"count\">", "<") != "0.0", "{preview}");
    let nameless = staff.submit("/console/switches", &[("target", "all")]).await;
    assert!(nameless.status.is_client_error(), "a reason is needed: {nameless:?}");

    let engaged = staff.submit("/console/switches", &[("target", "all"), ("reason", "they run <b>wild</b>")]).await;
    let path = led_to(&engaged);
    assert_eq!(console.call(key, "vm_list", nothing()).await.code(), "kill_switch_engaged");
    let page = staff.page(&path).await;
    assert!(page.contains("In force") && page.contains("they run &#60;b&#62;wild"), "{page}");
    assert!(page.contains("<dd class=\"count good\">0</dd>"), "something was let through: {page}");
    let live = staff.page(&format!("{path}/live")).await;
    assert!(live.starts_with("<section") && live.contains("confirmed"), "{live}");
    assert!(staff.page("/console/switches").await.contains(&path), "it is not listed");

    let untyped = staff.submit(&format!("{path}/release"), &[("reason", "over"), ("typed", "al")]).await;
    assert_eq!(untyped.status, StatusCode::BAD_REQUEST);
    led_to(&staff.submit(&format!("{path}/release"), &[("reason", "over"), ("typed", "all")]).await);
    assert!(staff.page(&path).await.contains("has requested the release"), "one person is not enough");
    assert_eq!(console.call(key, "vm_list", nothing()).await.code(), "kill_switch_engaged");
    let other = console.signed_in(&second).await;
    led_to(&other.submit(&format!("{path}/release"), &[("reason", "I looked too"), ("typed", "all")]).await);
    assert_eq!(console.call(key, "vm_list", nothing()).await.status, StatusCode::OK);
    let over = other.page(&path).await;
    for told in ["Over", "Engaged", "Release requested", "Released", "I looked too", "staff@example.com"] {
        assert!(over.contains(told), "{told} is not told: {over}");
    }
    assert!(!over.contains("hx-get"), "nothing is left to watch");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_switch_reaches_what_it_says_and_nothing_else() {
    let console = ConsoleServer::open().await;
    let staff = console.signed_in(&console.staff).await;
    let (vm, other) = (&console.one.vm, &console.other.vm);
    let preview = staff.page(&format!("/console/switches/new?kind=exec&name={vm}")).await;
    assert!(preview.contains("Stop commands on one-web-1?") && preview.contains(&format!("vm:{vm}/exec")), "{preview}");
    for wrong in ["kind=tool&name=", "target=everything", "kind=vm&name=nonsense"] {
        assert_eq!(
            staff.get(&format!("/console/switches/new?{wrong}")).await.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{wrong}"
        );
    }
    let fields = [
        ("target", &*format!("account:{}", console.one.account)),
        ("reason", "billing"),
        ("message", "Call us."),
        ("minutes", "15"),
    ];
    let path = led_to(&staff.submit("/console/switches", &fields).await);
    let refused = console.call(&console.one.key, "vm_get", json!({ "vm_id": vm })).await;
    assert!(refused.text.contains("Call us."), "{refused:?}");
    assert_eq!(console.call(&console.other.key, "vm_get", json!({ "vm_id": other })).await.status, StatusCode::OK);
    assert!(staff.page(&path).await.contains("Every call of the account is stopped"));
    assert_eq!(led_to(&staff.get("/console/switches/new").await), "/console/switches", "a page that asks nothing");
    for (page, target) in [
        (format!("/console/accounts/{}", console.one.account), format!("account:{}", console.one.account)),
        (format!("/console/vms/{}", console.one.vm), format!("vm:{}", console.one.vm)),
    ] {
        let told = staff.page(&page).await;
        assert!(
            told.contains(&format!("href=\"/console/switches/new?target={target}\"")),
            "{page} does not lead to its stop: {told}"
        );
    }
    led_to(&staff.submit(&format!("{path}/release"), &[("reason", "paid")]).await);
    assert_eq!(console.call(&console.one.key, "vm_get", json!({ "vm_id": vm })).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn console_switches_are_for_those_who_may() {
    let console = ConsoleServer::open().await;
    let customer = console.signed_in(&console.one.owner).await;
    let reader = console.hire(&console.staff.account, "reader").await;
    let reader = console.signed_in(&reader).await;
    for path in ["/console/switches", "/console/switches/new?target=all", "/console/switches/swi_01KDVDNA010000000000000000"] {
        assert_eq!(customer.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(!reader.page("/console/switches").await.contains("Stop all agent calls"), "a reader is offered it");
    let tried = reader.submit("/console/switches", &[("target", "all"), ("reason", "why not")]).await;
    assert_eq!(tried.status, StatusCode::FORBIDDEN, "{tried:?}");
    let tried = customer.submit("/console/switches", &[("target", "all"), ("reason", "why not")]).await;
    assert!(tried.status.is_client_error(), "{tried:?}");
    assert_eq!(console.call(&console.other.key, "vm_list", nothing()).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_switch_lets_go_step_by_step_and_stops_again() {
    let console = ConsoleServer::open().await;
    let (staff, second) = (console.signed_in(&console.staff).await, console.hire(&console.staff.account, "responder").await);
    let other = console.signed_in(&second).await;
    let path = led_to(&staff.submit("/console/switches", &[("target", "all"), ("reason", "wild"), ("message", "Soon.")]).await);
    let wish = [("reason", "gently"), ("typed", "all"), ("ramp", "30")];
    led_to(&staff.submit(&format!("{path}/release"), &wish).await);
    assert!(console.events("release_ramped").await.is_empty(), "one person is not enough for a ramp either");
    let odd = other.submit(&format!("{path}/release"), &[("reason", "gently"), ("typed", "all"), ("ramp", "121")]).await;
    assert!(odd.status.is_client_error(), "{odd:?}");
    led_to(&other.submit(&format!("{path}/release"), &wish).await);
    let page = other.page(&path).await;
    for told in ["In force", "The release is under way", "Release begun, key by key", "<dd class=\"count\">0 %</dd>"] {
        assert!(page.contains(told), "{told} is not told: {page}");
    }
    let key = &console.one.key;
    let refused = console.call(key, "vm_list", nothing()).await;
    let error = refused.json()["error"].clone();
    assert_eq!((error["code"].as_str(), error["message"].as_str()), (Some("kill_switch_engaged"), Some("Soon.")), "{error}");
    let after = error["retry_after_ms"].as_u64().expect("when its turn comes");
    assert!(after <= 1_800_000, "{error}");
    let twice = other.submit(&format!("{path}/release"), &wish).await;
    assert_eq!(twice.status, StatusCode::CONFLICT, "whom it has let through it would stop again");

    console.clock.pass(Duration::from_millis(after));
    assert_eq!(console.call(key, "vm_list", nothing()).await.status, StatusCode::OK, "its turn has come");
    let blank = other.submit(&format!("{path}/again"), &[("again", " ")]).await;
    assert!(blank.status.is_client_error() && blank.text.contains("id=\"fault-again\""), "{blank:?}");
    let again = led_to(&other.submit(&format!("{path}/again"), &[("again", "it begins again")]).await);
    assert_ne!(again, path);
    assert_eq!(console.call(key, "vm_list", nothing()).await.code(), "kill_switch_engaged");
    assert!(other.page(&again).await.contains("it begins again"));
    led_to(&staff.submit(&format!("{again}/release"), &[("reason", "over"), ("typed", "all")]).await);

    console.clock.pass(Duration::from_mins(30));
    assert_eq!(console.call(key, "vm_list", nothing()).await.status, StatusCode::OK);
    // The node's next beat announces it.
    let announced = async {
        while console.events("switch_expired").await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), announced).await.expect("the end of a ramp is announced as an expiry is");
    assert!(other.page(&path).await.contains("Ended by itself"));
}

/// Starts a command that never ends by itself, and answers its call.
async fn endless(console: &ConsoleServer, vm: &forelog::core::id::VmId) -> String {
    let started = console.call(&console.one.key, "command_start", json!({ "vm_id": vm, "command": "sleep 3600" })).await;
    started.json()["command_id"].as_str().unwrap_or_else(|| panic!("{started:?}")).to_owned()
}

async fn ended(console: &ConsoleServer, call: &str) -> String {
    let ask = json!({ "operation_id": call, "timeout_seconds": 30 });
    let answer = console.call(&console.one.key, "operation_wait", ask).await.json();
    answer["status"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn console_what_still_runs_is_cancelled_one_by_one_and_all_together() {
    let console = ConsoleServer::open().await;
    let (staff, owner) = (console.signed_in(&console.staff).await, console.signed_in(&console.one.owner).await);
    let reader = console.hire(&console.staff.account, "reader").await;
    let reader = console.signed_in(&reader).await;
    let vm = console.one.vm.clone();
    owner.submit(&format!("/console/vms/{vm}/exec"), &[("enabled", "true"), ("agreed", "yes")]).await;
    let first = endless(&console, &vm).await;
    let path = led_to(&staff.submit("/console/switches", &[("target", &*format!("vm:{vm}/exec")), ("reason", "slow")]).await);
    let running = async |browser: &super::Browser| browser.page(&format!("{path}/live")).await;
    let form = format!("{path}/cancel/{first}");
    let listed = running(&staff).await;
    assert!(listed.contains(&form) && listed.contains("Cancel command_start on one-web-1"), "{listed}");
    assert!(!running(&reader).await.contains("Cancel"), "a reader is offered it");
    assert_eq!(reader.submit(&form, &[]).await.status, StatusCode::FORBIDDEN);
    for stranger in [&owner, &console.signed_in(&console.other.owner).await] {
        assert_eq!(stranger.submit(&form, &[]).await.status, StatusCode::NOT_FOUND, "a customer ends it from here");
    }
    assert!(console.events("cancel_requested").await.is_empty());

    led_to(&staff.submit(&form, &[]).await);
    assert_eq!(ended(&console, &first).await, "cancelled");
    let asked = console.events("cancel_requested").await;
    let told = owner.page(&format!("/console/calls/{first}")).await;
    assert!(asked.len() == 1 && told.contains("Staff asked for its end"), "its customer is not told: {told}");
    led_to(&staff.submit(&form, &[]).await);
    led_to(&staff.submit(&format!("{path}/release"), &[("reason", "over")]).await);

    let second = endless(&console, &vm).await;
    let path = led_to(&staff.submit("/console/switches", &[("target", "class:exec"), ("reason", "slow again")]).await);
    led_to(&staff.submit(&format!("{path}/cancel"), &[]).await);
    assert_eq!(ended(&console, &second).await, "cancelled");
    assert!(!staff.page(&format!("{path}/live")).await.contains("Still running"));
    assert_eq!(console.events("switch_engaged").await.len(), 2, "no further switch is needed for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_drill_is_made_shown_and_missed() {
    let console = ConsoleServer::open().await;
    let staff = console.signed_in(&console.staff).await;
    let page = staff.page("/console/switches").await;
    assert!(page.contains("No drill has been run yet") && page.contains("Run drill"), "{page}");
    assert!(page.contains("Control state is at epoch") && page.contains("confirmed"), "the nodes are not shown: {page}");
    let reader = console.signed_in(&console.hire(&console.staff.account, "reader").await).await;
    assert!(!reader.page("/console/switches").await.contains("Run drill"), "a reader is offered it");
    assert_eq!(reader.submit("/console/switches/drill", &[]).await.status, StatusCode::FORBIDDEN);
    assert!(led_to(&staff.submit("/console/switches/drill", &[]).await).ends_with("#drill"));
    assert_eq!(console.events("drill_completed").await.len(), 1);
    let page = staff.page("/console/switches").await;
    for told in ["The last drill passed", "until the first refusal", "let through under it</dt><dd class=\"count\">0<"] {
        assert!(page.contains(told), "{told} is not told: {page}");
    }
    assert!(
        page.contains("canary of a drill\u{201d} was stopped") && page.contains("by staff@example.com"),
        "no history: {page}"
    );
    let looking = console.investigator().await;
    let overview = console.shows(&looking, "/console/", "No agent has called anything yet.").await;
    assert!(!overview.contains("<li class=\"refused\">"), "a drill is counted among what agents were refused: {overview}");
    console.clock.pass(Duration::from_hours(31 * 24));
    let later = console.signed_in(&console.staff).await;
    assert!(later.page("/console/switches").await.contains("more than 30 days ago"), "an old drill passes for a new one");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_vm_says_what_is_let_through_and_why_not() {
    let console = ConsoleServer::open().await;
    let staff = console.signed_in(&console.staff).await;
    let responder = console.hire(&console.staff.account, "responder").await;
    let second = console.signed_in(&responder).await;
    let (owner, other) = (console.signed_in(&console.one.owner).await, console.signed_in(&console.other.owner).await);
    let vm = format!("/console/vms/{}", console.one.vm);
    assert!(!owner.page(&vm).await.contains("What is allowed now"), "nothing is stopped");
    let targets = [
        ("all", 4, true),
        ("class:exec", 1, true),
        ("provider:sim", 4, true),
        (&*format!("account:{}", console.one.account), 4, false),
        (&*format!("vm:{}", console.one.vm), 4, false),
        (&*format!("vm:{}/exec", console.one.vm), 1, false),
    ];
    for (target, classes, others_too) in targets {
        let fields = [("target", target), ("reason", "ours alone"), ("message", "We look into it.")];
        let path = led_to(&staff.submit("/console/switches", &fields).await);
        let (page, overview) = (owner.page(&vm).await, owner.page("/console/").await);
        let table = between(&page, "What is allowed now", "</table>");
        assert_eq!(table.matches("We look into it.").count(), classes, "{target}: {table}");
        assert_eq!(table.matches(">allowed<").count(), 4 - classes, "{target}: {table}");
        assert!(overview.contains("We look into it."), "{target} is not told on the overview: {overview}");
        assert!(
            overview.contains(if classes == 4 { "</svg>Stopped</span>" } else { "</svg>Partly stopped</span>" }),
            "{overview}"
        );
        assert!(overview.contains(if classes == 4 { "1 VM stopped" } else { "1 VM partly stopped" }), "{overview}");
        assert!(!page.contains("ours alone") && !overview.contains("ours alone"), "a customer reads the staff's reason");
        assert!(staff.page(&vm).await.contains("ours alone"), "{target}: the reason is not on the staff's page");
        let theirs = other.page(&format!("/console/vms/{}", console.other.vm)).await;
        assert_eq!(theirs.contains("We look into it."), others_too, "{target}: {theirs}");
        for person in [&staff, &second] {
            person.submit(&format!("{path}/release"), &[("reason", "over"), ("typed", target)]).await;
        }
        if target == "all" {
            let said = format!("asked for by {}, confirmed by {}", console.staff.email, responder.email);
            assert!(staff.page("/console/switches").await.contains(&said), "who released it for everybody");
            let history = between(&staff.page(&path).await, ">Released<", "</tr>").to_owned();
            assert!(history.contains(&responder.email), "{history}");
        }
    }
}

/// Returns once the first page says so: the views follow what another process wrote.
async fn told(staff: &super::Browser, what: &str) {
    let telling = async {
        while !staff.page("/console/").await.contains(what) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), telling).await.unwrap_or_else(|_| panic!("{what}: nobody is told"));
}

#[tokio::test(flavor = "multi_thread")]
async fn console_use_of_the_data_itself_is_an_alarm_for_a_day() {
    let console = ConsoleServer::open().await;
    let staff = console.signed_in(&console.staff).await;
    let at = ["--data", crate::cli::shown(console.dir.path())];
    let tool = "tool:vm_power";
    let engaged = crate::cli::answer(&[&["switch", "engage", tool, "--reason", "nobody answers"], &at[..]].concat());
    let id = engaged["id"].as_str().expect("an id");
    let ramp = ["switch", "release", id, "--break-glass", "--ramp", "5", "--reason", "gently"];
    assert_eq!(crate::cli::answer(&[&ramp[..], &at[..]].concat())["released"], false);
    let deeds = ["Break glass: a switch was engaged from the command line, by", "Break glass: a switch was made to let go"];
    for deed in deeds {
        told(&staff, deed).await;
    }
    // What others do afterwards pushes no alarm out.
    for n in 0..8 {
        let fields = [("target", "tool:vm_get"), ("reason", "ordinary work"), ("incident", &*format!("{n}"))];
        let path = led_to(&staff.submit("/console/switches", &fields).await);
        staff.submit(&format!("{path}/release"), &[("reason", "over"), ("typed", "tool:vm_get")]).await;
    }
    for deed in deeds {
        assert!(staff.page("/console/").await.contains(deed), "pushed out: {deed}");
    }
    let owner = console.signed_in(&console.one.owner).await;
    assert!(!owner.page("/console/").await.contains("Break glass"), "a customer is told");
    acknowledging_names_who_did(&console, &staff).await;
    let theirs = console.read(&console.one.key, "/api/v1/events?type=alarm_acknowledged").await;
    assert_eq!(theirs.json()["items"], json!([]), "a customer reads of it");
    console.clock.pass(Duration::from_mins(6));
    told(&staff, "A switch has ended by itself").await;
    console.clock.pass(Duration::from_hours(24));
    let later = console.signed_in(&console.staff).await.page("/console/").await;
    assert!(!later.contains("Break glass") && !later.contains("ended by itself"), "for ever: {later}");
}

/// Each alarm is acknowledged by itself, by people of the staff who may stop, and stays for its day.
async fn acknowledging_names_who_did(console: &ConsoleServer, staff: &super::Browser) {
    let page = staff.page("/console/").await;
    assert!(page.contains("2 times in the last day, 2 not acknowledged"), "{page}");
    let alarm = between(&page, "/console/alarms/", "\"").to_owned();
    let wrong = staff.submit("/console/alarms/1", &[("next", "/console/")]).await;
    assert_eq!(wrong.status, StatusCode::NOT_FOUND, "the first event is no alarm: {wrong:?}");
    let key = super::staff_key(console).await;
    let number: i64 = alarm.parse().expect("a position");
    let refusals = [
        (number, &console.one.key, "forbidden_scope"),
        (number, &key, "forbidden_role"),
        (1, &key, "not_found"),
        (0, &key, "validation_failed"),
    ];
    for (position, key, code) in refusals {
        let refused = console.call(key, "alarm_acknowledge", json!({ "alarm": position })).await;
        assert_eq!(refused.code(), code, "{position}: {refused:?}");
        let by_route = console.rest(key, Method::POST, &format!("/alarms/{position}/acknowledge"), None).await;
        assert_eq!(by_route.code(), code, "{position}: {by_route:?}");
    }
    // Said twice it is one event.
    for _ in 0..2 {
        staff.submit(&format!("/console/alarms/{alarm}"), &[("next", "/console/switches")]).await;
    }
    assert_eq!(console.events("alarm_acknowledged").await.len(), 1);
    told(staff, &format!("Acknowledged by {}", console.staff.email)).await;
    assert!(staff.page("/console/").await.contains("2 times in the last day, 1 not acknowledged"), "the other one is open");
}
