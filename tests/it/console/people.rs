//! The people of an account: invited by a link, given a role, removed; and that nobody gives themselves a right.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Browser, ConsoleServer};
use crate::harness::{Answer, send};

const CHOSEN: [(&str, &str); 2] = [("password", "a long enough phrase"), ("again", "a long enough phrase")];

/// The key that a page shows.
fn key_in(page: &str) -> String {
    let rest = page.split_once("flk_live_").expect("a key").1;
    format!("flk_live_{}", rest.split(|c: char| !c.is_alphanumeric()).next().expect("its end"))
}

impl Browser {
    /// A key that whoever is signed in has given these rights by name.
    pub async fn key_with(&self, scopes: &[&str]) -> String {
        let fields: Vec<(&str, &str)> =
            [("label", "people"), ("days", "")].into_iter().chain(scopes.iter().map(|scope| ("scope", *scope))).collect();
        let made = self.submit("/console/keys", &fields).await;
        assert_eq!(made.status, StatusCode::OK, "{made:?}");
        key_in(&made.text)
    }
}

impl ConsoleServer {
    /// A request with a key.
    pub async fn rest(&self, key: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = client.request(method, format!("{}/api/v1{path}", self.base)).bearer_auth(key);
        send(if let Some(body) = body { request.json(&body) } else { request }).await
    }

    /// A key that somebody who is signed in has given these rights by name.
    pub async fn key_with(&self, browser: &Browser, scopes: &[&str]) -> String {
        browser.key_with(scopes).await
    }

    /// A key of the first customer that may manage people.
    async fn manager(&self) -> String {
        let owner = self.signed_in(&self.one.owner).await;
        self.key_with(&owner, &["people:write", "people:read", "approvals:decide"]).await
    }

    /// The same of the other customer: what it may not is another account's.
    async fn stranger(&self) -> String {
        let owner = self.signed_in(&self.other.owner).await;
        self.key_with(&owner, &["people:write", "people:read"]).await
    }

    /// Invites somebody with a key, and answers the link.
    async fn invited(&self, key: &str, email: &str, role: &str) -> String {
        let made = self.rest(key, Method::POST, "/invitations", Some(json!({ "email": email, "role": role }))).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        made.json()["link"].as_str().expect("a link").to_owned()
    }

    /// Somebody takes an invitation.
    async fn joined(&self, key: &str, email: &str, role: &str) -> Browser {
        let (link, browser) = (self.invited(key, email, role).await, self.browser());
        let answer = browser.post(&link, &CHOSEN).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
        browser
    }

    /// The id of a person by their address.
    async fn id_of(&self, key: &str, email: &str) -> String {
        let people = self.rest(key, Method::GET, "/people", None).await.json();
        let items = people["items"].as_array().expect("people");
        let found = items.iter().find(|item| item["email"] == email).unwrap_or_else(|| panic!("no {email} in {people}"));
        found["id"].as_str().expect("an id").to_owned()
    }
}

on_both! {
    links_end, console_a_link_ends_when_it_is_revoked_replaced_or_a_week_old_and_is_never_recorded, postgres_console_a_link_ends_when_it_is_revoked_replaced_or_a_week_old_and_is_never_recorded;
    removed, console_who_is_removed_is_out_with_everything_they_had, postgres_console_who_is_removed_is_out_with_everything_they_had;
    last_owner, console_of_two_owners_who_remove_each_other_one_stays, postgres_console_of_two_owners_who_remove_each_other_one_stays;
}

