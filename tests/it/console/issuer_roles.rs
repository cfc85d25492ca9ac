//! A role that an issuer's group gave ends with what gave it; what an issuer says later holds against what it said before; and
//! what is its fault, or anybody's page's, counts against nobody.

use std::sync::Arc;

use forelog::core::event::EventKind;
use forelog::core::id::UserId;
use forelog::core::role::Role;
use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::issuer::{Answering, Issuer, Running};
use super::second::PASSWORD;
use super::{BEGINNING, Browser, ConsoleServer, between};

const STAFF: &str =
    "domains = [\"example.com\"]\nroles = { ops = \"admin\", noc = \"responder\", desk = \"reader\" }\ncreate = true";

macro_rules! on_both {
    ($($case:ident, $sqlite:ident, $postgres:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $sqlite() {
            let issuer = Issuer::start(BEGINNING).await;
            $case(ConsoleServer::with(&issuer.configured("corp", "staff", STAFF)).await, issuer).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn $postgres() {
            let issuer = Issuer::start(BEGINNING).await;
            let database = format!("database_url = \"{}\"", crate::postgres::fresh_database().await);
            $case(ConsoleServer::with(&format!("{database}\n{}", issuer.configured("corp", "staff", STAFF))).await, issuer).await;
        }
    )*};
}

on_both! {
    parted, oidc_a_role_that_a_group_gave_ends_with_the_link, postgres_oidc_a_role_that_a_group_gave_ends_with_the_link;
    lowered, oidc_parting_gives_nothing_back_that_the_issuer_took, postgres_oidc_parting_gives_nothing_back_that_the_issuer_took;
    by_password, oidc_a_password_does_not_keep_what_a_group_gave, postgres_oidc_a_password_does_not_keep_what_a_group_gave;
    older, oidc_an_older_word_does_not_undo_a_newer_one, postgres_oidc_an_older_word_does_not_undo_a_newer_one;
    at_once, oidc_first_sign_ins_at_once_are_one_person, postgres_oidc_first_sign_ins_at_once_are_one_person;
    failing, oidc_an_issuers_failures_count_against_nobody, postgres_oidc_an_issuers_failures_count_against_nobody;
}

impl ConsoleServer {
    /// Somebody whom the staff invited in a role, with a password.
    async fn colleague(&self, email: &str, role: &str) -> UserId {
        let boss = self.signed_in(&self.staff).await;
        let fields = [("account", self.staff.account.as_str()), ("email", email), ("role", role)];
        let made = boss.submit("/console/people", &fields).await;
        let token = between(&made.text, "/console/welcome/", "<").split('"').next().expect("a token").to_owned();
        let chosen = [("password", PASSWORD), ("again", PASSWORD)];
        let joined = self.browser().post(&format!("/console/welcome/{token}"), &chosen).await;
        assert_eq!(joined.status, StatusCode::SEE_OTHER, "{joined:?}");
        let created = self.events("user_created").await;
        let EventKind::UserCreated { user, .. } = &created.last().expect("an event").kind else { panic!("{created:?}") };
        user.clone()
    }

    async fn comes(&self, issuer: &Running, subject: &str, groups: Value) -> (Browser, StatusCode) {
        issuer.vouches_for(subject, &format!("{subject}@example.com"), &json!({ "groups": groups }));
        let browser = self.browser();
        let status = browser.signs_in_by("corp").await.status;
        (browser, status)
    }

    async fn status_of(&self, email: &str) -> StatusCode {
        self.browser().sign_in(email, PASSWORD).await.status
    }

    fn role(&self, user: &UserId) -> Option<Role> {
        self.app.node().control.ports.fence().state().users[user].acting_role()
    }
}

async fn unlink(browser: &Browser) -> StatusCode {
    browser.submit("/console/account/identities/corp/unlink", &[("current", PASSWORD)]).await.status
}

async fn parted(console: ConsoleServer, issuer: Running) {
    let user = console.colleague("reader@example.com", "reader").await;
    let (browser, status) = console.comes(&issuer, "reader", json!(["ops"])).await;
    assert_eq!((status, console.role(&user)), (StatusCode::SEE_OTHER, Some(Role::Admin)));
    let key = console.key_with(&browser, &["staff:switch"]).await;
    let unasked = browser.submit("/console/account/identities/corp/unlink", &[]).await;
    assert_eq!(unasked.status, StatusCode::FORBIDDEN, "it takes the password");
    assert_eq!(unlink(&browser).await, StatusCode::SEE_OTHER);
    assert_eq!(console.role(&user), Some(Role::Reader), "what the group gave outlives the link");
    assert!(!browser.is_signed_in().await, "the session had another role");
    assert_eq!(console.read(&key, "/api/v1/switches").await.status, StatusCode::UNAUTHORIZED, "a key that may more lives");
    let (_, status) = console.comes(&issuer, "reader", json!([])).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(console.status_of("reader@example.com").await, StatusCode::SEE_OTHER, "they are whom the staff invited");
    assert_eq!(console.role(&user), Some(Role::Reader));
    // What the staff give by hand is theirs.
    let (browser, _) = console.comes(&issuer, "reader", json!(["noc"])).await;
    let boss = console.signed_in(&console.staff).await;
    let given = boss.submit(&format!("/console/people/{user}/role"), &[("role", "exporter")]).await;
    assert_eq!(given.status, StatusCode::SEE_OTHER, "{given:?}");
    assert!(!browser.is_signed_in().await);
    let browser = console.browser();
    assert_eq!(browser.sign_in("reader@example.com", PASSWORD).await.status, StatusCode::SEE_OTHER);
    assert_eq!(unlink(&browser).await, StatusCode::SEE_OTHER);
    assert_eq!(console.role(&user), Some(Role::Exporter));
}

async fn lowered(console: ConsoleServer, issuer: Running) {
    let user = console.colleague("chief@example.com", "admin").await;
    assert_eq!(console.comes(&issuer, "chief", json!(["desk"])).await.1, StatusCode::SEE_OTHER);
    assert_eq!(console.role(&user), Some(Role::Reader));
    let (browser, _) = console.comes(&issuer, "chief", json!(["noc"])).await;
    assert_eq!(console.role(&user), Some(Role::Responder));
    assert_eq!(unlink(&browser).await, StatusCode::SEE_OTHER);
    assert_eq!(console.role(&user), Some(Role::Reader), "the least that the issuer left of it");
}

async fn by_password(console: ConsoleServer, issuer: Running) {
    // The command line made them what the group makes them, too.
    assert_eq!(console.comes(&issuer, "staff", json!(["ops"])).await.1, StatusCode::SEE_OTHER);
    let (email, password) = (console.staff.email.clone(), console.staff.password.clone());
    let refused = console.browser().sign_in(&email, &password).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "the group is taken, and the password keeps the role");
    assert!(refused.text.contains("says what you may do here"), "{}", refused.text);
    assert_eq!(console.refusals().await.pop().as_deref(), Some("issuer_decides"));
    let wrong = console.browser().sign_in(&email, "not this one").await;
    assert!(!wrong.text.contains("says what you may do here"), "a wrong password is told nothing");
    // An issuer that is away keeps nobody out.
    let waiting = console.browser();
    let sent = waiting.leaves("corp", "").await;
    issuer.manner().answering = Answering::Never;
    let away = waiting.returns("corp", &sent.back()).await;
    assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE, "{away:?}");
    assert_eq!(console.browser().sign_in(&email, &password).await.status, StatusCode::SEE_OTHER);
    issuer.manner().answering = Answering::Well;
    assert_eq!(console.comes(&issuer, "staff", json!([])).await.1, StatusCode::FORBIDDEN);
    assert_eq!(console.browser().sign_in(&email, &password).await.status, StatusCode::UNAUTHORIZED);
    // Nor does it let in again whom it has said no of.
    let waiting = console.browser();
    let sent = waiting.leaves("corp", "").await;
    issuer.manner().answering = Answering::Never;
    waiting.returns("corp", &sent.back()).await;
    assert_eq!(console.browser().sign_in(&email, &password).await.status, StatusCode::UNAUTHORIZED);
}

