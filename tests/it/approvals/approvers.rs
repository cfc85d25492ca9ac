//! Who may answer for a held call: never whoever asked, nor anybody that is theirs, nor who has left or was not shown it.

use std::time::Duration;

use forelog::control::Reply;
use forelog::core::approval::Step;
use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::event::{CredentialCreated, EventKind};
use forelog::core::hold::{Approver, Hold};
use forelog::core::id::{CallId, UserId};
use forelog::core::principal::{Principal, Side};
use forelog::core::role::Role;
use forelog::core::scope::{Scope, ScopeSet};
use forelog::log::hold::Released;
use serde_json::{Value, json};

use super::{
    CANARY, account, agree, approvals, clean, ended, holding, job, keeps_secrets, leave, owner, person, said, say, signed_in,
    staff,
};
use crate::test_node::{Site, TestNode, begin, on_both};

on_both! {
    persons, approvals_the_right_persons_only_on_sqlite, approvals_the_right_persons_only_on_postgres;
    offspring, approvals_a_key_cannot_make_its_own_approver_on_sqlite, approvals_a_key_cannot_make_its_own_approver_on_postgres;
    left, approvals_who_has_left_has_said_nothing_on_sqlite, approvals_who_has_left_has_said_nothing_on_postgres;
    lost, approvals_who_has_lost_the_right_has_said_nothing_on_sqlite, approvals_who_has_lost_the_right_has_said_nothing_on_postgres;
    unshown, approvals_nobody_approves_what_is_not_shown_on_sqlite, approvals_nobody_approves_what_is_not_shown_on_postgres;
    guests, approvals_a_guest_is_no_second_person_on_sqlite, approvals_a_guest_is_no_second_person_on_postgres;
}

/// A key that was given the right to answer by name.
async fn answering(test_node: &TestNode, edit: impl FnOnce(&mut CredentialCreated)) -> Principal {
    person(test_node, &test_node.account, Side::Customer, |key| {
        key.scopes.insert(Scope::ApprovalsDecide);
        edit(key);
    })
    .await
}

async fn persons(site: Site) {
    let test_node = holding(&site, Hold::new("plain")).await;
    let own = test_node.principal();
    let (ada, bob, operator) = (owner(&test_node).await, owner(&test_node).await, staff(&test_node).await);
    let me_again = signed_in(&test_node, &test_node.account, Role::Owner, |key| key.user = test_node.user.clone()).await;
    let rotated = answering(&test_node, |key| key.rotates = Some(own.credential.clone())).await;
    let mighty = answering(&test_node, |_| {}).await;
    let agent = person(&test_node, &test_node.account, Side::Customer, |_| {}).await;
    let elsewhere = account(&test_node, Side::Customer).await;
    let stranger = signed_in(&test_node, &elsewhere, Role::Owner, |_| {}).await;
    let try_all = async |call: &CallId, tries: &[(&Principal, &str)]| {
        for (who, expected) in tries {
            assert_eq!(said(&say(&test_node, who, call, "approve").await), *expected, "{who:?}");
        }
    };

    let call = leave(&test_node, json!({ "secret": CANARY })).await;
    let refused = [(&mighty, "forbidden_role"), (&rotated, "forbidden_role"), (&operator, "forbidden_role")];
    try_all(&call, &refused).await;
    try_all(&call, &[(&own, "forbidden_scope"), (&agent, "forbidden_scope"), (&stranger, "not_found")]).await;
    for (who, seen) in [(&own, 1), (&ada, 1), (&operator, 1), (&agent, 0), (&stranger, 0)] {
        let request = forelog::control::Request { principal: who.clone(), ..test_node.request("approval_list", json!({})) };
        let reply = test_node.control.submit(request).await;
        let Reply::Done { result, .. } = &reply else { panic!("{reply:?}") };
        assert_eq!(result["items"].as_array().expect("a list").len(), seen, "{who:?}");
        assert!(!result.to_string().contains(CANARY), "a person sees no secret");
    }
    try_all(&call, &[(&me_again, "approved")]).await;
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);
    try_all(&call, &[(&stranger, "not_found"), (&agent, "forbidden_scope"), (&ada, "conflict")]).await;

    test_node.world.hold(Some(Hold { separate: true, ..Hold::new("not your own") }));
    let call = leave(&test_node, json!({})).await;
    try_all(&call, &[(&me_again, "forbidden_role"), (&ada, "approved")]).await;
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);

    test_node.world.hold(Some(Hold { second_person: true, ..Hold::new("four eyes") }));
    let call = leave(&test_node, json!({})).await;
    try_all(&call, &[(&ada, "held"), (&ada, "second_person_required")]).await;
    assert_eq!(job(&test_node, &call).await.expect("it waits").status, Status::Held, "one of two is not enough");
    try_all(&call, &[(&bob, "approved")]).await;
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);

    test_node.world.hold(Some(Hold { approver: Approver::Staff, ..Hold::new("ours") }));
    let call = leave(&test_node, json!({})).await;
    try_all(&call, &[(&ada, "forbidden_role"), (&operator, "approved")]).await;
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);
    clean(&test_node).await;
}