#[tokio::test(flavor = "multi_thread")]
async fn console_an_invited_person_comes_in_once_with_the_role_that_was_given() {
    let console = ConsoleServer::open().await;
    let key = console.manager().await;
    let link = console.invited(&key, "new@example.com", "member").await;
    let page = console.browser().page(&link).await;
    assert!(page.contains("new@example.com") && page.contains("member") && page.contains("one"), "{page}");
    let short = [("password", "short"), ("again", "short")];
    assert_eq!(console.browser().post(&link, &short).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let browser = console.browser();
    // Whatever address the form names, the one that was invited counts.
    let fields: Vec<_> = CHOSEN.into_iter().chain([("email", "else@example.com")]).collect();
    assert_eq!(browser.post(&link, &fields).await.status, StatusCode::SEE_OTHER);
    assert!(browser.page("/console/account").await.contains("new@example.com"));
    assert_eq!(console.browser().post(&link, &CHOSEN).await.status, StatusCode::NOT_FOUND, "it worked twice");
    assert_eq!(console.browser().get(&link).await.status, StatusCode::NOT_FOUND);
    let again = console.browser().sign_in("new@example.com", "a long enough phrase").await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    let created = console.events("user_created").await;
    let last = serde_json::to_value(created.last().expect("an event")).expect("a leaf");
    assert_eq!((&last["role"], &last["account"]), (&json!("member"), &json!(console.one.account)), "{last}");
    assert!(last["invitation"].as_str().is_some_and(|id| id.starts_with("inv_")), "{last}");
}

async fn links_end(console: ConsoleServer) {
    let key = console.manager().await;
    let links = [
        console.invited(&key, "new@example.com", "member").await,
        console.invited(&key, "new@example.com", "owner").await,
        console.invited(&key, "other-one@example.com", "member").await,
    ];
    assert_eq!(console.browser().get(&links[0]).await.status, StatusCode::NOT_FOUND, "a newer link ends the one before");
    let listed = console.rest(&key, Method::GET, "/invitations", None).await;
    let items = listed.json()["items"].as_array().expect("invitations").clone();
    assert_eq!(items.len(), 2, "{listed:?}");
    let newer = items.iter().find(|item| item["email"] == "new@example.com").expect("the newer one");
    assert_eq!(newer["role"], "owner");
    let revoke = format!("/invitations/{}", newer["id"].as_str().expect("an id"));
    let stranger = console.rest(&console.stranger().await, Method::DELETE, &revoke, None).await;
    assert_eq!(stranger.status, StatusCode::NOT_FOUND);
    assert_eq!(console.browser().get(&links[1]).await.status, StatusCode::OK);
    assert_eq!(console.rest(&key, Method::DELETE, &revoke, None).await.status, StatusCode::OK);
    assert_eq!(console.rest(&key, Method::DELETE, &revoke, None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(console.browser().post(&links[1], &CHOSEN).await.status, StatusCode::NOT_FOUND);
    console.clock.pass(Duration::from_hours(7 * 24));
    assert_eq!(console.browser().post(&links[2], &CHOSEN).await.status, StatusCode::NOT_FOUND, "it is a week old");
    let token = links[2].rsplit('/').next().expect("a token");
    assert!(token.len() > 40);
    for sql in ["select hash from invited", "select id from invited"] {
        let rows = console.app.node().control.ports.reader.vault.database().query(sql, Vec::new()).await.expect("rows");
        assert!(rows.iter().all(|row| row.text(0).expect("a text") != token), "the link is stored");
    }
    let ports = &console.app.node().control.ports;
    for event in ports.reader.events(forelog::core::id::Position(0), 10_000).await.expect("the log") {
        let leaf = String::from_utf8(event.encode().expect("a leaf")).expect("JSON");
        assert!(!leaf.contains("@example.com") && !leaf.contains(token), "{leaf}");
        for part in ["arguments", "result", "note"] {
            let said = ports
                .reader
                .part(&event, part, &forelog::core::visibility::Visibility::Everything)
                .await
                .expect("a part")
                .unwrap_or_default()
                .to_string();
            assert!(!links.iter().any(|link| said.contains(link.rsplit('/').next().expect("a token"))), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn console_no_key_invites_that_was_not_given_that_right_by_a_person() {
    let console = ConsoleServer::open().await;
    // The agent's key may do everything that a key may unless somebody chooses.
    let (agent, invite) = (&console.one.key, json!({ "email": "me@evil.example", "role": "owner" }));
    for (method, path, body) in [
        (Method::POST, "/invitations", Some(invite.clone())),
        (Method::GET, "/invitations", None),
        (Method::GET, "/people", None),
        (Method::PATCH, &format!("/people/{}", console.one.owner.user), Some(json!({ "role": "member" }))),
        (Method::DELETE, &format!("/people/{}", console.one.owner.user), None),
        (Method::GET, &format!("/people/{}/sessions", console.one.owner.user), None),
        (Method::DELETE, &format!("/people/{}/sessions", console.one.owner.user), None),
    ] {
        let answer = console.rest(agent, method.clone(), path, body).await;
        // Sessions are everybody's own, but for a key, which is told so.
        let expected = if path.ends_with("/sessions") { (403, "forbidden_role") } else { (403, "forbidden_scope") };
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), expected, "{method} {path}: {answer:?}");
    }
    for scope in ["people:write", "people:read", "staff:people"] {
        let made = console.call(agent, "key_create", json!({ "label": "more", "scopes": [scope] })).await;
        assert_eq!((made.status, made.code().as_str()), (StatusCode::FORBIDDEN, "forbidden_scope"), "{scope}");
    }
    // Nor does a key that was given it, if it is confined; nor one of the staff that makes keys.
    let owner = console.signed_in(&console.one.owner).await;
    let fields = [("label", "confined"), ("days", ""), ("scope", "people:write"), ("ips", "127.0.0.0/8")];
    let made = owner.submit("/console/keys", &fields).await.text;
    let confined = key_in(&made);
    let answer = console.rest(&confined, Method::POST, "/invitations", Some(invite.clone())).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{answer:?}");
    let staff = console.signed_in(&console.staff).await;
    let member = console.joined(&console.manager().await, "member@one.example", "member").await;
    let refused = member.submit("/console/keys", &[("label", "x"), ("days", ""), ("scope", "people:read")]).await;
    assert_ne!(refused.status, StatusCode::OK, "a member makes no key");
    assert!(staff.is_signed_in().await);
    assert!(console.events("person_invited").await.len() == 1, "somebody was invited by whom nobody gave the right");
    let rpc = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "person_invite", "arguments": invite,
    } });
    let manager = console.manager().await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let asked = client.post(format!("{}/mcp", console.base)).bearer_auth(&manager).header("accept", crate::harness::ACCEPT);
    let answer = send(asked.header("mcp-protocol-version", "2026-07-28").json(&rpc)).await;
    assert!(answer.text.contains("unknown_tool") || answer.text.contains("error"), "{answer:?}");
    assert_eq!(console.events("person_invited").await.len(), 1, "an agent invites nobody over MCP, whatever its key may do");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_role_counts_at_once_and_nobody_changes_their_own() {
    let console = ConsoleServer::open().await;
    let key = console.manager().await;
    let second = console.joined(&key, "second@example.com", "owner").await;
    let strong = console.key_with(&second, &["vms:read", "vms:destroy"]).await;
    let weak = console.key_with(&second, &["vms:read"]).await;
    let own = format!("/people/{}", console.one.owner.user);
    let refused = console.rest(&key, Method::PATCH, &own, Some(json!({ "role": "member" }))).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::FORBIDDEN, "forbidden_role"));
    let path = format!("/people/{}", console.id_of(&key, "second@example.com").await);
    let staffs = console.rest(&key, Method::PATCH, &path, Some(json!({ "role": "admin" }))).await;
    assert_eq!(staffs.status, StatusCode::FORBIDDEN, "{staffs:?}");
    let stranger = console.rest(&console.stranger().await, Method::PATCH, &path, Some(json!({ "role": "member" }))).await;
    assert_eq!(stranger.status, StatusCode::NOT_FOUND);
    assert!(second.is_signed_in().await);
    let changed = console.rest(&key, Method::PATCH, &path, Some(json!({ "role": "member" }))).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    assert!(!second.is_signed_in().await, "the session outlives the role");
    let list = async |key: &str| console.call(key, "vm_list", json!({})).await.status;
    assert_eq!((list(&strong).await, list(&weak).await), (StatusCode::UNAUTHORIZED, StatusCode::OK));
    let again = console.browser();
    assert_eq!(again.sign_in("second@example.com", "a long enough phrase").await.status, StatusCode::SEE_OTHER);
    assert!(again.page("/console/account").await.contains("member"));
    let refused = again.submit("/console/keys", &[("label", "x"), ("days", ""), ("scope", "vms:read")]).await;
    assert_ne!(refused.status, StatusCode::OK, "a member makes no key");
    // The last owner stays one, whoever asks.
    let staff = console.signed_in(&console.staff).await;
    let admin = staff.page("/console/account").await;
    assert!(admin.contains("admin"));
    let removed = console.rest(&key, Method::DELETE, &own, None).await;
    assert_eq!((removed.status, removed.code().as_str()), (StatusCode::CONFLICT, "conflict"), "{removed:?}");
}

async fn removed(console: ConsoleServer) {
    let key = console.manager().await;
    let second = console.joined(&key, "second@example.com", "owner").await;
    let theirs = console.key_with(&second, &["vms:read", "people:write", "people:read"]).await;
    let link = console.invited(&theirs, "friend@example.com", "owner").await;
    let path = format!("/people/{}", console.id_of(&key, "second@example.com").await);
    let sessions = console.rest(&key, Method::GET, &format!("{path}/sessions"), None).await.json();
    assert_eq!(sessions["items"].as_array().map(Vec::len), Some(1), "{sessions}");
    assert_eq!(console.rest(&console.stranger().await, Method::DELETE, &path, None).await.status, StatusCode::NOT_FOUND);
    let removed = console.rest(&key, Method::DELETE, &path, None).await;
    assert_eq!(removed.json()["removed"], true, "{removed:?}");
    assert!(!second.is_signed_in().await);
    assert_eq!(console.call(&theirs, "vm_list", json!({})).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(console.browser().post(&link, &CHOSEN).await.status, StatusCode::NOT_FOUND, "their invitation outlives them");
    let back = console.browser().sign_in("second@example.com", "a long enough phrase").await;
    assert_eq!(back.status, StatusCode::UNAUTHORIZED);
    let people = console.rest(&key, Method::GET, "/people", None).await;
    assert!(!people.text.contains("second@example.com"), "{people:?}");
    let vault = &console.app.node().control.ports.reader.vault;
    let email = "second@example.com".parse().expect("an e-mail address");
    assert!(vault.users_with(&email).await.expect("the vault").is_empty(), "who they were is erased");
    assert_eq!(console.events("user_removed").await.len(), 1);
    // The address can be invited again.
    console.joined(&key, "second@example.com", "member").await;
}

async fn last_owner(console: ConsoleServer) {
    let first = console.manager().await;
    let second = console.joined(&first, "second@example.com", "owner").await;
    let theirs = console.key_with(&second, &["people:write", "people:read"]).await;
    let id = console.id_of(&first, "second@example.com").await;
    let (second, first_one) = (format!("/people/{id}"), format!("/people/{}", console.one.owner.user));
    let (one, other) = tokio::join!(
        console.rest(&first, Method::DELETE, &second, None),
        console.rest(&theirs, Method::DELETE, &first_one, None),
    );
    let removed = [&one, &other].iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert_eq!(removed, 1, "{one:?} {other:?}");
    assert_eq!(console.events("user_removed").await.len(), 1);
}