async fn older(console: ConsoleServer, issuer: Running) {
    let user = console.colleague("old@example.com", "reader").await;
    assert_eq!(console.comes(&issuer, "old", json!(["ops"])).await.1, StatusCode::SEE_OTHER);
    let tab = console.browser();
    let kept = tab.leaves("corp", "").await;
    let (_, status) = console.comes(&issuer, "old", json!([])).await;
    assert_eq!((status, console.role(&user)), (StatusCode::FORBIDDEN, None));
    // The issuer fixed what it says when it was asked.
    issuer.vouches_for("old", "old@example.com", &json!({ "groups": ["ops"] }));
    let late = tab.returns("corp", &kept.back()).await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST, "an older word has undone a newer one: {late:?}");
    assert!(!tab.is_signed_in().await && console.role(&user).is_none());
    assert_eq!(console.refusals().await.pop().as_deref(), Some("older_word"));
    assert_eq!(tab.signs_in_by("corp").await.status, StatusCode::SEE_OTHER, "it says so again");
    // The same of a role that was lowered, and of one that was given.
    let (high, none) = (console.browser(), console.browser());
    let (kept_high, kept_none) = (high.leaves("corp", "").await, none.leaves("corp", "").await);
    assert_eq!(console.comes(&issuer, "old", json!(["desk"])).await.1, StatusCode::SEE_OTHER);
    issuer.vouches_for("old", "old@example.com", &json!({ "groups": ["ops"] }));
    assert_eq!(high.returns("corp", &kept_high.back()).await.status, StatusCode::BAD_REQUEST);
    issuer.vouches_for("old", "old@example.com", &json!({ "groups": [] }));
    assert_eq!(none.returns("corp", &kept_none.back()).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(console.role(&user), Some(Role::Reader));
}

