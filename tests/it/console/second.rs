//! Two persons: whoever somebody has invited a short while ago is not another one, and a key of consent is made by hand.

use std::time::Duration;

use forelog::ambient::OsEntropy;
use forelog::core::event::EventKind;
use forelog::core::id::{Position, SwitchId};
use forelog::core::switch::Running;
use forelog::core::time::Clock;
use forelog::log::draft::NewEvent;
use forelog::log::store::Want;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Browser, ConsoleServer, between, nothing};

pub const PASSWORD: &str = "a long enough phrase";

impl ConsoleServer {
    /// Somebody whom a person of the staff has invited, signed in.
    pub async fn guest_of(&self, host: &Browser, email: &str) -> Browser {
        let fields = [("account", self.staff.account.as_str()), ("email", email), ("role", "admin")];
        let made = host.submit("/console/people", &fields).await;
        assert_eq!(made.status, StatusCode::OK, "{made:?}");
        let token = between(&made.text, "/console/welcome/", "<").split('"').next().expect("a token").to_owned();
        let guest = self.browser();
        let chosen = [("password", PASSWORD), ("again", PASSWORD)];
        assert_eq!(guest.post(&format!("/console/welcome/{token}"), &chosen).await.status, StatusCode::SEE_OTHER);
        guest
    }

    /// A switch that no person engaged; answers its page.
    async fn engaged_by_nobody(&self, target: &str) -> String {
        let ports = &self.app.node().control.ports;
        let switch = SwitchId::new(self.clock.now(), &OsEntropy);
        let kind = EventKind::SwitchEngaged {
            switch: switch.clone(),
            target: target.parse().expect("a target"),
            by: None,
            credential: None,
            running: Running::LetFinish,
            expires_at: None,
        };
        let event = NewEvent::plain(ports.event_id(), kind);
        let written = ports.writer.write(Want::default(), move |draft| draft.append(Position(0), event.clone()));
        written.await.expect("a switch");
        format!("/console/switches/{switch}")
    }

    /// Whether this person's wish was enough to release it.
    async fn is_released_by(&self, browser: &Browser, switch: &str) -> bool {
        browser.submit(&format!("{switch}/release"), &[("reason", "over"), ("typed", "all")]).await;
        !self.events("switch_released").await.is_empty()
    }
}

on_both! {
    wishes, console_a_wish_to_release_ends_with_the_right_to_it, postgres_console_a_wish_to_release_ends_with_the_right_to_it;
    guests, console_whom_somebody_invited_is_no_second_person_for_a_week, postgres_console_whom_somebody_invited_is_no_second_person_for_a_week;
}

async fn guests(console: ConsoleServer) {
    let first = console.signed_in(&console.staff).await;
    let second = console.guest_of(&first, "second@example.com").await;
    let third = console.guest_of(&second, "third@example.com").await;
    let created = console.events("user_created").await;
    let last = |back: usize| serde_json::to_value(&created[created.len() - back]).expect("a leaf");
    assert_eq!(last(2)["invited_by"], json!(console.staff.user), "the event does not say who invited");
    assert_eq!(last(1)["invited_by"], last(2)["user"]);

    let engaged = first.submit("/console/switches", &[("target", "all"), ("reason", "a test")]).await;
    let switch = engaged.header("location").to_owned();
    for browser in [&first, &second, &third] {
        assert!(!console.is_released_by(browser, &switch).await, "one person has released it by a guest");
    }
    assert_eq!(console.call(&console.one.key, "vm_list", nothing()).await.code(), "kill_switch_engaged");
    // Everything that stopping needs is there meanwhile, for staff and for the account.
    let owner = console.signed_in(&console.one.owner).await;
    for path in ["/console/switches", &*switch, "/console/switches/new?target=all", "/console/people"] {
        first.page(path).await;
    }
    for path in ["/console/people", "/console/keys", "/console/account"] {
        owner.page(path).await;
    }
    console.clock.pass(Duration::from_hours(7 * 24));
    let again = console.browser();
    assert_eq!(again.sign_in("third@example.com", PASSWORD).await.status, StatusCode::SEE_OTHER);
    assert!(console.is_released_by(&again, &switch).await, "they stand for themselves by now");
}

