//! A link works no longer than the right of whoever made it, and who began to become somebody is nobody until the log says so.

use std::collections::BTreeSet;
use std::time::Duration;

use forelog::auth::session::MAX_COUNT;
use forelog::core::event::EventKind;
use forelog::core::id::UserId;
use forelog::log::dialect::Room;
use forelog::log::postgres::open_postgres;
use forelog::log::signed_in::{Session, SignInProof};
use forelog::log::sql::Database;
use forelog::log::sqlite::open_sqlite;
use forelog::log::users::{AWAITED, UNSAID, UserRecord};
use forelog::log::vault::Vault;
use reqwest::StatusCode;
use serde_json::json;

use super::issuer::Issuer;
use super::{BEGINNING, Browser, ConsoleServer, between, config};
use crate::test_node::TestClock;

const CHOSEN: [(&str, &str); 2] = [("password", "a long enough phrase"), ("again", "a long enough phrase")];

on_both! {
    inviting_ends, console_a_link_ends_with_the_key_or_the_session_that_made_it, postgres_console_a_link_ends_with_the_key_or_the_session_that_made_it;
    inviting_stops, console_a_link_of_a_stopped_key_or_person_waits, postgres_console_a_link_of_a_stopped_key_or_person_waits;
    signing_in_again, console_who_signs_in_again_stays_under_the_switch, postgres_console_who_signs_in_again_stays_under_the_switch;
    another_password, console_no_session_of_an_old_password_outlives_it, postgres_console_no_session_of_an_old_password_outlives_it;
    many_sessions, console_of_too_many_sessions_the_oldest_end, postgres_console_of_too_many_sessions_the_oldest_end;
    searches_end, console_the_searches_of_who_is_removed_end_and_an_admin_forgets_any, postgres_console_the_searches_of_who_is_removed_end_and_an_admin_forgets_any;
}

impl Browser {
    /// Invites somebody with what is signed in here, and answers the link.
    async fn invites(&self, account: &str, email: &str) -> Option<String> {
        let made = self.submit("/console/people", &[("account", account), ("email", email), ("role", "owner")]).await;
        made.text.contains("/console/welcome/").then(|| link_in(&made.text))
    }

    /// The credential that the console acts with for who is signed in.
    async fn acts_with(&self) -> String {
        format!("key_{}", between(&self.page("/console/account").await, "<code>key_", "</code>"))
    }

    async fn revokes(&self, credential: &str) {
        let revoked = self.submit(&format!("/console/keys/{credential}/revoke"), &[]).await;
        assert_eq!(revoked.status, StatusCode::SEE_OTHER, "{revoked:?}");
    }
}

fn link_in(text: &str) -> String {
    format!("/console/welcome/{}", between(text, "/console/welcome/", "\""))
}

impl ConsoleServer {
    /// Invites somebody with a key, and answers the link.
    async fn link_by(&self, key: &str, email: &str) -> String {
        let made = self.rest(key, reqwest::Method::POST, "/invitations", Some(json!({ "email": email, "role": "owner" }))).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        link_in(&made.text)
    }

    /// A key that whoever is signed in makes, and its id.
    async fn key_and_id(&self, browser: &Browser) -> (String, String) {
        let all = || self.app.node().control.ports.fence().state().credentials.keys().cloned().collect::<BTreeSet<_>>();
        let before = all();
        let key = browser.key_with(&["people:write", "people:read"]).await;
        let made = all().difference(&before).next().expect("a key").to_string();
        (key, made)
    }

