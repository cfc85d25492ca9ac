//! An attempt to sign in: its browser's alone, good once, on any node, and kept and written down within bounds.

use std::sync::Arc;
use std::time::Duration;

use forelog::app::App;
use reqwest::StatusCode;
use serde_json::json;

use super::DOMAIN;
use crate::console::issuer::{Issuer, SECRET, Sent};
use crate::console::{BEGINNING, Browser, ConsoleServer, config};

#[tokio::test(flavor = "multi_thread")]
async fn oidc_an_attempt_is_its_browsers_alone_and_works_once() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("them", "customer", DOMAIN)).await;
    issuer.vouches_for("first", "one@example.com", &json!({}));
    let (mine, yours) = (console.browser(), console.browser());
    let sent = mine.leaves("them", "").await;
    // Whoever is led to somebody else's callback is not signed in as them, begun something or not.
    assert_eq!(yours.returns("them", &sent.back()).await.status, StatusCode::BAD_REQUEST);
    let own = yours.leaves("them", "").await;
    assert_eq!(yours.returns("them", &sent.back()).await.status, StatusCode::BAD_REQUEST);
    assert!(!yours.is_signed_in().await);
    assert_eq!(yours.returns("them", &own.back()).await.status, StatusCode::SEE_OTHER, "a foreign state ends one's own attempt");
    yours.submit("/console/sign-out", &[]).await;
    let kept = kept_attempt(&mine.get("/console/sign-in/oidc/them").await);
    let sent = mine.leaves("them", "").await;
    assert_eq!(mine.returns("them", &sent.back()).await.status, StatusCode::SEE_OTHER);
    assert_eq!(mine.returns("them", &sent.back()).await.status, StatusCode::BAD_REQUEST, "the cookie is gone");
    // A cookie that was kept and one of another key are worth nothing.
    let mark = kept_attempt(&mine.get("/console/sign-in/oidc/them").await).split('=').next().expect("a name").to_owned();
    for cookie in [kept.clone(), format!("{mark}=AAAA"), format!("{mark}=")] {
        let url = format!("{}/console/sign-in/oidc/them/callback?state={}&code=x", console.base, sent.value("state"));
        let plain = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let answer = crate::harness::send(plain.get(url).header("cookie", &cookie)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{cookie}");
    }
    let late = console.browser();
    let sent = late.leaves("them", "").await;
    console.clock.pass(Duration::from_mins(10));
    assert_eq!(late.returns("them", &sent.back()).await.status, StatusCode::BAD_REQUEST);
    let why = console.refusals().await;
    // The browser keeps the attempts of its other tabs.
    assert_eq!(why[..3], ["no_attempt", "wrong_state", "wrong_state"], "{why:?}");
}