/// Whoever asked and then lost the right has asked for nothing: who comes next is the first of two.
async fn wishes(console: ConsoleServer) {
    let boss = console.signed_in(&console.staff).await;
    let (admin, responder) =
        (console.hire(&console.staff.account, "admin").await, console.hire(&console.staff.account, "responder").await);
    let ends = [("class:exec", &responder, "role"), ("all", &responder, "remove"), ("all", &admin, "remove")];
    for (target, person, end) in ends {
        let switch = console.engaged_by_nobody(target).await;
        let wish = [("reason", "over"), ("typed", target)];
        let asker = console.signed_in(person).await;
        asker.submit(&format!("{switch}/release"), &wish).await;
        assert!(boss.page(&switch).await.contains(&person.email), "the first wish is shown");
        let ended = boss.submit(&format!("/console/people/{}/{end}", person.user), &[("role", "reader")]).await;
        assert_eq!(ended.status, StatusCode::SEE_OTHER, "{ended:?}");
        boss.submit(&format!("{switch}/release"), &wish).await;
        assert!(console.events("switch_released").await.is_empty(), "{target}: one person has released it: {end}");
        if person.user == responder.user && end == "role" {
            let back = boss.submit(&format!("/console/people/{}/role", person.user), &[("role", "responder")]).await;
            assert_eq!(back.status, StatusCode::SEE_OTHER, "{back:?}");
        }
    }
    let second = console.hire(&console.staff.account, "admin").await;
    let switches = console.app.node().control.ports.fence().state().switches.clone();
    let second = console.signed_in(&second).await;
    for switch in switches.values() {
        let wish = [("reason", "over"), ("typed", &*switch.target.to_string())];
        second.submit(&format!("/console/switches/{}/release", switch.id), &wish).await;
    }
    assert_eq!(console.events("switch_released").await.len(), ends.len(), "two who may have asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_how_long_a_guest_is_no_second_person_is_configured() {
    let console = ConsoleServer::with("newcomer_ms = 0").await;
    let first = console.signed_in(&console.staff).await;
    let second = console.guest_of(&first, "second@example.com").await;
    let engaged = first.submit("/console/switches", &[("target", "all"), ("reason", "a test")]).await;
    assert!(console.is_released_by(&second, engaged.header("location")).await);
}

/// What a page offers staff in a customer's account, and what becomes of it if they do it all the same.
#[tokio::test(flavor = "multi_thread")]
async fn console_staff_let_nobody_into_a_customers_account() {
    let console = ConsoleServer::open().await;
    let staff = console.signed_in(&console.staff).await;
    let (people, owner) = (format!("/console/people?account={}", console.one.account), &console.one.owner.user);
    let page = staff.page(&people).await;
    assert!(page.contains("one@example.com") && !page.contains("Create invitation"), "{page}");
    let page = staff.page(&format!("/console/people/{owner}")).await;
    assert!(page.contains("Remove person") && !page.contains("Change role"), "{page}");
    let fields = [("account", console.one.account.as_str()), ("email", "me@hosting.example"), ("role", "owner")];
    assert_eq!(staff.submit("/console/people", &fields).await.status, StatusCode::FORBIDDEN);
    let role = staff.submit(&format!("/console/people/{owner}/role"), &[("role", "member")]).await;
    assert_eq!(role.status, StatusCode::FORBIDDEN);
    assert!(console.events("person_invited").await.is_empty() && console.events("role_changed").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_key_says_yes_that_was_made_by_hand_for_that_alone() {
    let (console, _policies) = super::approvals::holding().await;
    let owner = console.signed_in(&console.one.owner).await;
    let call = super::approvals::ask(&console).await;
    let path = format!("/approvals/{call}");
    let yes = || Some(json!({ "verdict": "approve" }));
    let page = owner.page("/console/keys").await;
    for scope in ["keys:write", "people:write", "approvals:decide"] {
        assert!(page.contains(&format!("value=\"{scope}\">")), "{scope} is ticked already, or not offered: {page}");
    }
    let mixed = console.key_with(&owner, &["approvals:decide", "vms:read"]).await;
    let refused = console.rest(&mixed, Method::POST, &path, yes()).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::FORBIDDEN, "forbidden_role"), "{refused:?}");
    // A key that a key has made is of no person, whatever it is for.
    let maker = console.key_with(&owner, &["keys:write", "approvals:decide"]).await;
    let made = console.rest(&maker, Method::POST, "/keys", Some(json!({ "label": "yes", "scopes": ["approvals:decide"] }))).await;
    let made = made.json()["api_key"].as_str().expect("a key").to_owned();
    assert_eq!(console.rest(&made, Method::POST, &path, yes()).await.code(), "forbidden_role");
    let alone = console.key_with(&owner, &["approvals:decide"]).await;
    let approved = console.rest(&alone, Method::POST, &path, yes()).await;
    assert_eq!(approved.json()["status"], "approved", "{approved:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_person_names_another_who_is_there() {
    let console = ConsoleServer::open().await;
    let owner = console.signed_in(&console.one.owner).await;
    let member = console.hire(&console.one.account, "member").await;
    assert_eq!(
        owner.submit("/console/keys", &[("label", "own"), ("days", ""), ("scope", "vms:read")]).await.status,
        StatusCode::OK
    );
    let created = console.events("credential_created").await;
    let last = serde_json::to_value(created.last().expect("a key")).expect("a leaf");
    assert_eq!(last["user"], json!(console.one.owner.user));
    // The console has no field for it; the tool has, for whoever is signed in.
    let control = std::sync::Arc::clone(&console.app.node().control);
    let row = control.ports.fence().state().credentials[&serde_json::from_value(last["made_by"].clone()).expect("an id")].clone();
    let person = forelog::core::principal::Principal {
        side: forelog::core::principal::Side::Customer,
        account: console.one.account.clone(),
        user: console.one.owner.user.clone(),
        credential: row.created.credential,
        via: forelog::core::principal::Via::Console,
        ip: None,
        read_only: false,
    };
    let key_for = async |user: &forelog::core::id::UserId| {
        let args = json!({ "label": "theirs", "scopes": ["vms:read"], "user": user });
        let request = forelog::control::Request {
            wait: Duration::from_secs(20),
            on_hold: forelog::control::OnHold::Leave,
            ..forelog::control::Request::new(person.clone(), "key_create", args)
        };
        match control.submit(request).await {
            forelog::control::Reply::Done { result, .. } => result["user"].as_str().expect("a user").to_owned(),
            forelog::control::Reply::Failed { refusal, .. } => refusal.code.to_string(),
            forelog::control::Reply::Running { .. } => "running".into(),
        }
    };
    assert_eq!(key_for(&member.user).await, member.user.to_string());
    let nobody = forelog::core::id::UserId::new(forelog::core::time::Micros(1), &forelog::ambient::OsEntropy);
    for user in [&console.other.owner.user, &console.staff.user, &nobody] {
        assert_eq!(key_for(user).await, "not_found", "{user}");
    }
}
