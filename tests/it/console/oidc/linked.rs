//! Linking at one's account: who may, and what an attempt that was begun for that is worth.

use reqwest::StatusCode;
use serde_json::json;

use crate::console::issuer::{Issuer, Sent};
use crate::console::{BEGINNING, ConsoleServer, between};

#[tokio::test(flavor = "multi_thread")]
async fn oidc_a_person_links_and_unlinks_at_their_account_with_their_password() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("them", "customer", "")).await;
    issuer.vouches_for("first", "me@private.example", &json!({ "email_verified": false }));
    assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::FORBIDDEN);
    let browser = console.signed_in(&console.one.owner).await;
    let (link, unlink) = ("/console/account/identities/them/link", "/console/account/identities/them/unlink");
    assert_eq!(browser.submit(link, &[("current", "wrong")]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        browser.post(link, &[("current", &console.one.owner.password)]).await.status,
        StatusCode::FORBIDDEN,
        "without a token"
    );
    let asked = browser.submit(link, &[("current", &console.one.owner.password)]).await;
    assert_eq!(asked.status, StatusCode::OK);
    let to = between(&asked.text, "class=\"button primary\" href=\"", "\"").replace("&amp;", "&").replace("&#38;", "&");
    let sent = Sent { to: to.parse().expect("an address") };
    let answer = browser.returns("them", &sent.back()).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/console/account"));
    assert!(browser.page("/console/account").await.contains("me@private.example"));
    let by_issuer = console.browser();
    assert_eq!(by_issuer.signs_in_by("them").await.status, StatusCode::SEE_OTHER);
    assert!(by_issuer.page("/console/").await.contains("one@example.com"));
    // Somebody else is not linked with what is linked, nor by an attempt of another person.
    let other = console.signed_in(&console.other.owner).await;
    let asked = other.submit(link, &[("current", &console.other.owner.password)]).await;
    let to = between(&asked.text, "class=\"button primary\" href=\"", "\"").replace("&amp;", "&").replace("&#38;", "&");
    let sent = Sent { to: to.parse().expect("an address") };
    assert_eq!(other.returns("them", &sent.back()).await.status, StatusCode::FORBIDDEN);
    assert_eq!(console.refusals().await.pop().as_deref(), Some("linked_otherwise"));
    for wrong in [&[][..], &[("current", "wrong")]] {
        assert_eq!(
            browser.submit(unlink, wrong).await.status,
            StatusCode::FORBIDDEN,
            "who only has the session does not part them"
        );
    }
    assert_eq!(browser.submit(unlink, &[("current", &console.one.owner.password)]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::FORBIDDEN);
    assert_eq!((console.events("identity_linked").await.len(), console.events("identity_unlinked").await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_an_attempt_to_link_is_nothing_once_its_person_is_not_signed_in() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("them", "customer", "")).await;
    issuer.vouches_for("thief", "thief@evil.example", &json!({}));
    let browser = console.signed_in(&console.one.owner).await;
    let asked = browser.submit("/console/account/identities/them/link", &[("current", &console.one.owner.password)]).await;
    let to = between(&asked.text, "class=\"button primary\" href=\"", "\"").replace("&amp;", "&").replace("&#38;", "&");
    let sent = Sent { to: to.parse().expect("an address") };
    browser.submit("/console/sign-out", &[]).await;
    browser.sign_in("other@example.com", &console.other.owner.password).await;
    assert_eq!(browser.returns("them", &sent.back()).await.status, StatusCode::FORBIDDEN);
    assert_eq!(console.refusals().await, ["not_signed_in"]);
    assert!(console.events("identity_linked").await.is_empty());
}
