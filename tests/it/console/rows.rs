//! A row of the vault says where to look, never who may come in: these are written by somebody who has the database's password and
//! not the vault's key, or were put back from an older copy.

use std::time::Duration;

use forelog::auth::session::Token;
use forelog::core::id::UserId;
use forelog::log::signed_in::{Session, SignInProof};
use forelog::log::users::UserRecord;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::issuer::Issuer;
use super::{BEGINNING, Browser, ConsoleServer};

const CHOSEN: [(&str, &str); 2] = [("password", "a long enough phrase"), ("again", "a long enough phrase")];

on_both! {
    forged_sessions, console_a_session_that_sql_has_made_is_none, postgres_console_a_session_that_sql_has_made_is_none;
    ended_sessions, console_a_session_that_has_ended_is_not_put_back, postgres_console_a_session_that_has_ended_is_not_put_back;
    later_sessions, console_a_session_of_which_the_log_knows_nothing_is_none, postgres_console_a_session_of_which_the_log_knows_nothing_is_none;
    people_of_no_event, console_a_person_whom_no_event_made_is_nobody, postgres_console_a_person_whom_no_event_made_is_nobody;
    edited_people, console_a_person_whose_row_sql_has_changed_is_nobody, postgres_console_a_person_whose_row_sql_has_changed_is_nobody;
    told_events, views_tell_what_no_row_but_an_event_says, postgres_views_tell_what_no_row_but_an_event_says;
    edited_invitations, console_an_invitation_that_sql_has_changed_lets_nobody_in, postgres_console_an_invitation_that_sql_has_changed_lets_nobody_in;
}

/// The columns of a session but its digest.
const REST: &str = "person, credential, began, seen, ends, address, user_agent, signet";

impl ConsoleServer {
    /// A browser with a cookie of somebody's own.
    fn holding(&self, cookie: &str) -> Browser {
        let jar = reqwest::cookie::Jar::default();
        let url: reqwest::Url = self.base.parse().expect("an address");
        jar.add_cookie_str(&format!("forelog-session={cookie}"), &url);
        let redirect = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().no_proxy().cookie_provider(jar.into()).redirect(redirect).build();
        Browser { client: client.expect("a client"), base: self.base.clone() }
    }

    async fn number(&self, sql: &str) -> i64 {
        let rows = self.app.node().control.ports.reader.vault.database().query(sql, Vec::new()).await.expect("rows");
        rows[0].int(0).expect("a number")
    }
}

async fn forged_sessions(console: ConsoleServer) {
    let (admin, owner) = (console.signed_in(&console.staff).await, console.signed_in(&console.one.owner).await);
    let (staff, one, own) = (&console.staff.user, &console.one.owner.user, Token::read("my-own-cookie").hash());
    // A copy of somebody's session with another digest, with and without what stands beside it.
    for rest in [REST.to_owned(), REST.replace("signet", "null")] {
        console.change(&format!("delete from session where hash = '{own}'")).await;
        let sql = format!("insert into session (hash, {REST}) select '{own}', {rest} from session where person = '{staff}'");
        console.change(&sql).await;
        assert_eq!(console.number("select count(*) from session").await, 3);
        let mine = console.holding("my-own-cookie");
        assert!(!mine.is_signed_in().await, "a session that nobody began: {rest}");
        let released = mine.post("/console/switches/swi_01J00000000000000000000000/release", &[("reason", "x")]).await;
        assert!(released.status == StatusCode::SEE_OTHER || released.status.is_client_error(), "{released:?}");
    }
    assert!(admin.is_signed_in().await && owner.is_signed_in().await, "those that are real go on");
    // A session of one's own that becomes another person's.
    let theirs = format!("(select credential from session s where s.person = '{staff}' limit 1)");
    console.change(&format!("update session set person = '{staff}', credential = {theirs} where person = '{one}'")).await;
    assert!(!owner.is_signed_in().await, "a session that is another person's by now");
    // One that goes on for ever.
    console.clock.pass(Duration::from_mins(61));
    console.change(&format!("update session set seen = {}", BEGINNING.0 + 3_600_000_000)).await;
    assert!(!admin.is_signed_in().await, "a session that was not used for an hour");
}