    /// The link works, or it does not, to look at and to use.
    async fn works(&self, link: &str) -> bool {
        let seen = self.browser().get(link).await.status;
        if seen == StatusCode::OK {
            return true;
        }
        assert_eq!((seen, self.browser().post(link, &CHOSEN).await.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
        false
    }

    fn vault(&self) -> &Vault {
        &self.app.node().control.ports.reader.vault
    }

    /// Somebody of the staff who began to become one, so long before now, and got no further.
    async fn began(&self, email: &str, role: &'static str, before: Duration) -> UserId {
        let at = forelog::core::time::Micros(BEGINNING.0 - i64::try_from(before.as_micros()).expect("a while"));
        let person = UserRecord {
            id: UserId::new(at, &forelog::ambient::OsEntropy),
            account: self.staff.account.clone(),
            side: "staff".into(),
            role: "admin".into(),
            email: email.parse().expect("an address"),
            proved: true,
            password: "x".into(),
        };
        self.vault().add_as(role, &person, |_| false).await.expect("a row");
        person.id
    }
}

async fn inviting_ends(console: ConsoleServer) {
    let account = console.one.account.to_string();
    let owner = console.signed_in(&console.one.owner).await;
    let own = owner.invites(&account, "by-session@example.com").await.expect("a link");
    let (key, id) = console.key_and_id(&owner).await;
    let revoked = console.link_by(&key, "by-revoked@example.com").await;
    owner.revokes(&id).await;
    assert!(!console.works(&revoked).await, "the link of a revoked key makes an owner");
    let made = owner.submit("/console/keys", &[("label", "brief"), ("days", "1"), ("scope", "people:write")]).await;
    let brief = format!("flk_live_{}", between(&made.text, "flk_live_", "<").split(['"', ' ', '\n']).next().expect("a key"));
    let expired = console.link_by(&brief, "by-expired@example.com").await;
    let child = console.link_by(&console.key_and_id(&owner).await.0, "by-child@example.com").await;
    assert!(console.works(&own).await && console.works(&expired).await && console.works(&child).await);
    // Only what may no longer invite is not counted among those that wait.
    let acts_with = owner.acts_with().await;
    owner.revokes(&acts_with).await;
    for (link, what) in [(&own, "the session"), (&child, "what the key was made with")] {
        assert!(!console.works(link).await, "the link outlives {what}");
    }
    let again = console.signed_in(&console.one.owner).await;
    let fresh = again.invites(&account, "by-session@example.com").await.expect("a link");
    assert!(console.works(&fresh).await && !console.works(&own).await, "signing in again revives nothing");
    let made = again.submit("/console/keys", &[("label", "brief"), ("days", "1"), ("scope", "people:write")]).await;
    let brief = format!("flk_live_{}", between(&made.text, "flk_live_", "<").split(['"', ' ', '\n']).next().expect("a key"));
    let expired = console.link_by(&brief, "by-expired@example.com").await;
    assert!(console.works(&expired).await);
    console.clock.pass(Duration::from_hours(25));
    assert!(!console.works(&expired).await, "the link of an expired key makes an owner");
    assert!(console.works(&fresh).await);
    assert_eq!(console.browser().post(&fresh, &CHOSEN).await.status, StatusCode::SEE_OTHER);
}

async fn inviting_stops(console: ConsoleServer) {
    let account = console.one.account.to_string();
    let (owner, staff) = (console.signed_in(&console.one.owner).await, console.signed_in(&console.staff).await);
    let own = owner.invites(&account, "by-session@example.com").await.expect("a link");
    let (key, id) = console.key_and_id(&owner).await;
    let by_key = console.link_by(&key, "by-key@example.com").await;
    let engage = async |credential: &str| {
        let target = format!("credential:{credential}");
        let fields = [("target", target.as_str()), ("reason", "it looks stolen"), ("running", "let_finish")];
        let engaged = staff.submit("/console/switches", &fields).await;
        assert_eq!(engaged.status, StatusCode::SEE_OTHER, "{engaged:?}");
    };
    let waits = async |link: &str| {
        let answers = [console.browser().get(link).await.status, console.browser().post(link, &CHOSEN).await.status];
        answers == [StatusCode::FORBIDDEN, StatusCode::FORBIDDEN]
    };
    engage(&id).await;
    assert!(waits(&by_key).await && console.works(&own).await, "a switch on the key stops what it has begun");
    engage(&owner.acts_with().await).await;
    assert!(waits(&own).await);
    assert!(console.nobody_took_a_link().await);
}

async fn signing_in_again(console: ConsoleServer) {
    let account = console.one.account.to_string();
    let (owner, staff) = (console.signed_in(&console.one.owner).await, console.signed_in(&console.staff).await);
    let first = owner.acts_with().await;
    let target = format!("credential:{first}");
    let fields = [("target", target.as_str()), ("reason", "the session looks stolen"), ("running", "let_finish")];
    assert_eq!(staff.submit("/console/switches", &fields).await.status, StatusCode::SEE_OTHER);
    assert_eq!(owner.invites(&account, "friend@example.com").await, None);
    // Revoking is stopping, and so is never stopped.
    owner.revokes(&first).await;
    let again = console.signed_in(&console.one.owner).await;
    assert_ne!(again.acts_with().await, first);
    assert_eq!(again.invites(&account, "friend@example.com").await, None, "who signs in again is free");
    let made = again.submit("/console/keys", &[("label", "x"), ("days", ""), ("scope", "vms:read")]).await;
    assert!(!made.text.contains("flk_live_"), "{made:?}");
    console.clock.pass(Duration::from_hours(91 * 24));
    let later = console.signed_in(&console.one.owner).await;
    assert_eq!(later.invites(&account, "friend@example.com").await, None, "and so is who waits");
    let other = console.signed_in(&console.other.owner).await;
    assert!(other.invites(console.other.account.as_str(), "friend@example.com").await.is_some(), "nobody else is stopped");
}

async fn another_password(console: ConsoleServer) {
    let (owner, fresh) = (&console.one.owner, "a new long phrase");
    let here = console.signed_in(owner).await;
    let before: UserRecord =
        console.vault().users_with(&owner.email.parse().expect("an address")).await.expect("the vault").remove(0);
    let browsers: Vec<Browser> = (0..6).map(|_| console.browser()).collect();
    let fields = [("current", owner.password.as_str()), ("password", fresh), ("again", fresh)];
    let tries = futures::future::join_all(browsers.iter().map(|browser| browser.sign_in(&owner.email, &owner.password)));
    let (_, changed) = tokio::join!(tries, here.submit("/console/account/password", &fields));
    assert_eq!(changed.status, StatusCode::SEE_OTHER, "{changed:?}");
    for browser in &browsers {
        assert!(!browser.is_signed_in().await, "a session of the old password is alive");
    }
    assert!(here.is_signed_in().await);
    // Whoever was matched before begins nothing any more, by a password or by an issuer.
    let now = forelog::core::time::Clock::now(&*console.clock);
    let session = Session {
        hash: "00".repeat(32),
        person: before.id.clone(),
        credential: here.acts_with().await.parse().expect("a credential"),
        began: now,
        seen: now,
        ends: now.plus(Duration::from_hours(1)),
        address: None,
        user_agent: None,
    };
    let idle = forelog::auth::session::idle_since(now);
    for stale in
        [SignInProof::Password(&before.password), SignInProof::Identity { issuer: "https://idp.example", subject: "one" }]
    {
        assert!(!console.vault().begin_session(&session, stale, &[], (now, idle)).await.expect("the vault"), "{stale:?}");
    }
    assert!(!console.vault().change_password(&before, "x", "").await.expect("the vault"), "it was changed meanwhile");
    assert!(here.is_signed_in().await);
    assert_eq!(console.vault().sessions_of(&before.id, now, idle).await.expect("the vault").len(), 1);
}

async fn many_sessions(console: ConsoleServer) {
    let mut browsers = Vec::new();
    for _ in 0..MAX_COUNT + 5 {
        console.clock.pass(Duration::from_secs(1));
        let browser = console.signed_in(&console.one.owner).await;
        assert!(browser.is_signed_in().await);
        browsers.push(browser);
    }
    for (n, browser) in browsers.iter().enumerate() {
        assert_eq!(browser.is_signed_in().await, n >= 5, "browser {n}");
    }
    assert_eq!(console.events("signed_out").await.len(), 5, "each end is written down");
    assert!(console.signed_in(&console.other.owner).await.is_signed_in().await && browsers[5].is_signed_in().await);
}

async fn searches_end(console: ConsoleServer) {
    let (reader, admin) = (console.hire(&console.staff.account, "reader").await, console.signed_in(&console.staff).await);
    let browser = console.signed_in(&reader).await;
    let keep = async |name: &str| {
        let kept = browser.submit("/console/searches", &[("name", name), ("line", "outcome:refused")]).await;
        assert_eq!(kept.status, StatusCode::SEE_OTHER, "{kept:?}");
    };
    let kept = async || console.vault().saved_searches().await.expect("the vault");
    keep("first").await;
    keep("second").await;
    let forget = format!("/console/searches/{}/forget", kept().await[0].id);
    assert_eq!(admin.submit("/console/reason", &[("reason", "clearing up")]).await.status, StatusCode::SEE_OTHER);
    assert!(admin.page("/console/search").await.contains(&forget));
    assert_eq!(admin.submit(&forget, &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(kept().await.len(), 1);
    assert_eq!(admin.submit(&format!("/console/people/{}/remove", reader.user), &[]).await.status, StatusCode::SEE_OTHER);
    assert!(kept().await.is_empty(), "a search outlives who keeps it");
}

/// The log's database beside the server.
async fn log_of(dir: &tempfile::TempDir, url: Option<&str>) -> Box<dyn Database> {
    match url {
        Some(url) => open_postgres(url, Room::Log).await.expect("a database"),
        None => open_sqlite(&dir.path().join("log.db"), Room::Log).await.expect("a database"),
    }
}

/// Nothing can be written to a log whose table has another name.
async fn rename(log: &dyn Database, from: &str, to: &str) {
    let mut transaction = log.begin().await.expect("a transaction");
    transaction.script(&format!("alter table {from} rename to {to}")).await.expect("a table");
    transaction.commit().await.expect("a commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_who_has_no_event_is_nobody_and_keeps_nobody_out() {
    for postgres in [false, true] {
        let issuer = Issuer::start(BEGINNING).await;
        let url = if postgres { Some(crate::postgres::fresh_database().await) } else { None };
        let database = url.as_ref().map(|url| format!("database_url = \"{url}\"\n")).unwrap_or_default();
        let trusted = "domains = [\"example.com\"]\nroles = { ops = \"admin\" }\ncreate = true";
        let console = ConsoleServer::with(&(database + &issuer.configured("corp", "staff", trusted))).await;
        for (name, role) in [("awaited", AWAITED), ("unsaid", UNSAID)] {
            let email = format!("{name}@example.com");
            let left = console.began(&email, role, Duration::from_hours(25)).await;
            issuer.vouches_for(name, &email, &json!({ "groups": ["ops"] }));
            let browser = console.browser();
            assert_eq!(browser.signs_in_by("corp").await.status, StatusCode::SEE_OTHER, "{name}");
            assert!(browser.page("/console/").await.contains(&format!("{email} · admin")));
            let created = console.events("user_created").await;
            let Some(EventKind::UserCreated { user, .. }) = created.last().map(|event| &event.kind) else {
                panic!("{created:?}")
            };
            assert_ne!(*user, left);
            let people = console.vault().users_with(&email.parse().expect("an address")).await.expect("the vault");
            assert!(people.len() == 1 && people[0].id == *user && people[0].proved && people[0].role == "admin", "{people:?}");
        }
        // While the log cannot be written nobody is made; then they are.
        issuer.vouches_for("ghost", "ghost@example.com", &json!({ "groups": ["ops"] }));
        let (browser, log) = (console.browser(), log_of(&console.dir, url.as_deref()).await);
        let sent = browser.leaves("corp", "").await;
        let before = console.events("user_created").await.len();
        rename(&*log, "event", "event_away").await;
        let failed = browser.returns("corp", &sent.back()).await;
        rename(&*log, "event_away", "event").await;
        assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE, "{failed:?}");
        let ghost = "ghost@example.com".parse().expect("an address");
        assert!(console.vault().users_with(&ghost).await.expect("the vault").is_empty(), "somebody without an event");
        assert_eq!(console.browser().signs_in_by("corp").await.status, StatusCode::SEE_OTHER);
        assert_eq!(console.events("user_created").await.len(), before + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_link_for_the_first_person_is_not_used_up_by_what_is_not_written_down() {
    for postgres in [false, true] {
        let dir = tempfile::tempdir().expect("a directory");
        let url = if postgres { Some(crate::postgres::fresh_database().await) } else { None };
        let more = url.as_ref().map(|url| format!("database_url = \"{url}\"")).unwrap_or_default();
        let entropy = std::sync::Arc::new(forelog::ambient::OsEntropy);
        let clock = TestClock::at(BEGINNING);
        if let Some(url) = &url {
            crate::postgres::simulate(url).await;
        }
        let app = forelog::app::App::start(&config(&dir, &more), clock as _, entropy).await.expect("a server");
        let link = app.invitation().await.expect("a link").expect("nobody is there");
        let base = format!("http://{}", app.address());
        let ports = &app.node().control.ports;
        let log = log_of(&dir, url.as_deref()).await;
        let chosen = [("email", "me@example.com"), CHOSEN[0], CHOSEN[1]];
        rename(&*log, "event", "event_away").await;
        let failed = Browser::at(&base).post(&link, &chosen).await;
        rename(&*log, "event_away", "event").await;
        assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE, "{failed:?}");
        assert!(ports.reader.vault.users().await.expect("the vault").is_empty(), "somebody without an event");
        assert_eq!(Browser::at(&base).get(&link).await.status, StatusCode::OK, "the link is used up");
        let browsers: Vec<Browser> = (0..3).map(|_| Browser::at(&base)).collect();
        let answers = futures::future::join_all(browsers.iter().map(|browser| browser.post(&link, &chosen))).await;
        let joined = answers.iter().filter(|answer| answer.status == StatusCode::SEE_OTHER).count();
        assert_eq!(joined, 1, "{answers:?}");
        assert_eq!(Browser::at(&base).get(&link).await.status, StatusCode::NOT_FOUND);
        assert_eq!(ports.reader.vault.users().await.expect("the vault").len(), 1);
        app.shutdown().await;
    }
}