async fn at_once(console: ConsoleServer, issuer: Running) {
    issuer.vouches_for("new", "new@example.com", &json!({ "groups": ["noc"] }));
    let console = Arc::new(console);
    let tabs = join_all((0..12).map(|_| async {
        let browser = console.browser();
        let sent = browser.leaves("corp", "").await;
        (browser, sent)
    }))
    .await;
    let came = join_all(tabs.iter().map(|(browser, sent)| async { browser.returns("corp", &sent.back()).await.status })).await;
    assert!(came.iter().all(|status| *status == StatusCode::SEE_OTHER), "{came:?}");
    for (browser, _) in &tabs {
        assert!(browser.is_signed_in().await);
    }
    let made = console.events("user_created").await;
    let by_issuer = made
        .iter()
        .filter(|event| matches!(&event.kind, EventKind::UserCreated { account, .. } if *account == console.staff.account));
    assert_eq!(by_issuer.count(), 2, "the first of the staff, and one more");
    assert!(console.refusals().await.is_empty());
}

async fn failing(console: ConsoleServer, issuer: Running) {
    issuer.vouches_for("boss", "staff@example.com", &json!({ "groups": ["ops"] }));
    // Nobody is linked yet, so passwords are theirs alone.
    for (answering, status) in [(Answering::Elsewhere, StatusCode::BAD_GATEWAY), (Answering::Endlessly, StatusCode::BAD_GATEWAY)]
    {
        issuer.manner().answering = answering;
        for _ in 0..35 {
            assert_eq!(console.browser().signs_in_by("corp").await.status, status);
        }
    }
    console.signed_in(&console.staff).await;
    issuer.manner().answering = Answering::Well;
    assert_eq!(console.browser().signs_in_by("corp").await.status, StatusCode::SEE_OTHER);
    // Whom it knows and lets in nowhere guesses, and that is no password either; a browser that is known goes on.
    let known = console.browser();
    assert_eq!(known.signs_in_by("corp").await.status, StatusCode::SEE_OTHER);
    let mut last = StatusCode::OK;
    for _ in 0..31 {
        last = console.comes(&issuer, "nobody", json!([])).await.1;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    issuer.vouches_for("boss", "staff@example.com", &json!({ "groups": ["ops"] }));
    assert_eq!(known.signs_in_by("corp").await.status, StatusCode::SEE_OTHER);
    console.signed_in(&console.hire(&console.staff.account, "responder").await).await;
}
