//! Whoever comes again by an issuer is the human that they were: removed, unlinked, or without a group.

use std::time::Duration;

use forelog::core::event::EventKind;
use forelog::core::id::UserId;
use forelog::core::scope::Scope;
use forelog::core::time::Clock;
use reqwest::StatusCode;
use serde_json::json;

use super::issuer::{Issuer, Running};
use super::{BEGINNING, Browser, ConsoleServer, between};

const CREATES: &str = "domains = [\"example.com\"]\nroles = { ops = \"admin\", noc = \"responder\" }\ncreate = true";
const CHOSEN: [(&str, &str); 2] = [("password", "a long enough phrase"), ("again", "a long enough phrase")];

macro_rules! on_both {
    ($($case:ident, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $sqlite() {
            let issuer = Issuer::start(BEGINNING).await;
            $case(ConsoleServer::with(&issuer.configured("corp", "staff", CREATES)).await, issuer).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $postgres() {
            let issuer = Issuer::start(BEGINNING).await;
            let database = format!("database_url = \"{}\"", crate::postgres::fresh_database().await);
            $case(ConsoleServer::with(&format!("{database}\n{}", issuer.configured("corp", "staff", CREATES))).await, issuer).await;
        }
    )*};
}

on_both! {
    removed, oidc_who_was_removed_comes_back_by_name_and_is_the_same_person, postgres_oidc_who_was_removed_comes_back_by_name_and_is_the_same_person;
    unlinked, oidc_who_parts_from_an_issuer_does_not_become_a_second_person, postgres_oidc_who_parts_from_an_issuer_does_not_become_a_second_person;
    without_group, oidc_who_has_no_group_any_more_has_nothing_left, postgres_oidc_who_has_no_group_any_more_has_nothing_left;
    odd_subjects, oidc_a_subject_that_is_no_name_is_refused_clearly, postgres_oidc_a_subject_that_is_no_name_is_refused_clearly;
}

impl ConsoleServer {
    /// Somebody whom the issuer vouches for, signed in by it, and who that is.
    async fn vouched(&self, issuer: &Running, subject: &str, group: &str) -> (Browser, UserId) {
        issuer.vouches_for(subject, &format!("{subject}@example.com"), &json!({ "groups": [group] }));
        let browser = self.browser();
        let answer = browser.signs_in_by("corp").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
        let ins = self.events("signed_in").await;
        let EventKind::SignedIn { user, .. } = &ins.last().expect("an event").kind else { panic!("{ins:?}") };
        (browser, user.clone())
    }

    async fn is_released(&self) -> bool {
        !self.events("switch_released").await.is_empty()
    }
}

async fn removed(console: ConsoleServer, issuer: Running) {
    let (mole, user) = console.vouched(&issuer, "mole", "ops").await;
    let engaged = mole.submit("/console/switches", &[("target", "class:exec"), ("reason", "a test")]).await;
    let switch = engaged.header("location").to_owned();
    let wish = [("reason", "over"), ("typed", "class:exec")];
    let itself = mole.submit(&format!("/console/people/{user}/remove"), &[]).await;
    assert_eq!(itself.status, StatusCode::FORBIDDEN, "they have removed themselves: {itself:?}");
    assert!(!mole.page(&format!("/console/people/{user}")).await.contains("Remove person"));

    let boss = console.signed_in(&console.staff).await;
    assert_eq!(boss.submit(&format!("/console/people/{user}/remove"), &[]).await.status, StatusCode::SEE_OTHER);
    for email in ["mole@example.com", "elsewhere@example.com"] {
        issuer.vouches_for("mole", email, &json!({ "groups": ["ops"] }));
        assert_eq!(console.browser().signs_in_by("corp").await.status, StatusCode::FORBIDDEN, "by the same door");
        assert_eq!(console.refusals().await.pop().as_deref(), Some("removed_person"));
        let note = console.notes("sign_in_refused").await.pop().expect("a note");
        assert_eq!(note["detail"], json!(user), "who it was is not said");
    }
    // Somebody lets them in by name, on the record. They are who they were.
    let fields = [("account", console.staff.account.as_str()), ("email", "mole@example.com"), ("role", "admin")];
    let made = boss.submit("/console/people", &fields).await;
    let token = between(&made.text, "/console/welcome/", "<").split('"').next().expect("a token").to_owned();
    assert_eq!(console.browser().post(&format!("/console/welcome/{token}"), &CHOSEN).await.status, StatusCode::SEE_OTHER);
    let (again, second) = console.vouched(&issuer, "mole", "ops").await;
    assert_ne!(second, user);
    again.submit(&format!("{switch}/release"), &wish).await;
    assert!(!console.is_released().await, "one human has engaged it and released it");
    console.clock.pass(Duration::from_hours(8 * 24));
    let at = console.clock.now().0 / 1_000_000;
    issuer.vouches_for("mole", "mole@example.com", &json!({ "groups": ["ops"], "iat": at, "exp": at + 300 }));
    let again = console.browser();
    assert_eq!(again.signs_in_by("corp").await.status, StatusCode::SEE_OTHER);
    again.submit(&format!("{switch}/release"), &wish).await;
    assert!(!console.is_released().await, "time makes no second human of them");
    console.signed_in(&console.staff).await.submit(&format!("{switch}/release"), &wish).await;
    assert!(console.is_released().await);
}

async fn unlinked(console: ConsoleServer, issuer: Running) {
    let (browser, user) = console.vouched(&issuer, "resp", "noc").await;
    // Whom it made has no other way in, and so no password to part with.
    let unlink = "/console/account/identities/corp/unlink";
    for guess in ["", "anything at all"] {
        assert_eq!(browser.submit(unlink, &[("current", guess)]).await.status, StatusCode::FORBIDDEN);
    }
    let password = console.reset(&console.staff.account, "resp@example.com").await;
    assert!(!browser.is_signed_in().await, "another password ends their sessions");
    let (browser, _) = console.vouched(&issuer, "resp", "noc").await;
    let parted = browser.submit(unlink, &[("current", &password)]).await;
    assert_eq!(parted.status, StatusCode::SEE_OTHER, "{parted:?}");
    assert!(!browser.is_signed_in().await, "a role that nobody here gave outlives what gave it");
    let by_password = console.browser().sign_in("resp@example.com", &password).await;
    assert_eq!(by_password.status, StatusCode::UNAUTHORIZED);
    issuer.vouches_for("resp", "resp+2@example.com", &json!({ "groups": ["noc"] }));
    assert_eq!(console.browser().signs_in_by("corp").await.status, StatusCode::FORBIDDEN, "a second person of one human");
    assert_eq!(console.refusals().await.pop().as_deref(), Some("linked_otherwise"));
    let (_, again) = console.vouched(&issuer, "resp", "noc").await;
    assert_eq!(again, user, "with the same address they are linked again");
}

async fn without_group(console: ConsoleServer, issuer: Running) {
    let (browser, user) = console.vouched(&issuer, "gone", "ops").await;
    console.staff_key("gone@example.com", [Scope::StaffAudit].into()).await;
    let fields = [("account", console.staff.account.as_str()), ("email", "guest@example.com"), ("role", "admin")];
    let made = browser.submit("/console/people", &fields).await;
    let token = between(&made.text, "/console/welcome/", "<").split('"').next().expect("a token").to_owned();
    issuer.vouches_for("gone", "gone@example.com", &json!({ "groups": [] }));
    assert_eq!(console.browser().signs_in_by("corp").await.status, StatusCode::FORBIDDEN);
    assert!(!browser.is_signed_in().await, "a session outlives the group");
    assert_eq!(console.browser().get(&format!("/console/welcome/{token}")).await.status, StatusCode::NOT_FOUND, "a link does");
    let state = console.app.node().control.ports.fence().state();
    assert!(state.credentials.values().any(|row| row.created.user == user && !row.is_person()), "there is no key");
    assert!(state.credentials.values().all(|row| row.created.user != user || row.revoked_at.is_some()));
    // A stranger's refusal ends nothing of anybody's.
    let (back, _) = console.vouched(&issuer, "gone", "ops").await;
    issuer.vouches_for("other", "gone@example.com", &json!({ "groups": [] }));
    assert_eq!(console.browser().signs_in_by("corp").await.status, StatusCode::FORBIDDEN);
    assert!(back.is_signed_in().await);
}

async fn odd_subjects(console: ConsoleServer, issuer: Running) {
    for subject in ["", "a\0b", "a\nb", &"x".repeat(256)] {
        issuer.vouches_for(subject, "odd@example.com", &json!({ "groups": ["ops"] }));
        let answer = console.browser().signs_in_by("corp").await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{subject:?}: {answer:?}");
        let note = console.notes("sign_in_refused").await.pop().expect("a note");
        assert_eq!(note["why"], "untrue_token", "{note}");
        assert!(note["detail"].as_str().is_some_and(|detail| detail.starts_with("subject: ")), "{note}");
    }
    issuer.vouches_for(&"x".repeat(255), "odd@example.com", &json!({ "groups": ["ops"] }));
    assert_eq!(console.browser().signs_in_by("corp").await.status, StatusCode::SEE_OTHER);
}

/// Keys and tokens without end are not taken in, and what is said of them is short.
#[tokio::test(flavor = "multi_thread")]
async fn oidc_what_an_issuer_makes_us_keep_has_a_bound() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("corp", "staff", CREATES)).await;
    issuer.manner().keys = 65;
    assert_eq!(console.browser().get("/console/sign-in/oidc/corp").await.status, StatusCode::BAD_GATEWAY, "65 keys");
    issuer.manner().keys = 64;
    console.clock.pass(Duration::from_secs(6));
    let (browser, _) = console.vouched(&issuer, "ann", "ops").await;
    assert!(browser.is_signed_in().await);
    issuer.vouches_for("ann", "ann@example.com", &json!({ "groups": ["ops"], "padding": "x".repeat(60_000) }));
    assert_eq!(console.browser().signs_in_by("corp").await.status, StatusCode::BAD_GATEWAY, "a token without end");
    issuer.vouches_for("ann", "ann@example.com", &json!({ "iss": "y".repeat(20_000), "groups": ["ops"] }));
    assert_eq!(console.browser().signs_in_by("corp").await.status, StatusCode::BAD_GATEWAY);
    for note in console.notes("sign_in_refused").await {
        assert!(note["detail"].as_str().is_none_or(|detail| detail.chars().count() <= 400), "{note}");
    }
}

