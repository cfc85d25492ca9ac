//! Who comes in by an issuer, and as whom.

use forelog::ambient::OsEntropy;
use forelog::core::event::EventKind;
use forelog::core::id::UserId;
use forelog::core::scope::Scope;
use forelog::core::time::Clock;
use forelog::log::users::{UNSAID, UserRecord};
use reqwest::StatusCode;
use serde_json::json;

use super::{DOMAIN, GROUPS};
use crate::console::issuer::Issuer;
use crate::console::{BEGINNING, ConsoleServer};

#[tokio::test(flavor = "multi_thread")]
async fn oidc_a_customer_comes_in_is_linked_once_and_known_by_the_subject_afterwards() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("them", "customer", DOMAIN)).await;
    issuer.vouches_for("first", "One@Example.com", &json!({}));
    let browser = console.browser();
    let sent = browser.leaves("them", "/console/activity?tool=vm_exec").await;
    assert!(sent.to.as_str().starts_with(&format!("{}/authorize?", issuer.url)), "{sent:?}");
    let asked = ["response_type", "client_id", "scope", "code_challenge_method", "redirect_uri"].map(|name| sent.value(name));
    let back_to = format!("{}/console/sign-in/oidc/them/callback", console.base);
    assert_eq!(asked, ["code", "forelog-console", "openid email", "S256", &back_to]);
    let answer = browser.returns("them", &sent.back()).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/console/activity?tool=vm_exec"));
    assert!(browser.page("/console/account").await.contains("One@Example.com"));
    let user = console.one.owner.user.clone();
    assert!(
        matches!(&console.events("identity_linked").await[0].kind, EventKind::IdentityLinked { user: who, issuer, .. } if *who == user && issuer == "them")
    );
    // The address is somebody else's by now; the subject is not.
    issuer.vouches_for("first", "other@example.com", &json!({}));
    let again = console.browser();
    assert_eq!(again.signs_in_by("them").await.status, StatusCode::SEE_OTHER);
    assert!(again.page("/console/").await.contains("one@example.com"));
    assert_eq!(console.events("identity_linked").await.len(), 1);
    let ins = console.events("signed_in").await;
    let by = |kind: &EventKind| matches!(kind, EventKind::SignedIn { user: who, session: Some(_), issuer: Some(name) } if *who == user && name == "them");
    assert!(ins.len() == 2 && ins.iter().all(|event| by(&event.kind)), "{ins:?}");
    // And an address that a person is linked with under one subject is not another subject's.
    issuer.vouches_for("second", "one@example.com", &json!({}));
    assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::FORBIDDEN);
    assert_eq!(console.refusals().await, ["linked_otherwise"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_an_address_links_nobody_unless_it_is_verified_and_the_issuer_is_believed_for_it() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("them", "customer", DOMAIN)).await;
    let cases = [
        ("one@example.com", json!({ "email_verified": false }), "unbelieved_email"),
        ("one@example.com", json!({ "email_verified": null }), "unbelieved_email"),
        ("one@example.com", json!({ "email": null }), "unbelieved_email"),
        ("one@example.com.evil.example", json!({}), "unbelieved_email"),
        ("one@sub.example.com", json!({}), "unbelieved_email"),
        ("\"one@example.com\"@evil.example", json!({}), "unbelieved_email"),
        ("evil@evil.example@example.com", json!({}), "unbelieved_email"),
        ("nobody@example.com", json!({}), "unknown_person"),
        ("staff@example.com", json!({}), "other_side"),
    ];
    let mut told = Vec::new();
    for (email, more, why) in cases {
        issuer.vouches_for("stranger", email, &more);
        let answer = console.browser().signs_in_by("them").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{email}: {answer:?}");
        assert_eq!(console.refusals().await.pop().as_deref(), Some(why), "{email} {more}");
        told.push(answer.text);
    }
    assert!(told.windows(2).all(|two| two[0] == two[1]), "who is known here can be seen from how others are refused");
    assert!(console.events("identity_linked").await.is_empty());
    issuer.manner().user_info = json!({ "sub": "stranger", "email": "one@example.com", "email_verified": true });
    issuer.vouches_for("stranger", "one@example.com", &json!({ "email": null, "email_verified": null }));
    assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER, "it says so on being asked");
    issuer.manner().user_info = json!({ "sub": "another", "email": "other@example.com", "email_verified": true });
    issuer.vouches_for("another one", "", &json!({ "email": null, "email_verified": null }));
    assert_ne!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER, "and of somebody else");
    let without = ConsoleServer::with(&issuer.configured("them", "customer", "")).await;
    issuer.vouches_for("stranger", "one@example.com", &json!({}));
    assert_eq!(without.browser().signs_in_by("them").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_staff_have_the_role_of_their_groups_and_another_one_ends_what_was() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("corp", "staff", &format!("{GROUPS}\ncreate = true"))).await;
    issuer.vouches_for("ann", "ann@example.com", &json!({ "groups": ["desk", "elsewhere"] }));
    let browser = console.browser();
    assert_eq!(browser.signs_in_by("corp").await.status, StatusCode::SEE_OTHER);
    assert!(browser.page("/console/").await.contains("ann@example.com · reader · staff"));
    issuer.vouches_for("ann", "ann@example.com", &json!({ "groups": ["desk", "ops"] }));
    let again = console.browser();
    assert_eq!(again.signs_in_by("corp").await.status, StatusCode::SEE_OTHER);
    assert!(again.page("/console/").await.contains("ann@example.com · admin · staff"));
    assert!(!browser.is_signed_in().await, "a session outlives its role");
    assert_eq!(console.events("role_changed").await.len(), 1);

    let keys = [
        console.staff_key("ann@example.com", Scope::staff()).await,
        console.staff_key("ann@example.com", [Scope::StaffAudit].into()).await,
    ];
    issuer.vouches_for("ann", "ann@example.com", &json!({ "groups": "desk" }));
    assert_eq!(console.browser().signs_in_by("corp").await.status, StatusCode::SEE_OTHER);
    let state = console.app.node().control.ports.fence().state();
    let alive = keys.map(|key| state.credentials[&key].revoked_at.is_none());
    assert_eq!(alive, [false, true], "a key that may do more than the role outlives the role before");
    for groups in [json!([]), json!(["elsewhere"]), json!(null), json!({ "ops": true }), json!(["OPS"])] {
        issuer.vouches_for("ann", "ann@example.com", &json!({ "groups": groups }));
        assert_eq!(console.browser().signs_in_by("corp").await.status, StatusCode::FORBIDDEN, "{groups}");
        assert_eq!(console.refusals().await.pop().as_deref(), Some("no_role"));
    }
    issuer.vouches_for("eve", "one@example.com", &json!({ "groups": "ops" }));
    assert_eq!(console.browser().signs_in_by("corp").await.status, StatusCode::FORBIDDEN);
    assert_eq!(console.refusals().await.pop().as_deref(), Some("other_side"), "a customer becomes staff");
    issuer.vouches_for("eve", "eve@evil.example", &json!({ "groups": "ops" }));
    assert_eq!(console.browser().signs_in_by("corp").await.status, StatusCode::FORBIDDEN, "somebody of elsewhere is made");
    let people = console.app.node().control.ports.reader.vault.users().await.expect("the people");
    assert_eq!(people.len(), 4, "{people:?}");
    let guess = console.browser().sign_in("ann@example.com", "").await;
    assert_eq!(guess.status, StatusCode::UNAUTHORIZED);
}