/// Whoever somebody has invited lately is nobody else, nor are two who came by the same person.
async fn guests(site: Site) {
    let test_node = holding(&site, Hold { second_person: true, ..Hold::new("four eyes") }).await;
    let guest_of = async |host: &UserId| {
        let guest = owner(&test_node).await;
        let made = EventKind::UserCreated {
            user: guest.user.clone(),
            account: test_node.account.clone(),
            side: Side::Customer,
            role: Some(Role::Owner),
            invitation: None,
            invited_by: Some(host.clone()),
            address: None,
        };
        test_node.change(made, Value::Null).await;
        guest
    };
    let (ada, bob) = (owner(&test_node).await, owner(&test_node).await);
    let (one, other) = (guest_of(&ada.user).await, guest_of(&ada.user).await);
    let (far, own) = (guest_of(&one.user).await, guest_of(&test_node.user).await);
    for pair in [[&ada, &one], [&one, &ada], [&one, &other], [&ada, &far], [&far, &other]] {
        let call = leave(&test_node, json!({})).await;
        assert_eq!(said(&say(&test_node, pair[0], &call, "approve").await), "held");
        assert_eq!(said(&say(&test_node, pair[1], &call, "approve").await), "second_person_required", "{pair:?}");
        assert_eq!(said(&say(&test_node, &bob, &call, "approve").await), "approved");
    }
    test_node.world.hold(Some(Hold { separate: true, ..Hold::new("not your own") }));
    let call = leave(&test_node, json!({})).await;
    assert_eq!(said(&say(&test_node, &own, &call, "approve").await), "forbidden_role", "their own guest");
    assert_eq!(said(&say(&test_node, &ada, &call, "approve").await), "approved");
    test_node.clock.pass(Duration::from_hours(7 * 24));
    test_node.beat().await;
    let call = leave(&test_node, json!({})).await;
    assert_eq!(said(&say(&test_node, &own, &call, "approve").await), "approved", "a week later they stand for themselves");
}

/// What a person said who has left since is not half of a yes; nor do they say anything more.
async fn left(site: Site) {
    let test_node = holding(&site, Hold { second_person: true, ..Hold::new("four eyes") }).await;
    let (ada, bob, eve) = (owner(&test_node).await, owner(&test_node).await, owner(&test_node).await);
    let call = leave(&test_node, json!({})).await;
    assert_eq!(said(&say(&test_node, &ada, &call, "approve").await), "held");
    let gone = EventKind::UserRemoved { user: ada.user.clone(), account: test_node.account.clone(), by: None };
    test_node.change(gone, Value::Null).await;
    assert_eq!(said(&say(&test_node, &ada, &call, "approve").await), "token_revoked");
    assert_eq!(said(&say(&test_node, &bob, &call, "approve").await), "held", "one of the two has left");
    assert_eq!(said(&say(&test_node, &eve, &call, "approve").await), "approved");
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);
    clean(&test_node).await;
}