async fn ended_sessions(console: ConsoleServer) {
    let mut person = console.hire(&console.staff.account, "admin").await;
    console.change("create table kept as select * from session").await;
    for how in ["signed out", "all of them", "another password"] {
        let browser = console.signed_in(&person).await;
        console.change("insert into kept select * from session").await;
        match how {
            "signed out" => browser.submit("/console/sign-out", &[]).await,
            "all of them" => browser.submit("/console/account/sign-out-everywhere", &[]).await,
            _ => {
                let other = console.signed_in(&person).await;
                let fields = [("current", person.password.as_str()), ("password", CHOSEN[0].1), ("again", CHOSEN[0].1)];
                let set = other.submit("/console/account/password", &fields).await;
                assert!(other.is_signed_in().await, "where it was set they stay: {set:?}");
                set
            }
        };
        assert!(!browser.is_signed_in().await, "{how}");
        // As a copy of yesterday's vault has it, or somebody who has kept the row.
        console.change("delete from session").await;
        console.change("insert into session select * from kept").await;
        assert!(!browser.is_signed_in().await, "{how}: it is alive again");
        console.change("delete from kept").await;
        console.change("delete from session").await;
    }
    CHOSEN[0].1.clone_into(&mut person.password);
    assert!(console.signed_in(&person).await.is_signed_in().await);
}

async fn later_sessions(console: ConsoleServer) {
    let ports = &console.app.node().control.ports;
    let browser = console.signed_in(&console.staff).await;
    let vault = &ports.reader.vault;
    let person: UserRecord =
        vault.users_with(&"staff@example.com".parse().expect("an address")).await.expect("the vault").remove(0);
    let now = forelog::core::time::Clock::now(&*console.clock);
    let state = ports.fence().state();
    let acts = state.credentials.values().find(|row| row.created.user == person.id && row.created.role.is_some());
    // What a vault has that is newer than its log: all of it is ours, and no event says it.
    let session = Session {
        hash: Token::read("a-later-cookie").hash(),
        person: person.id.clone(),
        credential: acts.expect("what they act with").created.credential.clone(),
        began: now,
        seen: now,
        ends: now.plus(Duration::from_hours(1)),
        address: None,
        user_agent: None,
    };
    let idle = forelog::auth::session::idle_since(now);
    assert!(vault.begin_session(&session, SignInProof::Password(&person.password), &[], (now, idle)).await.expect("the vault"));
    assert!(!console.holding("a-later-cookie").is_signed_in().await, "a session that no event began");
    assert!(browser.is_signed_in().await);
}

async fn people_of_no_event(console: ConsoleServer) {
    let (ports, password) = (&console.app.node().control.ports, "a long enough phrase");
    let email: forelog::core::email::EmailAddress = "evil@example.com".parse().expect("an address");
    // As after a restore of an older log beside a later vault.
    let person = UserRecord {
        id: UserId::new(BEGINNING, &forelog::ambient::OsEntropy),
        account: console.staff.account.clone(),
        side: "staff".into(),
        role: "admin".into(),
        email: email.clone(),
        proved: true,
        password: forelog::auth::password::hash_under(password, ports.reader.vault.salt(&email).await.expect("a salt"))
            .expect("a hash"),
    };
    ports.reader.vault.add_user(&person).await.expect("a row");
    let browser = console.browser();
    assert_eq!(browser.sign_in("evil@example.com", password).await.status, StatusCode::UNAUTHORIZED);
    assert!(!browser.is_signed_in().await);
    // The same by somebody who has no key, under a password that they know.
    console
        .change(&format!(
            "update person set signet = null, password = (select password from person where id = '{}') where id = '{}'",
            console.one.owner.user, person.id
        ))
        .await;
    assert_eq!(browser.sign_in("evil@example.com", &console.one.owner.password).await.status, StatusCode::UNAUTHORIZED);
    let admin = console.signed_in(&console.staff).await;
    assert!(!admin.page("/console/people").await.contains("evil@example.com"), "nobody lists whom no event made");
}