/// What is left of an invitation that nobody got through with lets nobody in, and is in nobody's way.
#[tokio::test(flavor = "multi_thread")]
async fn oidc_a_broken_invitation_to_the_staff_is_nobody_and_in_nobodys_way() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("corp", "staff", &format!("{GROUPS}\ncreate = true"))).await;
    let vault = &console.app.node().control.ports.reader.vault;
    let people = vault.users().await.expect("the people");
    let boss = people.into_iter().find(|person| person.side == "staff").expect("somebody of the staff");
    let email = "ann@example.com".parse().expect("an e-mail address");
    let begun = UserRecord { id: UserId::new(console.clock.now(), &OsEntropy), email, proved: false, ..boss };
    vault.add_as(UNSAID, &begun, |_| false).await.expect("what is left of an invitation");
    issuer.vouches_for("ann", "ann@example.com", &json!({ "groups": ["desk"] }));
    let browser = console.browser();
    let answer = browser.signs_in_by("corp").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{:?}", console.refusals().await);
    assert!(browser.page("/console/").await.contains("ann@example.com · reader · staff"));
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_nobody_is_made_where_nobody_said_so() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("corp", "staff", GROUPS)).await;
    issuer.vouches_for("ann", "ann@example.com", &json!({ "groups": ["ops"] }));
    assert_eq!(console.browser().signs_in_by("corp").await.status, StatusCode::FORBIDDEN);
    issuer.vouches_for("boss", "staff@example.com", &json!({ "groups": ["noc"] }));
    let browser = console.browser();
    assert_eq!(browser.signs_in_by("corp").await.status, StatusCode::SEE_OTHER, "who is there comes in");
    assert!(browser.page("/console/").await.contains("responder"));
    assert_eq!(console.browser().get("/console/sign-in/oidc/nobody").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_customers_of_one_issuer_stay_in_their_own_accounts() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("them", "customer", DOMAIN)).await;
    let (first, second) = (console.browser(), console.browser());
    issuer.vouches_for("first", "one@example.com", &json!({}));
    assert_eq!(first.signs_in_by("them").await.status, StatusCode::SEE_OTHER);
    issuer.vouches_for(
        "second",
        "other@example.com",
        &json!({ "account": console.one.account.to_string(), "groups": ["admin", "owner"] }),
    );
    assert_eq!(second.signs_in_by("them").await.status, StatusCode::SEE_OTHER);
    let (own, foreign) = (format!("/console/vms/{}", console.one.vm), format!("/console/vms/{}", console.other.vm));
    assert_eq!((first.get(&own).await.status, first.get(&foreign).await.status), (StatusCode::OK, StatusCode::NOT_FOUND));
    assert_eq!((second.get(&own).await.status, second.get(&foreign).await.status), (StatusCode::NOT_FOUND, StatusCode::OK));
    let events = second.page("/console/events").await;
    assert!(events.contains("identity linked") && !events.contains("one@example.com"), "{events}");
}
