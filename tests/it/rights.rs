//! Who may administer keys, and whose they are: nobody becomes another, or more than they were, by making a key.

use std::sync::Arc;

use forelog::ambient::{OsEntropy, SystemClock};
use forelog::app::local_admin::{LocalAdmin, LocalAdminError};
use forelog::app::registry::KeySpec;
use forelog::config::Config;
use forelog::core::event::EventKind;
use forelog::core::id::{CredentialId, UserId};
use forelog::core::limit::Limit;
use forelog::core::principal::Side;
use forelog::core::role::Role;
use forelog::core::scope::{Scope, ScopeSet};
use forelog::core::time::Micros;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Key, TestApp, send};

impl TestApp {
    async fn rest(&self, key: &Key, method: Method, path: &str, body: Option<Value>) -> Answer {
        let asked = self.ask(key, method, &format!("/api/v1{path}"));
        send(if let Some(body) = body { asked.json(&body) } else { asked }).await
    }

    /// A key that was given the rights over keys by name.
    async fn keeper(&self) -> Key {
        self.key(|key| key.scopes.extend([Scope::KeysRead, Scope::KeysWrite])).await
    }

    async fn is_live(&self, id: &CredentialId) -> bool {
        let ports = &self.test_node.control.ports;
        let state = ports.writer.write(forelog::log::store::Want::default(), |draft| Ok(draft.state().clone()));
        state.await.expect("the state").credentials[id].revoked_at.is_none()
    }

    /// Somebody of the plant's account, as the log has them.
    async fn hired(&self, role: Role) -> forelog::core::id::UserId {
        let (user, account, side) = (self.somebody(), self.test_node.account.clone(), role.side());
        let made = EventKind::UserCreated {
            user: user.clone(),
            account,
            side,
            role: Some(role),
            invitation: None,
            invited_by: None,
            address: None,
        };
        self.test_node.change(made, Value::Null).await;
        user
    }

    async fn make(&self, by: &Key, body: Value) -> Answer {
        self.rest(by, Method::POST, "/keys", Some(body)).await
    }
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), if answer.status.is_success() { String::new() } else { answer.code() })
}

