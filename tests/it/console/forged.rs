//! What an issuer says is not believed because it says so: each of these tokens and answers is wrong in one way.

use std::sync::atomic::Ordering;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::issuer::{Answering, CLIENT, Issuer, Running, Signature};
use super::{BEGINNING, ConsoleServer};

/// A console that believes an issuer for `example.com`, whose person is the first customer's owner.
async fn believing() -> (ConsoleServer, Running) {
    let issuer = Issuer::start(BEGINNING).await;
    issuer.vouches_for("first", "one@example.com", &json!({}));
    let console = ConsoleServer::with(&issuer.configured("them", "customer", "domains = [\"example.com\"]")).await;
    (console, issuer)
}

/// Nobody comes in with the token, and the log says why.
async fn refused(console: &ConsoleServer, why: &str, what: &str) {
    let browser = console.browser();
    let answer = browser.signs_in_by("them").await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{what}: {answer:?}");
    assert!(!browser.is_signed_in().await, "{what}");
    assert_eq!(console.refusals().await.pop().as_deref(), Some(why), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_a_token_is_believed_only_if_all_of_it_is_right() {
    let (console, issuer) = believing().await;
    let (at, right) = (BEGINNING.0 / 1_000_000, issuer.manner().claims.clone());
    let wrong: Vec<(&str, Value)> = vec![
        ("another client's", json!({ "aud": "somebody-else" })),
        ("ours and another client's", json!({ "aud": [CLIENT, "somebody-else"] })),
        ("for nobody", json!({ "aud": null })),
        ("given to another client", json!({ "azp": "somebody-else" })),
        ("another issuer's", json!({ "iss": "https://login.example.net" })),
        ("of an issuer that is spelled otherwise", json!({ "iss": format!("{}/", issuer.url) })),
        ("expired", json!({ "exp": at })),
        ("without an end", json!({ "exp": null })),
        ("from the future", json!({ "iat": at + 120 })),
        ("from yesterday", json!({ "iat": at - 86_400 })),
        ("another attempt's", json!({ "nonce": "n" })),
        ("no attempt's", json!({ "nonce": null })),
        ("about nobody", json!({ "sub": null })),
    ];
    for (what, claims) in wrong {
        let mut bent = right.clone();
        for (name, value) in claims.as_object().expect("an object") {
            bent[name] = value.clone();
        }
        issuer.manner().claims = bent;
        refused(&console, "untrue_token", what).await;
    }
    issuer.manner().claims = right;
    assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER, "the right one");
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_a_token_is_believed_only_with_the_issuers_signature() {
    let (console, issuer) = believing().await;
    for (what, signature) in [
        ("another key", Signature::OtherKey),
        ("no signature", Signature::None),
        ("the client's secret", Signature::Secret),
        ("changed after it was signed", Signature::Changed),
    ] {
        issuer.manner().signature = signature;
        refused(&console, "untrue_token", what).await;
    }
    issuer.manner().signature = Signature::Right;
    assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER);
    let asked = issuer.asked.load(Ordering::SeqCst);
    issuer.manner().key = 2;
    assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER, "a new key is not looked for");
    assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER);
    assert_eq!(issuer.asked.load(Ordering::SeqCst), asked + 1, "what is published is asked for once");
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_an_issuer_is_not_followed_elsewhere_nor_read_without_end_nor_waited_for() {
    let (console, issuer) = believing().await;
    let answers = [
        (Answering::Elsewhere, StatusCode::BAD_GATEWAY),
        (Answering::Endlessly, StatusCode::BAD_GATEWAY),
        (Answering::Never, StatusCode::SERVICE_UNAVAILABLE),
    ];
    for (answering, status) in answers {
        issuer.manner().answering = answering;
        assert_eq!(console.browser().signs_in_by("them").await.status, status);
    }
    assert_eq!(issuer.trapped.load(Ordering::SeqCst), 0, "it was followed");
    assert_eq!(console.refusals().await, ["issuer_misanswered", "issuer_misanswered", "issuer_unavailable"]);
    issuer.manner().answering = Answering::Well;
    assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_who_sends_the_browser_back_has_to_be_the_issuer() {
    let (console, issuer) = believing().await;
    issuer.manner().names_itself = true;
    let own = issuer.url.clone();
    for (iss, status) in [
        (None, StatusCode::BAD_GATEWAY),
        (Some("https://login.example.net"), StatusCode::BAD_GATEWAY),
        (Some(own.as_str()), StatusCode::SEE_OTHER),
    ] {
        let browser = console.browser();
        let mut back = browser.leaves("them", "").await.back();
        back.extend(iss.map(|iss| ("iss", iss.to_owned())));
        assert_eq!(browser.returns("them", &back).await.status, status, "{iss:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_what_an_issuer_publishes_leads_neither_out_of_tls_nor_to_another_issuer() {
    let bent = [
        json!({ "issuer": "https://login.example.net" }),
        json!({ "authorization_endpoint": "http://login.example.net/authorize" }),
        json!({ "authorization_endpoint": "javascript:alert(1)" }),
        json!({ "jwks_uri": "http://login.example.net/jwks" }),
    ];
    for published in bent {
        let (console, issuer) = believing().await;
        issuer.manner().published = published.clone();
        let answer = console.browser().get("/console/sign-in/oidc/them").await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{published}");
        assert!(answer.text.contains("what its metadata says cannot be used"), "{published}: {}", answer.text);
    }
}
