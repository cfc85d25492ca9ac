//! The live tail: nothing missing and nothing twice, also after a break; and searches that the staff keep for each other.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Browser, ConsoleServer, between};

const TIMEOUT: Duration = Duration::from_secs(20);

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    name: String,
    id: String,
    data: Value,
}

impl Told {
    /// Ids are sealed anew each time.
    fn said(&self) -> (&str, &Value) {
        (&self.name, &self.data)
    }
}

/// A stream that is read event by event.
struct Tail {
    response: Response,
    text: String,
}

impl Tail {
    async fn open(browser: &Browser, path: &str, last: Option<&str>) -> Self {
        let mut request = browser.client.get(format!("{}{path}", browser.base));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next event; none if the stream has ended.
    async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let rest = rest.to_owned();
                let field = |name: &str| {
                    let prefix = format!("{name}: ");
                    event.lines().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
                };
                let told = field("event").map(|name| Told {
                    name,
                    id: field("id").expect("an id"),
                    data: serde_json::from_str(&field("data").expect("data")).expect("JSON"),
                });
                self.text = rest;
                match told {
                    Some(told) => return Some(told),
                    None => continue,
                }
            }
            let chunk =
                tokio::time::timeout(TIMEOUT, self.response.chunk()).await.expect("an event in time").expect("the stream");
            self.text.push_str(std::str::from_utf8(&chunk?).expect("UTF-8"));
        }
    }

    /// The calls until the staff are told that this position is reached, and the id of that.
    async fn until(&mut self, position: i64) -> (Vec<Told>, String) {
        let mut told = Vec::new();
        loop {
            let next = self.next().await.expect("the stream goes on");
            if next.data["position"].as_i64().is_some_and(|reached| reached >= position) {
                return (told, next.id);
            }
            told.extend(Some(next).filter(|next| next.name == "call"));
        }
    }
}

on_both! {
    goes_on, console_the_tail_goes_on_after_a_break_without_a_gap_or_a_double, postgres_console_the_tail_goes_on_after_a_break_without_a_gap_or_a_double;
    no_history, console_a_watch_shows_nothing_from_before_it_began, postgres_console_a_watch_shows_nothing_from_before_it_began;
    idle_ends, console_a_watch_ends_when_its_session_is_idle, postgres_console_a_watch_ends_when_its_session_is_idle;
    skips_and_ends, console_the_tail_says_how_much_it_skips_and_ends_with_the_session, postgres_console_the_tail_says_how_much_it_skips_and_ends_with_the_session;
    own_calls_only, console_a_customers_key_watches_its_own_calls_and_no_others, postgres_console_a_customers_key_watches_its_own_calls_and_no_others;
    kept_searches, console_staff_keep_searches_for_each_other_and_forget_their_own, postgres_console_staff_keep_searches_for_each_other_and_forget_their_own;
}

async fn goes_on(console: ConsoleServer) {
    let staff = console.investigator().await;
    let position = async || console.app.node().control.ports.reader.store.head().await.expect("the head").position.0;
    let begun = position().await;
    let path = format!("/console/tail/stream?q=tool:vm_get,unknown&after={begun}");
    let mut tail = Tail::open(&staff, &path, None).await;
    for customer in [&console.one, &console.other] {
        console.call(&customer.key, "vm_list", json!({})).await;
        console.call(&customer.key, "vm_get", json!({ "vm_id": customer.vm })).await;
        console.call(&customer.key, "vm_get", json!({ "vm_id": console.one.vm })).await;
    }
    let head = position().await;
    let (whole, last) = tail.until(head).await;
    // Three calls are admitted and succeed; one asks for what is not its own.
    assert_eq!(whole.len(), 3 * 2 + 1, "{whole:#?}");
    assert!(whole.iter().all(|told| told.data["tool"] == "vm_get"), "{whole:#?}");
    let words: Vec<&str> = whole.iter().map(|told| told.data["word"].as_str().expect("a word")).collect();
    assert_eq!(words.iter().filter(|word| **word == "Succeeded").count(), 3, "{words:?}");
    assert_eq!(words.iter().filter(|word| **word == "Refused").count(), 1, "{words:?}");
    drop(tail);
    // From wherever it broke off, the rest is the same and nothing else.
    for (at, told) in whole.iter().enumerate().take(whole.len() - 1) {
        let mut rest = Tail::open(&staff, &path, Some(&told.id)).await;
        let (rest, _) = rest.until(head).await;
        let said = |all: &[Told]| all.iter().map(|told| format!("{:?}", told.said())).collect::<Vec<_>>();
        assert_eq!(said(&rest), said(&whole[at + 1..]), "after {told:?}");
    }
    // Watching is reading and is written down, once for a watch that goes on after a break.
    let reads = async || console.events("log_read").await.len();
    let once = reads().await;
    assert_eq!(once, 1, "one watch");
    drop(Tail::open(&staff, &path, None).await);
    assert_eq!(reads().await, once + 1, "who does not say where it broke off begins anew");
    drop(Tail::open(&staff, &format!("{path}&q="), Some(&last)).await);
    drop(Tail::open(&staff, "/console/tail/stream?q=tool:vm_list", Some(&last)).await);
    assert_eq!(reads().await, once + 2, "another line is another reading");
    console.clock.pass(Duration::from_secs(61));
    drop(Tail::open(&staff, &path, Some(&last)).await);
    assert_eq!(reads().await, once + 3, "a minute later it is another reading");
}