fn no(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_keys_are_administered_by_who_was_given_that_right() {
    let app = TestApp::start().await;
    let victim = app.key(|_| {}).await;
    let usual = app.key(|_| {}).await;
    let nothing = app.key(|key| key.scopes = ScopeSet::new()).await;
    let reading = app.key(|key| (key.scopes, key.read_only) = (ScopeSet::new(), true)).await;
    let one = format!("/keys/{}", victim.id);
    for key in [&usual, &nothing, &reading] {
        for (method, path, body) in [
            (Method::GET, "/keys".to_owned(), None),
            (Method::POST, "/keys".into(), Some(json!({ "label": "x", "scopes": [] }))),
            (Method::POST, format!("{one}/rotate"), Some(json!({}))),
            (Method::DELETE, one.clone(), None),
            (Method::POST, "/tools/key_revoke".into(), Some(json!({ "id": victim.id }))),
            (Method::POST, "/tools/key_list".into(), Some(json!({}))),
        ] {
            let answer = app.rest(key, method.clone(), &path, body).await;
            assert_eq!(told(&answer), no(403, "forbidden_scope"), "{method} {path}: {answer:?}");
        }
    }
    let known = app.rest(&usual, Method::GET, &one, None).await;
    assert_eq!(told(&known), no(404, "not_found"), "what another key may do is for who may list keys: {known:?}");
    let reader = app.key(|key| key.scopes.extend([Scope::KeysRead])).await;
    let lists = app.rest(&reader, Method::GET, "/keys", None).await;
    assert_eq!(
        (lists.status, told(&app.make(&reader, json!({ "label": "x", "scopes": [] })).await)),
        (StatusCode::OK, no(403, "forbidden_scope"))
    );
    let weak = app.key(|key| (key.scopes, key.read_only) = ([Scope::KeysRead, Scope::KeysWrite].into(), true)).await;
    assert_eq!(app.rest(&weak, Method::GET, "/keys", None).await.status, StatusCode::OK, "listing is reading");
    assert_eq!(
        told(&app.rest(&weak, Method::DELETE, &one, None).await),
        no(403, "read_only_mode"),
        "revoking is stopping, not everybody's"
    );
    assert!(app.is_live(&victim.id).await);
    assert_eq!(told(&app.rest(&app.keeper().await, Method::DELETE, &one, None).await), (200, String::new()));
    assert!(!app.is_live(&victim.id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_no_key_ends_what_the_console_acts_with() {
    let app = TestApp::start().await;
    let console = app.console(&app.test_node.user, Role::Owner).await;
    let (keeper, staff) = (app.keeper().await, app.stranger(Side::Staff).await);
    for key in [&keeper, &staff] {
        for (method, path) in [(Method::DELETE, format!("/keys/{console}")), (Method::POST, format!("/keys/{console}/rotate"))] {
            let answer = app.rest(key, method.clone(), &path, Some(json!({}))).await;
            assert_eq!(told(&answer), no(404, "not_found"), "{method} {path}: {answer:?}");
        }
    }
    assert!(app.is_live(&console).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_a_key_makes_nothing_that_may_do_more() {
    let app = TestApp::start().await;
    let limit = Limit { admit: 5, window_ms: 60_000 };
    let end = app.test_node.clock.after(std::time::Duration::from_hours(48));
    let narrow = app
        .key(|key| {
            key.scopes = [Scope::VmsRead, Scope::KeysRead, Scope::KeysWrite].into();
            (key.limit, key.expires_at) = (Some(limit), Some(end));
        })
        .await;
    let soon = app.test_node.clock.after(std::time::Duration::from_hours(24)).rfc3339();
    let fits = json!({ "label": "x", "scopes": ["vms:read"], "expires_at": soon });
    let made = app.make(&narrow, fits.clone()).await;
    assert_eq!(
        (made.status, &made.json()["limit"]["admit"]),
        (StatusCode::CREATED, &json!(5)),
        "it stays in the window: {made:?}"
    );
    let with = |field: &str, value: Value| {
        let mut body = fits.clone();
        body[field] = value;
        body
    };
    let late = app.test_node.clock.after(std::time::Duration::from_hours(72)).rfc3339();
    for (body, code) in [
        (with("scopes", json!(["vms:write"])), "forbidden_scope"),
        (with("scopes", json!(["people:write"])), "forbidden_scope"),
        (with("scopes", json!(["approvals:decide"])), "forbidden_scope"),
        (with("expires_at", json!(late)), "forbidden_role"),
        (json!({ "label": "x", "scopes": ["vms:read"] }), "forbidden_role"),
        (with("limit", json!({ "admit": 6, "window_ms": 60_000 })), "forbidden_role"),
        (with("limit", json!({ "admit": 5, "window_ms": 1_000 })), "forbidden_role"),
    ] {
        assert_eq!(told(&app.make(&narrow, body.clone()).await), no(403, code), "{body}");
    }
    let tighter = app.make(&narrow, with("limit", json!({ "admit": 2, "window_ms": 60_000 }))).await;
    assert_eq!((tighter.status, &tighter.json()["limit"]["admit"]), (StatusCode::CREATED, &json!(2)), "{tighter:?}");
    // Nor by taking the place of another one.
    let free = app.key(|key| key.scopes = [Scope::VmsRead].into()).await;
    let bounded = app.key(|key| (key.scopes, key.expires_at) = ([Scope::VmsRead].into(), Some(end))).await;
    for other in [&free, &bounded, &app.keeper().await] {
        let answer = app.rest(&narrow, Method::POST, &format!("/keys/{}/rotate", other.id), Some(json!({}))).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
        assert!(app.is_live(&other.id).await);
    }
    // Whoever is confined makes none at all.
    let confined = app.key(|key| (key.vms, key.scopes) = (Some(Vec::new()), [Scope::KeysWrite, Scope::VmsRead].into())).await;
    assert_eq!(told(&app.make(&confined, json!({ "label": "x", "scopes": ["vms:read"] })).await), no(404, "not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_a_key_is_of_whoever_made_it() {
    let app = TestApp::start().await;
    let (keeper, colleague) = (app.keeper().await, app.hired(Role::Owner).await);
    let stranger = app.stranger(Side::Customer).await;
    let theirs = app.test_node.log().await.into_iter().find_map(|event| match event.kind {
        EventKind::CredentialCreated(made) if made.credential == stranger.id => Some(made.user),
        _ => None,
    });
    for user in [app.somebody(), colleague.clone(), theirs.expect("a person")] {
        let answer = app.make(&keeper, json!({ "label": "x", "scopes": ["vms:read"], "user": user })).await;
        assert!(["forbidden_role", "not_found"].contains(&answer.code().as_str()), "{answer:?}");
    }
    let own = app.make(&keeper, json!({ "label": "x", "scopes": ["vms:read"], "user": app.test_node.user })).await;
    assert_eq!((own.status, &own.json()["user"]), (StatusCode::CREATED, &json!(app.test_node.user)), "{own:?}");
    // Whoever takes the place of a colleague's key is not that colleague.
    let old = app.key(|key| key.user = colleague.clone()).await;
    let rotated = app.rest(&keeper, Method::POST, &format!("/keys/{}/rotate", old.id), Some(json!({}))).await;
    assert_eq!((rotated.status, &rotated.json()["user"]), (StatusCode::CREATED, &json!(app.test_node.user)), "{rotated:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_end_with_the_person_whose_they_are() {
    let app = TestApp::start().await;
    let user = app.hired(Role::Owner).await;
    let key = app.key(|key| key.user = user.clone()).await;
    assert_eq!(app.call(&key, "probe_read", json!({})).await.status, StatusCode::OK);
    // Nothing else ends: no event revokes the key, and yet it is dead, as is one that is made in the person's name later.
    let gone = EventKind::UserRemoved { user: user.clone(), account: app.test_node.account.clone(), by: None };
    app.test_node.change(gone, Value::Null).await;
    let late = app.key(|key| key.user = user.clone()).await;
    let elsewhere = app.stranger(Side::Customer).await.account;
    let other = app.hired(Role::Owner).await;
    let foreign = app.key(|key| (key.user, key.account) = (other, elsewhere)).await;
    for key in [&key, &late, &foreign] {
        let refused = app.call(key, "probe_read", json!({})).await;
        assert_eq!(told(&refused), no(401, "token_revoked"), "{refused:?}");
        assert_eq!(app.rest(key, Method::GET, "/calls", None).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_staff_end_what_customers_have_and_make_none_of_it() {
    let app = TestApp::start().await;
    let (staff, customer) = (app.stranger(Side::Staff).await, app.key(|_| {}).await);
    let all = app
        .key(|key| {
            (key.account, key.side, key.user) = (staff.account.clone(), Side::Staff, app.somebody());
            key.scopes = Role::Admin.scopes();
        })
        .await;
    let account = &app.test_node.account;
    for key in [&staff, &all] {
        for (tool, args) in [
            ("key_create", json!({ "account": account, "label": "in", "scopes": ["vms:read"] })),
            ("key_create", json!({ "account": account, "user": app.test_node.user, "label": "in", "scopes": ["vms:read"] })),
            ("key_rotate", json!({ "id": customer.id })),
            ("account_set", json!({ "account": account, "agents_may_enable_exec": true })),
        ] {
            let answer = app.call(key, tool, args.clone()).await;
            assert_eq!(told(&answer), no(403, "forbidden_role"), "{tool} {args}: {answer:?}");
        }
    }
    let invite = json!({ "account": account, "email": "me@hosting.example", "role": "owner" });
    assert_eq!(told(&app.call(&all, "person_invite", invite).await), no(403, "forbidden_role"));
    let own = app.make(&all, json!({ "label": "own", "scopes": ["staff:audit"] })).await;
    assert_eq!(own.status, StatusCode::CREATED, "{own:?}");
    let less = json!({ "account": account, "agents_may_enable_exec": false });
    assert_eq!(app.call(&staff, "account_set", less).await.status, StatusCode::OK, "what allows less is theirs");
    assert_eq!(app.rest(&staff, Method::DELETE, &format!("/keys/{}", customer.id), None).await.status, StatusCode::OK);
    assert!(!app.is_live(&customer.id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_what_stopping_needs_is_read_while_all_is_stopped() {
    let app = TestApp::start().await;
    let staff = app.stranger(Side::Staff).await;
    let keeper = app.keeper().await;
    let all = json!({ "target": "all", "reason": "a test" });
    let engaged = app.rest(&staff, Method::POST, "/switches", Some(all)).await;
    assert_eq!(engaged.status, StatusCode::CREATED, "{engaged:?}");
    let switches = app.rest(&staff, Method::GET, "/switches", None).await;
    assert_eq!(switches.json()["items"][0]["id"], engaged.json()["id"], "{switches:?}");
    for (key, path) in [(&staff, "/keys"), (&keeper, "/keys"), (&staff, "/people")] {
        let read = app.rest(key, Method::GET, path, None).await;
        assert_eq!(read.status, StatusCode::OK, "{path}: {read:?}");
    }
    // It reads, and makes nothing.
    let made = app.make(&keeper, json!({ "label": "x", "scopes": ["vms:read"] })).await;
    assert_eq!(told(&made), no(403, "kill_switch_engaged"), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_the_command_line_makes_keys_for_people_who_are_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = Config::parse(&format!("data_dir = {:?}", dir.path())).expect("a configuration");
    let local_admin = LocalAdmin::make(&config, Arc::new(SystemClock::start()), Arc::new(OsEntropy)).await.expect("a desk");
    let one = local_admin.create_account("one", "one@example.com", Side::Customer).await.expect("an account");
    let other = local_admin.create_account("other", "other@example.com", Side::Customer).await.expect("an account");
    let spec = |user: UserId| KeySpec { user: Some(user), ..KeySpec::full(one.account.clone(), "a key") };
    let made = local_admin.create_key(spec(one.user.clone())).await.expect("a key");
    let by_name = [Scope::KeysRead, Scope::KeysWrite, Scope::PeopleRead, Scope::PeopleWrite, Scope::ApprovalsDecide];
    assert!(by_name.iter().all(|scope| !made.scopes.contains(scope)), "{:?}", made.scopes);
    for user in [other.user, UserId::new(Micros(1), &OsEntropy)] {
        assert!(matches!(local_admin.create_key(spec(user)).await, Err(LocalAdminError::Refused(_))), "a key of somebody else");
    }
    local_admin.close().await;
}