async fn edited_people(console: ConsoleServer) {
    let (one, other) = (&console.one.owner, &console.other.owner);
    for edit in [
        format!(
            "update person set password = (select password from person where id = '{}') where id = '{}'",
            other.user, one.user
        ),
        format!(
            "update person set role = 'admin', side = 'staff', account = '{}' where id = '{}'",
            console.staff.account, one.user
        ),
        format!("update person set email = 'someone@example.com' where id = '{}'", one.user),
        format!("update person set proved = 0 where id = '{}'", one.user),
    ] {
        console.change("drop table if exists kept").await;
        console.change("create table kept as select * from person").await;
        console.change(&edit).await;
        console.clock.pass(Duration::from_hours(1));
        for (email, password) in
            [(&*one.email, &one.password), (&*one.email, &other.password), ("someone@example.com", &one.password)]
        {
            let refused = console.browser().sign_in(email, password).await;
            assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{edit}: {refused:?}");
        }
        assert!(console.signed_in(other).await.is_signed_in().await, "{edit}: everybody else goes on");
        console.change("delete from person").await;
        console.change("insert into person select * from kept").await;
    }
    assert!(console.signed_in(one).await.is_signed_in().await, "as it was");
}

async fn edited_invitations(console: ConsoleServer) {
    let key = console.signed_in(&console.one.owner).await.key_with(&["people:write", "people:read"]).await;
    let invite = async |email: &str| {
        let args = json!({ "email": email, "role": "owner" });
        let made = console.rest(&key, Method::POST, "/invitations", Some(args)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    };
    let own = Token::read("my-own-link").hash();
    invite("friend@example.com").await;
    for edit in [format!("hash = '{own}'"), format!("hash = '{own}', signet = null")] {
        console.change(&format!("update invited set {edit}")).await;
        for attempt in 0..2 {
            let browser = console.browser();
            let answer = if attempt == 0 {
                browser.get("/console/welcome/my-own-link").await
            } else {
                browser.post("/console/welcome/my-own-link", &CHOSEN).await
            };
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{edit}");
        }
    }
    let people = console.rest(&key, Method::GET, "/people", None).await.json();
    assert_eq!(people["items"].as_array().map(Vec::len), Some(1), "{people}");
}

impl ConsoleServer {
    /// Changes the read models behind everybody's back.
    async fn mislead(&self, sql: &str) {
        let mut views = self.app.node().views.database().begin().await.expect("a transaction");
        views.execute(sql, Vec::new()).await.expect("an update");
        views.commit().await.expect("a commit");
    }

    async fn listed(&self, key: &str, filter: &str) -> Vec<serde_json::Value> {
        let read = self.read(key, &format!("/api/v1/events?limit=200&reason=looking{filter}")).await;
        assert_eq!(read.status, StatusCode::OK, "{read:?}");
        // That staff looked is told, too, and is as it was.
        let items = read.json()["items"].as_array().expect("a list").clone();
        items.into_iter().filter(|item| item["type"] != "log_read").collect()
    }
}

async fn told_events(console: ConsoleServer) {
    let staff = super::staff_key(&console).await;
    let (one, other) = (console.one.key.clone(), console.other.key.clone());
    // A switch on each of the two, let go of again, so that the release says nothing of whose it was.
    for vm in [&console.one.vm, &console.other.vm] {
        let wish = json!({ "target": format!("vm:{vm}"), "reason": "a test" });
        let engaged = console.rest(&staff, Method::POST, "/switches", Some(wish)).await;
        assert!(engaged.status.is_success(), "{engaged:?}");
        let id = engaged.json()["id"].as_str().expect("an id").to_owned();
        let over =
            console.rest(&staff, Method::POST, &format!("/switches/{id}/release"), Some(json!({ "reason": "over" }))).await;
        assert_eq!(over.status, StatusCode::OK, "{over:?}");
    }
    assert!(!console.events("switch_released").await.is_empty());
    assert_eq!(console.call(&one, "vm_list", json!({})).await.status, StatusCode::OK);
    let intent = console.events("intent_recorded").await.last().expect("a call").position.0;
    let honest = (console.listed(&one, "").await, console.listed(&other, "").await);
    let of_types = |items: &[serde_json::Value]| items.iter().filter(|item| item["type"] == "switch_released").count();
    assert_eq!((of_types(&honest.0), of_types(&honest.1)), (1, 1), "{honest:?}");
    let whole = console.listed(&staff, "").await.len();
    // What no event says.
    let user = &console.staff.user;
    console
        .mislead(&format!(
            "insert into administration (position, at, type, account, person, subject, concerns) \
             values ({intent}, {}, 'switch_released', null, '{user}', 'swi_01J00000000000000000000000', null)",
            BEGINNING.0
        ))
        .await;
    // What is another's.
    console
        .mislead(&format!(
            "update administration set account = '{}' where account = '{}'",
            console.one.account, console.other.account
        ))
        .await;
    console
        .mislead(&format!("update owner set account = '{}' where account = '{}'", console.one.account, console.other.account))
        .await;
    assert_eq!(console.listed(&one, "").await, honest.0, "an account is told what is not its own");
    assert!(console.listed(&other, "").await.iter().all(|item| honest.1.contains(item)));
    let seen = console.listed(&staff, "").await;
    assert!(seen.iter().all(|item| item["position"] != json!(intent)), "a release that nobody made");
    assert!(seen.len() < whole + 8, "reading is written down, and nothing else: {whole} {}", seen.len());
    // In another person's name, of another kind, about something else.
    for (edit, kind) in [
        ("person = 'usr_01J00000000000000000000000'", "switch_engaged"),
        ("type = 'switch_expired'", "switch_released"),
        ("subject = 'swi_01J00000000000000000000000'", "credential_created"),
        ("at = at + 1", "vm_imported"),
    ] {
        let event = console.events(kind).await.remove(0);
        let (at, shows) =
            (event.position.0, |items: &[serde_json::Value], at: i64| items.iter().any(|item| item["position"] == json!(at)));
        assert!(shows(&seen, at), "{edit}: it is shown before");
        console.mislead(&format!("update administration set {edit} where position = {at}")).await;
        assert!(!shows(&console.listed(&staff, "").await, at), "{edit}");
    }
}

/// Whom an issuer may vouch for is said by the log: not by a row that names another person, nor by one that was put back.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_oidc_a_link_that_sql_has_made_lets_nobody_in() {
    for postgres in [false, true] {
        let issuer = Issuer::start(BEGINNING).await;
        let url = if postgres { Some(crate::postgres::fresh_database().await) } else { None };
        let database = url.as_ref().map(|url| format!("database_url = \"{url}\"\n")).unwrap_or_default();
        let console =
            ConsoleServer::with(&(database + &issuer.configured("them", "customer", "domains = [\"example.com\"]"))).await;
        issuer.vouches_for("first", "one@example.com", &json!({}));
        assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER);
        console.change("create table kept as select * from identity").await;
        let (one, other) = (&console.one.owner.user, &console.other.owner.user);
        // Of another subject, and of another person.
        issuer.vouches_for("evil", "evil@example.net", &json!({}));
        console.change("update identity set subject = 'evil'").await;
        assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::FORBIDDEN);
        issuer.vouches_for("first", "evil@example.net", &json!({}));
        console.change(&format!("update identity set subject = 'first', person = '{other}'")).await;
        assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::FORBIDDEN);
        console.change(&format!("update identity set person = '{one}'")).await;
        let browser = console.browser();
        assert_eq!(browser.signs_in_by("them").await.status, StatusCode::SEE_OTHER, "as it was");
        // Parted, and put back.
        let parted = browser.submit("/console/account/identities/them/unlink", &[("current", &console.one.owner.password)]).await;
        assert!(parted.status.is_redirection() || parted.status.is_success(), "{parted:?}");
        console.change("insert into identity select * from kept").await;
        assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::FORBIDDEN, "a link that was parted");
        // Whoever is that person asks for it again.
        issuer.vouches_for("first", "one@example.com", &json!({}));
        assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER, "the address vouches");
    }
}