/// An issuer that takes connections and says nothing is asked once for everybody who waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn oidc_an_issuer_that_hangs_is_asked_once_for_all_who_wait() {
    let hole = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = hole.local_addr().expect("an address");
    let text =
        "title = \"Example\"\nclient_id = \"forelog-console\"\nclient_secret = \"what only both of us know\"\nside = \"staff\"";
    let console = ConsoleServer::with(&format!("[sign_in.oidc.corp]\nissuer = \"http://{address}\"\n{text}\n{CREATES}")).await;
    let browsers: Vec<_> = (0..8).map(|_| console.browser()).collect();
    let clicks = futures::future::join_all(browsers.iter().map(|browser| browser.get("/console/sign-in/oidc/corp")));
    let mut taken = Vec::new();
    let hanging = async {
        loop {
            taken.push(hole.accept().await.expect("a connection"));
            // It hangs for longer than it would be left alone.
            console.clock.pass(Duration::from_secs(6));
        }
    };
    let answers = tokio::select! { answers = clicks => answers, () = hanging => panic!("it never ends") };
    assert!(answers.iter().all(|answer| answer.status == StatusCode::SERVICE_UNAVAILABLE), "{answers:?}");
    assert_eq!(taken.len(), 1, "who waited asked again, one after the other");
}