/// A right that ended before the call went on: what was said with it does not let it go on.
async fn lost(site: Site) {
    let (test_node, worker, assigned) = TestNode::idle(&site).await;
    test_node.world.hold(Some(Hold { second_person: true, ..Hold::new("four eyes") }));
    let console = owner(&test_node).await;
    let key_of = async |lasts: Option<Duration>| {
        let (by, user) = (console.credential.clone(), console.user.clone());
        let expires_at = lasts.map(|lasts| test_node.control.ports.clock.now().plus(lasts));
        answering(&test_node, |key| {
            (key.made_by, key.user, key.expires_at) = (Some(by), user, expires_at);
            key.scopes = ScopeSet::from([Scope::ApprovalsDecide]);
        })
        .await
    };
    let (ada, short, revoked) = (owner(&test_node).await, key_of(Some(Duration::from_mins(5))).await, key_of(None).await);
    let (bob, eve) = (owner(&test_node).await, owner(&test_node).await);
    let mut waiting = Vec::new();
    for first in [&ada, &short, &revoked] {
        let call = leave(&test_node, json!({})).await;
        assert_eq!(agree(&test_node, first, &call).await, Ok(Step::Waits));
        waiting.push(call);
    }
    // Two have said it, and it is not released yet.
    let granted = leave(&test_node, json!({})).await;
    assert_eq!(agree(&test_node, &ada, &granted).await, Ok(Step::Waits));
    assert_eq!(agree(&test_node, &bob, &granted).await, Ok(Step::Granted));
    let approval = approvals(&test_node).await.into_iter().find(|row| row.call == granted).expect("its row");
    let member =
        EventKind::RoleChanged { user: ada.user.clone(), account: test_node.account.clone(), role: Role::Member, by: None };
    test_node.change(member, Value::Null).await;
    test_node.change(EventKind::CredentialRevoked { credential: revoked.credential.clone(), by: None }, Value::Null).await;
    test_node.clock.pass(Duration::from_mins(6));
    let held = job(&test_node, &granted).await.expect("it waits");
    assert_eq!(
        test_node.control.release(&held, &approval).await.expect("decided"),
        Released::Gone,
        "one of the two counts no more"
    );

    begin(worker, assigned).await;
    let request = forelog::control::Request { principal: eve.clone(), ..test_node.request("approval_list", json!({})) };
    let Reply::Done { result, .. } = test_node.control.submit(request).await else { panic!("no list") };
    let agreed = |call: &CallId| {
        let item = result["items"].as_array().expect("a list").iter().find(|item| item["id"] == json!(call)).expect("it waits");
        item["approvals"].as_array().expect("a list").len()
    };
    assert_eq!((agreed(&granted), agreed(&waiting[0])), (1, 0), "a person reads whose consent counts: {result}");
    assert_eq!(said(&say(&test_node, &bob, &granted, "approve").await), "second_person_required", "they have said it");
    for call in &waiting {
        assert_eq!(said(&say(&test_node, &bob, call, "approve").await), "held", "the first one has lost the right");
    }
    assert!(test_node.world.executed().is_empty());
    waiting.push(granted);
    for call in &waiting {
        assert_eq!(said(&say(&test_node, &eve, call, "approve").await), "approved");
        assert_eq!(ended(&test_node, call).await.0, Status::Succeeded);
    }
    clean(&test_node).await;
}