fn kept_attempt(answer: &crate::harness::Answer) -> String {
    answer.header("set-cookie").split(';').next().expect("a cookie").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_an_attempt_that_was_used_is_not_used_again_with_its_cookie() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("them", "customer", DOMAIN)).await;
    issuer.vouches_for("first", "one@example.com", &json!({}));
    let plain = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let begun = crate::harness::send(plain.get(format!("{}/console/sign-in/oidc/them", console.base))).await;
    let flags = begun.header("set-cookie").to_owned();
    assert!(["; Path=/;", "; Max-Age=600", "; HttpOnly", "; SameSite=Lax"].iter().all(|flag| flags.contains(flag)), "{flags}");
    let sent = Sent { to: begun.header("location").parse().expect("an address") };
    let url = reqwest::Url::parse_with_params(&format!("{}/console/sign-in/oidc/them/callback", console.base), sent.back());
    let back = || crate::harness::send(plain.get(url.clone().expect("an address")).header("cookie", kept_attempt(&begun)));
    let answers = futures::future::join_all((0..4).map(|_| back())).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 400, 400, 400]);
    assert_eq!(console.refusals().await, ["replayed"; 3]);
    let sealed =
        ConsoleServer::with(&format!("public_url = \"https://forelog.example\"\n{}", issuer.configured("them", "customer", "")))
            .await;
    let begun = sealed.browser().get("/console/sign-in/oidc/them").await;
    assert!(begun.header("set-cookie").starts_with("__Host-forelog-attempt-") && begun.header("set-cookie").contains("; Secure"));
    assert!(
        begun
            .header("location")
            .contains("redirect_uri=https%3A%2F%2Fforelog.example%2Fconsole%2Fsign-in%2Foidc%2Fthem%2Fcallback")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_nothing_of_an_attempt_nor_the_secret_is_kept() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("them", "customer", DOMAIN)).await;
    issuer.vouches_for("first", "one@example.com", &json!({}));
    let browser = console.browser();
    let begun = browser.get("/console/sign-in/oidc/them").await;
    let sent = Sent { to: begun.header("location").parse().expect("an address") };
    let twice: Vec<_> = sent.back().into_iter().chain([("state", "again".to_owned())]).collect();
    let unreadable = browser.returns("them", &twice).await;
    assert_eq!(unreadable.status, StatusCode::BAD_REQUEST, "what is said twice is not read");
    let wrong = console.browser().returns("them", &sent.back()).await;
    let right = browser.returns("them", &sent.back()).await;
    assert_eq!((wrong.status, right.status), (StatusCode::BAD_REQUEST, StatusCode::SEE_OTHER));
    let secrets =
        [SECRET.to_owned(), sent.value("state"), sent.value("nonce"), sent.value("code_challenge"), kept_attempt(&begun)];
    let files = ["vault.db", "vault.db-wal", "log.db", "log.db-wal", "views.db", "views.db-wal"];
    for secret in secrets {
        let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        let kept: Vec<_> =
            files.iter().filter(|name| std::fs::read(console.dir.path().join(name)).is_ok_and(|bytes| holds(&bytes))).collect();
        assert!(kept.is_empty(), "{secret} is in {kept:?}");
        let notes =
            [console.notes("signed_in").await, console.notes("sign_in_refused").await, console.notes("identity_linked").await];
        assert!(!holds(format!("{notes:?}").as_bytes()) && !holds(wrong.text.as_bytes()), "{secret} is told: {notes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_nobody_is_led_out_of_the_console() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("them", "customer", DOMAIN)).await;
    issuer.vouches_for("first", "one@example.com", &json!({}));
    let long = format!("/console/{}", "a".repeat(2000));
    for next in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/console/../../evil",
        "/console/\r\nset-cookie: a=b",
        "javascript:alert(1)",
        "/console/sign-in/oidc/them",
        long.as_str(),
    ] {
        let browser = console.browser();
        let sent = browser.leaves("them", next).await;
        let answer = browser.returns("them", &sent.back()).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
        let to = answer.header("location");
        assert!(to == "/console/" || to == "/console/../../evil", "{next} leads to {to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_what_nobody_began_is_written_down_within_bounds_and_counts_for_nobody() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("them", "customer", DOMAIN)).await;
    let back = [("state", "x".to_owned()), ("code", "y".to_owned())];
    let known = console.signed_in(&console.one.owner).await;
    known.submit("/console/sign-out", &[]).await;
    let begun = console.browser();
    let own = begun.leaves("them", "").await;
    for _ in 0..40 {
        assert_eq!(console.browser().returns("them", &back).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(begun.returns("them", &back).await.status, StatusCode::BAD_REQUEST, "with another state");
    }
    assert_eq!(console.refusals().await.len(), 30, "a flood of them is written down");
    issuer.vouches_for("first", "one@example.com", &json!({}));
    for browser in [console.browser(), known] {
        assert_eq!(browser.signs_in_by("them").await.status, StatusCode::SEE_OTHER);
    }
    assert_eq!(begun.returns("them", &own.back()).await.status, StatusCode::SEE_OTHER);
    console.signed_in(&console.other.owner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_oidc_one_node_goes_on_with_what_another_began() {
    let issuer = Issuer::start(BEGINNING).await;
    let database = crate::postgres::fresh_database().await;
    let more = format!("database_url = \"{database}\"\n{}", issuer.configured("them", "customer", DOMAIN));
    let console = ConsoleServer::with(&more).await;
    let (clock, entropy) = (Arc::clone(&console.clock) as _, Arc::new(forelog::ambient::OsEntropy));
    let other = App::start(&config(&console.dir, &more), clock, entropy).await.expect("a second node");
    issuer.vouches_for("first", "one@example.com", &json!({}));
    let browser = console.browser();
    let sent = browser.leaves("them", "").await;
    let there = Browser { client: browser.client.clone(), base: format!("http://{}", other.address()) };
    assert_eq!(there.returns("them", &sent.back()).await.status, StatusCode::SEE_OTHER);
    assert!(browser.is_signed_in().await && there.is_signed_in().await);
    let vault = &console.app.node().control.ports.reader.vault;
    let used_up = vault.database().query("select digest from spent_attempt", Vec::new()).await.expect("rows");
    assert_eq!(used_up.len(), 1);
    assert_eq!(vault.identities(&console.one.owner.user).await.expect("rows").len(), 1);
    issuer.vouches_for("second", "one@example.com", &json!({}));
    assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::FORBIDDEN);
    browser.submit("/console/account/identities/them/unlink", &[("current", &console.one.owner.password)]).await;
    assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER);
    other.shutdown().await;
}
