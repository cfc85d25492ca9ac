//! Who is signed in, from the form to the end of the session.

use std::time::Duration;

use forelog::app::App;
use forelog::auth::session::{IDLE, MAX_SESSION};
use forelog::core::event::EventKind;
use reqwest::StatusCode;
use std::sync::Arc;

use super::{BEGINNING, Browser, ConsoleServer, between, config};
use crate::test_node::TestClock;

fn cookie(answer: &crate::harness::Answer) -> String {
    between(answer.header("set-cookie"), "forelog-session=", ";").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn console_signing_in_and_out_is_written_down_and_ends_the_session() {
    let console = ConsoleServer::open().await;
    let browser = console.browser();
    let away = browser.get("/console/activity?tool=vm_exec").await;
    assert_eq!(away.status, StatusCode::SEE_OTHER);
    assert_eq!(away.header("location"), "/console/sign-in?next=/console/activity%3Ftool%3Dvm_exec");
    let answer = browser.sign_in("one@example.com", &console.one.owner.password).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/console/"));
    let token = cookie(&answer);
    assert!(browser.page("/console/").await.contains("one@example.com"));
    let out = browser.submit("/console/sign-out", &[]).await;
    assert_eq!((out.status, out.header("location")), (StatusCode::SEE_OTHER, "/console/sign-in"));
    assert!(!browser.is_signed_in().await);
    let replay =
        browser.client.get(format!("{}/console/account", console.base)).header("cookie", format!("forelog-session={token}"));
    assert_eq!(crate::harness::send(replay).await.status, StatusCode::SEE_OTHER, "a cookie outlives its session");
    let (ins, outs) = (console.events("signed_in").await, console.events("signed_out").await);
    let (EventKind::SignedIn { user, session, issuer: None }, EventKind::SignedOut { user: left, session: ended, by: None }) =
        (&ins[0].kind, &outs[0].kind)
    else {
        panic!("{ins:?} {outs:?}")
    };
    assert_eq!((user, left, session), (&console.one.owner.user, &console.one.owner.user, ended));
    assert!(session.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_console_sessions_begin_and_end_on_postgresql_too() {
    let database = crate::postgres::fresh_database().await;
    let console = ConsoleServer::with(&format!("database_url = \"{database}\"")).await;
    let (here, there) = (console.signed_in(&console.one.owner).await, console.signed_in(&console.one.owner).await);
    console.clock.pass(Duration::from_mins(30));
    assert!(here.is_signed_in().await && there.is_signed_in().await);
    here.submit("/console/sign-out", &[]).await;
    assert!(!here.is_signed_in().await && there.is_signed_in().await);
    console.clock.pass(Duration::from_mins(45));
    assert!(there.is_signed_in().await, "the use was not noted");
    there.submit("/console/account/sign-out-everywhere", &[]).await;
    assert!(!there.is_signed_in().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn console_an_unknown_person_and_a_wrong_password_look_the_same() {
    let console = ConsoleServer::open().await;
    let wrong = console.browser().sign_in("one@example.com", "not this one").await;
    let unknown = console.browser().sign_in("nix@example.com", "not this one").await;
    assert_eq!((wrong.status, unknown.status), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    assert_eq!(wrong.text.replace("one@", "nix@"), unknown.text);
    let names = |answer: &crate::harness::Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&wrong), names(&unknown));
    let refused: Vec<_> =
        console.events("sign_in_refused").await.into_iter().map(|event| (event.kind, event.parts.len())).collect();
    let known = EventKind::SignInRefused { user: Some(console.one.owner.user.clone()), issuer: None };
    assert_eq!(refused, [(known, 1), (EventKind::SignInRefused { user: None, issuer: None }, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn console_guessing_is_throttled_per_person_and_per_address() {
    let console = ConsoleServer::open().await;
    let browser = console.browser();
    for _ in 0..10 {
        assert_eq!(browser.sign_in("one@example.com", "wrong").await.status, StatusCode::UNAUTHORIZED);
    }
    let full = browser.sign_in("ONE@example.com", "wrong").await;
    assert_eq!(full.status, StatusCode::TOO_MANY_REQUESTS, "the case of the letters makes no new person");
    let right = browser.sign_in("one@example.com", &console.one.owner.password).await;
    assert_eq!(right.status, StatusCode::TOO_MANY_REQUESTS, "a right guess tells itself apart");
    assert!(right.header("retry-after").parse::<u64>().is_ok_and(|seconds| (1..=601).contains(&seconds)));
    for n in 0..20 {
        assert_eq!(browser.sign_in(&format!("nobody{n}@example.com"), "wrong").await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(browser.sign_in("other@example.com", &console.other.owner.password).await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(console.events("sign_in_refused").await.len(), 30, "what is throttled is not even looked at");
    console.clock.pass(Duration::from_mins(10));
    assert_eq!(browser.sign_in("one@example.com", &console.one.owner.password).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_session_never_has_an_id_that_was_there_before() {
    let console = ConsoleServer::open().await;
    let plain = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let planted = "forelog-session=planted-by-somebody-else";
    let fields = [("email", "one@example.com"), ("password", console.one.owner.password.as_str())];
    let form = plain.post(format!("{}/console/sign-in", console.base)).header("origin", &console.base).header("cookie", planted);
    let first = cookie(&crate::harness::send(form.form(&fields)).await);
    assert_ne!(first, "planted-by-somebody-else");
    let again = plain.post(format!("{}/console/sign-in", console.base)).header("origin", &console.base);
    let second = cookie(&crate::harness::send(again.header("cookie", format!("forelog-session={first}")).form(&fields)).await);
    assert_ne!(first, second);
    let twice = format!("forelog-session={second}; {planted}");
    for text in [planted, twice.as_str()] {
        let get = plain.get(format!("{}/console/account", console.base)).header("cookie", text);
        assert_eq!(crate::harness::send(get).await.status, StatusCode::SEE_OTHER, "{text}");
    }
    let files = ["vault.db", "vault.db-wal", "log.db", "log.db-wal"].map(|name| std::fs::read(console.dir.path().join(name)));
    let kept = files.into_iter().flatten().any(|bytes| bytes.windows(second.len()).any(|window| window == second.as_bytes()));
    assert!(!kept, "the cookie itself is stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_session_ends_when_it_is_not_used_and_at_last_in_any_case() {
    let console = ConsoleServer::open().await;
    let idle = console.signed_in(&console.one.owner).await;
    console.clock.pass(IDLE.checked_sub(Duration::from_secs(1)).expect("longer"));
    assert!(idle.is_signed_in().await);
    console.clock.pass(IDLE);
    assert!(!idle.is_signed_in().await);
    let busy = console.signed_in(&console.one.owner).await;
    let step = Duration::from_mins(50);
    for _ in 0..MAX_SESSION.as_secs() / step.as_secs() {
        console.clock.pass(step);
        assert!(busy.is_signed_in().await);
    }
    console.clock.pass(step);
    assert!(!busy.is_signed_in().await, "use makes a session last for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_form_is_taken_from_a_page_of_the_session_only() {
    let console = ConsoleServer::open().await;
    let (browser, thief) = (console.signed_in(&console.one.owner).await, console.signed_in(&console.other.owner).await);
    let (own, foreign) = (browser.form_token().await, thief.form_token().await);
    let url = format!("{}/console/keys", console.base);
    let send = |token: &str, headers: &[(&'static str, &str)]| {
        let form = browser.client.post(&url).form(&[("form_token", token), ("label", "x"), ("scope", "vms:read")]);
        headers.iter().fold(form, |form, (name, value)| form.header(*name, *value))
    };
    let origin = console.base.as_str();
    let refused = [
        ("no token", send("", &[("origin", origin)])),
        ("another session's token", send(&foreign, &[("origin", origin)])),
        ("no origin at all", send(&own, &[])),
        ("another origin", send(&own, &[("origin", "https://evil.example")])),
        ("no origin to name", send(&own, &[("origin", "null")])),
        ("the browser says so", send(&own, &[("sec-fetch-site", "cross-site"), ("origin", origin)])),
        ("a neighbour", send(&own, &[("sec-fetch-site", "same-site"), ("origin", origin)])),
        ("two that disagree", send(&own, &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")])),
    ];
    let before = console.events("credential_created").await.len();
    for (why, request) in refused {
        assert_eq!(crate::harness::send(request).await.status, StatusCode::FORBIDDEN, "{why}");
    }
    assert_eq!(console.events("credential_created").await.len(), before);
    let taken = crate::harness::send(send(&own, &[("sec-fetch-site", "same-origin"), ("origin", origin)])).await;
    assert_eq!(taken.status, StatusCode::OK);
    assert_eq!(console.events("credential_created").await.len(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn console_leaving_everywhere_and_a_new_password_end_the_others() {
    let console = ConsoleServer::open().await;
    let (here, there) = (console.signed_in(&console.one.owner).await, console.signed_in(&console.one.owner).await);
    let wrong = [("current", "wrong"), ("password", "a new long phrase"), ("again", "a new long phrase")];
    let refused = here.submit("/console/account/password", &wrong).await;
    assert!(refused.status == StatusCode::FORBIDDEN && refused.text.contains("id=\"fault-current\""), "{refused:?}");
    let current = console.one.owner.password.as_str();
    let short = [("current", current), ("password", "short"), ("again", "short")];
    let refused = here.submit("/console/account/password", &short).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("id=\"fault-password\"") && !refused.text.contains(current), "{refused:?}");
    let two = [("current", current), ("password", "a new long phrase"), ("again", "another long phrase")];
    let refused = here.submit("/console/account/password", &two).await;
    assert!(refused.text.contains("id=\"fault-again\"") && !refused.text.contains("another long phrase"), "{refused:?}");
    assert!(there.is_signed_in().await);
    let right = [("current", current), ("password", "a new long phrase"), ("again", "a new long phrase")];
    assert_eq!(here.submit("/console/account/password", &right).await.header("location"), "/console/account");
    assert!(here.page("/console/account").await.contains("Password changed."), "nothing is said");
    assert!(here.is_signed_in().await && !there.is_signed_in().await);
    assert_eq!(console.events("password_set").await.len(), 1);
    assert_eq!(there.sign_in("one@example.com", current).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(there.sign_in("one@example.com", "a new long phrase").await.status, StatusCode::SEE_OTHER);
    there.submit("/console/account/sign-out-everywhere", &[]).await;
    assert!(!here.is_signed_in().await && !there.is_signed_in().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_revoked_credential_and_a_changed_role_end_sessions_at_once() {
    let console = ConsoleServer::open().await;
    let (first, second) = (console.signed_in(&console.one.owner).await, console.signed_in(&console.one.owner).await);
    let acts = between(&first.page("/console/account").await, "<code>key_", "</code>").to_owned();
    second.submit(&format!("/console/keys/key_{acts}/revoke"), &[]).await;
    assert!(!first.is_signed_in().await && !second.is_signed_in().await);
    let again = console.signed_in(&console.one.owner).await;
    assert!(!again.page("/console/account").await.contains(&acts), "a revoked credential came back");
    // Of whom the log says nothing, the vault does.
    let again = console.signed_in(&console.hire(&console.one.account, "owner").await).await;
    let mut vault = console.app.node().control.ports.reader.vault.database().begin().await.expect("a transaction");
    vault.execute("update person set role = 'member' where email = 'owner@example.com'", Vec::new()).await.expect("an update");
    vault.commit().await.expect("a commit");
    assert!(!again.is_signed_in().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn console_the_first_person_comes_in_by_a_link_that_works_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = TestClock::at(BEGINNING);
    let entropy = Arc::new(forelog::ambient::OsEntropy);
    let app = App::start(&config(&dir, ""), Arc::clone(&clock) as _, entropy).await.expect("a server");
    let base = format!("http://{}", app.address());
    let stale = app.invitation().await.expect("a link").expect("nobody is there");
    let link = app.invitation().await.expect("a link").expect("nobody is there");
    let browser = Browser::at(&base);
    assert_eq!(browser.get(&stale).await.status, StatusCode::NOT_FOUND, "a newer link ends the one before");
    assert_eq!(browser.get(&link).await.status, StatusCode::OK);
    let chosen = [("email", "me@example.com"), ("password", "a long enough phrase"), ("again", "a long enough phrase")];
    let short = [("email", "me@example.com"), ("password", "short"), ("again", "short")];
    assert_eq!(browser.post(&link, &short).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(browser.post(&link, &chosen).await.status, StatusCode::SEE_OTHER);
    assert!(browser.page("/console/").await.contains("staff"));
    assert_eq!(Browser::at(&base).post(&link, &chosen).await.status, StatusCode::NOT_FOUND, "it worked twice");
    assert!(app.invitation().await.expect("no fault").is_none(), "somebody is there already");
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_link_for_the_first_person_ends_after_a_day() {
    let dir = tempfile::tempdir().expect("a directory");
    let clock = TestClock::at(BEGINNING);
    let entropy = Arc::new(forelog::ambient::OsEntropy);
    let app = App::start(&config(&dir, ""), Arc::clone(&clock) as _, entropy).await.expect("a server");
    let link = app.invitation().await.expect("a link").expect("nobody is there");
    clock.pass(Duration::from_hours(24));
    assert_eq!(Browser::at(&format!("http://{}", app.address())).get(&link).await.status, StatusCode::NOT_FOUND);
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn console_the_cookie_is_for_this_host_and_secure_unless_the_server_is_in_the_clear_on_loopback() {
    let flags = |text: &str| ["; Path=/;", "; HttpOnly", "; SameSite=Lax"].iter().all(|flag| text.contains(flag));
    let console = ConsoleServer::open().await;
    let clear = console.browser().sign_in("one@example.com", &console.one.owner.password).await;
    let clear = clear.header("set-cookie");
    assert!(clear.starts_with("forelog-session=") && flags(clear) && !clear.contains("Secure"), "{clear}");
    let public = ConsoleServer::with("public_url = \"https://forelog.example\"").await;
    let sealed = public.browser().sign_in("one@example.com", &public.one.owner.password).await;
    let sealed = sealed.header("set-cookie");
    assert!(sealed.starts_with("__Host-forelog-session=") && flags(sealed) && sealed.contains("; Secure"), "{sealed}");
    assert!(!sealed.contains("Domain"), "{sealed}");
    let strict = |answer: crate::harness::Answer| answer.header("strict-transport-security").to_owned();
    assert_eq!(strict(public.browser().get("/console/sign-in").await), "max-age=31536000");
    assert_eq!(strict(console.browser().get("/console/sign-in").await), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_signing_in_leads_nowhere_else() {
    let console = ConsoleServer::open().await;
    let next = |to: &'static str| {
        let fields = [("email", "one@example.com"), ("password", console.one.owner.password.as_str()), ("next", to)];
        let (browser, fields) = (console.browser(), fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
        async move {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            browser.post("/console/sign-in", &fields).await.header("location").to_owned()
        }
    };
    for away in
        ["https://evil.example/", "//evil.example", "/\\evil.example", "/console/\r\nX: y", "/console", "/console/sign-in"]
    {
        assert_eq!(next(away).await, "/console/", "{away:?}");
    }
    assert_eq!(next("/console/activity?tool=vm_exec").await, "/console/activity?tool=vm_exec");
}