/// What a person cannot be shown is refused at once, whatever hides it; what a tool declares secret is seen to be hidden.
async fn unshown(site: Site) {
    let test_node = holding(&site, Hold::new("it interrupts service")).await;
    let boss = owner(&test_node).await;
    let pem = "echo -----BEGIN RSA PRIVATE KEY-----; uname -a; echo -----END RSA PRIVATE KEY-----; echo hello";
    let long = "a".repeat(forelog::log::vault::PART_MAX);
    let (token, word) =
        ("echo ghp_0123456789012345678901234567890123456789", "mysql --password=hunter2hunter2 -e 'drop table a'");
    for text in [pem, "echo -----BEGIN RSA PRIVATE KEY-----; uname -a", token, word, &long] {
        let mut request = test_node.request("probe_write", json!({ "text": text }));
        request.wait = Duration::ZERO;
        let reply = test_node.control.submit(request).await;
        let Reply::Failed { refusal, status, .. } = &reply else { panic!("{reply:?}") };
        assert_eq!((refusal.code, *status), (Code::ApprovalRequired, Status::Refused), "{text:.60}: {refusal:?}");
        assert!(refusal.hint.as_deref().is_some_and(|hint| hint.contains("cannot be shown")), "{refusal:?}");
        assert!(refusal.details.get("operation_id").is_none(), "nothing waits: {refusal:?}");
    }
    clean(&test_node).await;
    let call = leave(&test_node, json!({ "text": "uname -a", "secret": CANARY })).await;
    assert_eq!(said(&say(&test_node, &boss, &call, "approve").await), "approved");
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);
    test_node.world.hold(None);
    assert!(
        matches!(test_node.call("probe_write", json!({ "text": pem })).await, Reply::Done { .. }),
        "nobody has to be shown it"
    );
    keeps_secrets(&site).await;
}

/// Whoever has a key has what was made with it, so none of those is another person.
async fn offspring(site: Site) {
    let test_node = holding(&site, Hold::new("it interrupts service")).await;
    let own = test_node.principal();
    let made = async |by: &Principal| {
        let by = by.credential.clone();
        answering(&test_node, |key| key.made_by = Some(by)).await
    };
    let (child, sibling, boss) = (made(&own).await, made(&own).await, owner(&test_node).await);
    let grandchild = made(&child).await;
    // It puts another key in the place of an owner's, and so has that.
    let taken_over = answering(&test_node, |key| {
        (key.rotates, key.made_by) = (Some(boss.credential.clone()), Some(own.credential.clone()));
    })
    .await;
    let console = owner(&test_node).await;
    let by_hand = async |user: &UserId, scopes: ScopeSet| {
        let (by, user) = (console.credential.clone(), user.clone());
        answering(&test_node, |key| (key.made_by, key.user, key.scopes) = (Some(by), user, scopes)).await
    };
    let alone = || ScopeSet::from([Scope::ApprovalsDecide]);
    let (one, other) = (made(&console).await, by_hand(&console.user, alone()).await);
    let mixed = by_hand(&console.user, ScopeSet::from([Scope::ApprovalsDecide, Scope::VmsRead])).await;
    let for_another = by_hand(&boss.user, alone()).await;
    let try_all = async |call: &CallId, tries: &[(&Principal, &str)]| {
        for (who, expected) in tries {
            assert_eq!(said(&say(&test_node, who, call, "approve").await), *expected, "{who:?}");
        }
    };
    let call = leave(&test_node, json!({})).await;
    let no = "forbidden_role";
    try_all(&call, &[(&child, no), (&grandchild, no), (&taken_over, no), (&boss, "approved")]).await;
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);

    let asked = async |who: &Principal| {
        let request = forelog::control::Request {
            principal: who.clone(),
            wait: Duration::ZERO,
            ..test_node.request("probe_write", json!({}))
        };
        test_node.control.submit(request).await.call().expect("a call").clone()
    };
    let call = asked(&child).await;
    try_all(&call, &[(&own, "forbidden_scope"), (&sibling, no), (&boss, "approved")]).await;
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);

    // A person gives each agent a key of its own in the console; they are no one's offspring, and the person approves: signed
    // in, or with a key that they made for that alone.
    let call = asked(&one).await;
    try_all(&call, &[(&one, no), (&mixed, no), (&for_another, no), (&other, "approved")]).await;
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);
    let call = asked(&one).await;
    try_all(&call, &[(&console, "approved")]).await;
    assert_eq!(ended(&test_node, &call).await.0, Status::Succeeded);
    clean(&test_node).await;
}