/// Whatever a client says that it has seen last: who reads what was before lists it, on the record.
async fn no_history(console: ConsoleServer) {
    let staff = console.investigator().await;
    let position = async || console.app.node().control.ports.reader.store.head().await.expect("the head").position.0;
    let mut program = console.browser();
    let mut headers = reqwest::header::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {}", console.one.key).parse().expect("a header"));
    program.client = reqwest::Client::builder().no_proxy().default_headers(headers).build().expect("a client");
    let ask = async || console.call(&console.one.key, "vm_get", json!({ "vm_id": console.one.vm })).await;
    ask().await;
    // The view has all that there is, so that no stream begins before it.
    let activity = &console.app.node().control.ports.activity;
    let caught_up = async || {
        let newest = position().await;
        let reading = async {
            while activity.position().await.expect("the view").0 < newest {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(TIMEOUT, reading).await.expect("the view in time");
        newest
    };
    let old = caught_up().await;
    let stream = "/console/tail/stream?q=tool:vm_get";
    let tries = [
        (&staff, stream.to_owned()),
        (&staff, format!("{stream}&after=0")),
        (&staff, format!("{stream}&after={}", old - 1)),
        (&program, "/api/v1/calls/live?q=tool:vm_get".to_owned()),
    ];
    for (browser, path) in tries {
        let (mut seen, mut since): (Option<String>, Vec<String>) = (None, Vec::new());
        // The second time with the id of a watch that is over.
        for _ in 0..2 {
            let mut tail = Tail::open(browser, &path, seen.as_deref()).await;
            let made = ask().await.header("forelog-call-id").to_owned();
            let first = loop {
                let next = tail.next().await.expect("the stream goes on");
                if next.name == "call" {
                    break next;
                }
            };
            // A connection that nobody has seen break yet goes on, with what came since.
            since.push(made);
            let shown = first.data.to_string();
            assert!(since.iter().any(|call| shown.contains(call)), "nothing from before: {path} {seen:?}: {first:?}");
            seen = Some(first.id);
            drop(tail);
            // The next one begins anew.
            console.clock.pass(Duration::from_secs(61));
            since.push(ask().await.header("forelog-call-id").to_owned());
            caught_up().await;
        }
    }
}

/// Watching is no use of a session: it ends with it, as every page does.
async fn idle_ends(console: ConsoleServer) {
    let staff = console.investigator().await;
    let mut tail = Tail::open(&staff, "/console/tail/stream?q=tool:vm_get", None).await;
    console.clock.pass(Duration::from_mins(61));
    while tail.next().await.is_some() {}
    assert!(!staff.is_signed_in().await);
}

async fn skips_and_ends(console: ConsoleServer) {
    let staff = console.investigator().await;
    // What the page lists is where the stream of that page goes on.
    let page = staff.page("/console/tail?q=outcome:succeeded").await;
    let begun = between(&page, "&#38;after=", "\"").to_owned();
    for _ in 0..30 {
        console.call(&console.one.key, "vm_get", json!({ "vm_id": console.one.vm })).await;
    }
    let mut tail = Tail::open(&staff, &format!("/console/tail/stream?q=outcome:succeeded&after={begun}"), None).await;
    let mut calls = 0;
    let skipped = loop {
        let told = tail.next().await.expect("the stream goes on");
        match told.name.as_str() {
            "call" => calls += 1,
            "skipped" => break told.data["skipped"].as_u64().expect("a number"),
            other => panic!("{other}"),
        }
    };
    assert_eq!((calls, skipped), (25, 5));
    assert_eq!(staff.submit("/console/sign-out", &[]).await.status, StatusCode::SEE_OTHER);
    while tail.next().await.is_some() {}
}

async fn own_calls_only(console: ConsoleServer) {
    let mut browser = console.browser();
    let mut headers = reqwest::header::HeaderMap::new();
    headers.insert("authorization", format!("Bearer {}", console.one.key).parse().expect("a header"));
    browser.client = reqwest::Client::builder().no_proxy().default_headers(headers).build().expect("a client");
    let mut tail = Tail::open(&browser, "/api/v1/calls/live?q=tool:vm_get", None).await;
    console.call(&console.other.key, "vm_get", json!({ "vm_id": console.other.vm })).await;
    console.call(&console.one.key, "vm_get", json!({ "vm_id": console.one.vm })).await;
    let mut told = Vec::new();
    while told.len() < 2 {
        let next = tail.next().await.expect("the stream goes on");
        assert_eq!(next.id.parse::<i64>().ok(), None, "the id tells how busy the log is: {next:?}");
        assert_eq!(next.data["position"], Value::Null, "{next:?}");
        told.extend(Some(next).filter(|next| next.name == "call"));
    }
    assert!(told.iter().all(|told| told.data["account"] == console.one.account.as_str()), "{told:#?}");
    // From an id of one's own it goes on; any other is refused, whoever made it up.
    let mut rest = Tail::open(&browser, "/api/v1/calls/live?q=tool:vm_get", Some(&told[0].id)).await;
    let next = loop {
        let next = rest.next().await.expect("the stream goes on");
        if next.name == "call" {
            break next;
        }
    };
    assert_eq!(next.said(), told[1].said());
    let own = told[0].id.as_str();
    let changed = format!("{}{}", if own.starts_with('A') { 'B' } else { 'A' }, &own[1..]);
    for (key, id) in [
        (&console.other.key, own),
        (&console.one.key, changed.as_str()),
        (&console.one.key, "1"),
        (&console.one.key, "0"),
        (&console.one.key, "-1"),
        (&console.one.key, ""),
        (&console.one.key, "rubbish"),
        (&console.one.key, "9223372036854775808"),
    ] {
        let request = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = request.get(format!("{}/api/v1/calls/live", console.base)).bearer_auth(key).header("last-event-id", id);
        let answer = crate::harness::send(request).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "validation_failed"), "{id:?}");
    }
    let customer = console.signed_in(&console.one.owner).await;
    for path in ["/console/tail", "/console/tail/stream"] {
        assert_eq!(customer.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let staff = console.signed_in(&console.staff).await;
    assert_eq!(staff.get("/console/tail/stream").await.status, StatusCode::SEE_OTHER, "watched without a reason");
}

async fn kept_searches(console: ConsoleServer) {
    let staff = console.investigator().await;
    let kept = staff.submit("/console/searches", &[("name", "<b>Refused</b>"), ("line", "outcome:refused  last:1h")]).await;
    assert_eq!(kept.header("location"), "/console/search?q=outcome%3Arefused%20last%3A1h");
    let reader = console.hire(&console.staff.account, "reader").await;
    let reader = console.signed_in(&reader).await;
    reader.submit("/console/reason", &[("reason", "a drill")]).await;
    let page = reader.page("/console/search").await;
    assert!(page.contains("&#60;b&#62;Refused") && page.contains("staff@example.com"), "{page}");
    assert!(!page.contains("/forget\""), "it is not hers to forget");
    let own = staff.page("/console/search").await;
    let forget = format!("/console/searches/{}/forget", between(&own, "action=\"/console/searches/", "/forget"));
    assert_eq!(reader.submit(&forget, &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(staff.submit(&forget, &[]).await.status, StatusCode::SEE_OTHER);
    assert!(!staff.page("/console/search").await.contains("Refused</b>"));
    let unnamed = staff.submit("/console/searches", &[("name", " "), ("line", "x")]).await;
    assert_eq!(unnamed.status, StatusCode::BAD_REQUEST);
    let customer = console.signed_in(&console.one.owner).await;
    let theirs = customer.submit("/console/searches", &[("name", "x"), ("line", "x")]).await;
    assert_eq!(theirs.status, StatusCode::NOT_FOUND);
}
