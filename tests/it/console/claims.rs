//! An issuer is believed or refused for what is needed, whatever else it says, and each refusal says truly why.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::issuer::{Answering, CLIENT, Issuer, Running, Signature};
use super::{BEGINNING, ConsoleServer};

async fn believing() -> (ConsoleServer, Running) {
    let issuer = Issuer::start(BEGINNING).await;
    issuer.vouches_for("first", "one@example.com", &json!({}));
    let console = ConsoleServer::with(&issuer.configured("them", "customer", "domains = [\"example.com\"]")).await;
    (console, issuer)
}

/// Every standard claim that nobody needs, with those of other standards.
const NOT_NEEDED: [&str; 29] = [
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "birthday",
    "zoneinfo",
    "locale",
    "phone_number",
    "phone_number_verified",
    "address",
    "updated_at",
    "auth_time",
    "acr",
    "amr",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
    "jti",
    "nbf",
    "name#de",
    "updated_at#de",
];

fn wrong_types() -> Vec<Value> {
    vec![
        json!("2025-12-23T10:59:07.841Z"),
        json!(1_766_487_547),
        json!(1.5),
        json!(-1),
        json!(1e300),
        json!(true),
        json!("true"),
        json!(""),
        json!([]),
        json!([[1], "a", null]),
        json!({}),
        json!({ "formatted": 7, "country": ["x"] }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_what_is_not_needed_is_not_looked_at_whatever_its_type() {
    let (console, issuer) = believing().await;
    for value in wrong_types() {
        let more: serde_json::Map<String, Value> = NOT_NEEDED.iter().map(|name| ((*name).to_owned(), value.clone())).collect();
        issuer.vouches_for("first", "one@example.com", &Value::Object(more.clone()));
        assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER, "in the token: {value}");
        // The same where it says nothing in the token.
        issuer.vouches_for("first", "", &json!({ "email": null, "email_verified": null }));
        let mut told = more;
        told.extend([("email".to_owned(), json!("one@example.com")), ("email_verified".to_owned(), json!("true"))]);
        issuer.manner().user_info = Value::Object(told);
        assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER, "on being asked: {value}");
        issuer.manner().user_info = json!({});
    }
    // One at a time, as Auth0 sends it.
    issuer.vouches_for("first", "one@example.com", &json!({ "updated_at": "2025-12-23T10:59:07.841Z" }));
    assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER);
    issuer.vouches_for(
        "first",
        "one@example.com",
        &json!({ "aud": [CLIENT], "azp": CLIENT, "exp": BEGINNING.0 / 1_000_000 + 300 }),
    );
    assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER, "a list of one");
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_an_address_counts_as_verified_only_if_it_is_said_so() {
    let (console, issuer) = believing().await;
    for (verified, status) in [
        (json!(true), StatusCode::SEE_OTHER),
        (json!("true"), StatusCode::SEE_OTHER),
        (json!(false), StatusCode::FORBIDDEN),
        (json!("false"), StatusCode::FORBIDDEN),
        (json!(1), StatusCode::FORBIDDEN),
        (json!("yes"), StatusCode::FORBIDDEN),
        (json!(["true"]), StatusCode::FORBIDDEN),
        (json!({ "one@example.com": true }), StatusCode::FORBIDDEN),
    ] {
        console.change("delete from identity").await;
        issuer.vouches_for("first", "one@example.com", &json!({ "email_verified": verified }));
        assert_eq!(console.browser().signs_in_by("them").await.status, status, "{verified}");
    }
    for email in
        [json!(7), json!(["one@example.com"]), json!({ "value": "one@example.com" }), json!("one@example.com, two@example.com")]
    {
        console.change("delete from identity").await;
        issuer.vouches_for("first", "", &json!({ "email": email }));
        assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::FORBIDDEN, "{email}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_what_is_published_besides_is_not_looked_at() {
    for value in wrong_types() {
        let (console, issuer) = believing().await;
        issuer.manner().published = json!({
            "response_types_supported": value, "subject_types_supported": value, "id_token_signing_alg_values_supported": value,
            "response_modes_supported": value, "grant_types_supported": value, "acr_values_supported": value,
            "claims_supported": value, "claim_types_supported": value, "display_values_supported": value,
            "ui_locales_supported": value, "service_documentation": value, "op_policy_uri": value, "scopes_supported": value,
            "claims_parameter_supported": value, "request_parameter_supported": value, "registration_endpoint": value,
        });
        assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER, "{value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_each_refusal_says_truly_why() {
    let (console, issuer) = believing().await;
    let at = BEGINNING.0 / 1_000_000;
    let cases: Vec<(Value, &str, &str)> = vec![
        (json!({ "aud": "somebody-else" }), "audience", "is for another client"),
        (json!({ "azp": "somebody-else" }), "audience", "is for another client"),
        (json!({ "iss": "https://login.example.net" }), "issuer", "names another issuer"),
        (json!({ "exp": at }), "expiry", "the time of its token is over"),
        (json!({ "iat": at - 86_400 }), "issue_time", "was not issued just now"),
        (json!({ "nonce": "n" }), "nonce", "another attempt"),
        (json!({ "sub": null }), "form", "lacks something"),
        (json!({ "sub": 7 }), "form", "lacks something"),
        (json!({ "exp": null }), "form", "lacks something"),
        (json!({ "exp": "soon" }), "form", "lacks something"),
    ];
    for (claims, check, words) in cases {
        issuer.vouches_for("first", "one@example.com", &claims);
        let answer = console.browser().signs_in_by("them").await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{claims}: {answer:?}");
        assert!(answer.text.contains(words), "{claims}: {}", answer.text);
        let note = console.notes("sign_in_refused").await.pop().expect("a note");
        assert_eq!(note["why"], "untrue_token", "{claims}");
        assert!(note["detail"].as_str().is_some_and(|detail| detail.starts_with(check)), "{claims}: {note}");
    }
    issuer.vouches_for("first", "one@example.com", &json!({}));
    issuer.manner().signature = Signature::OtherKey;
    let answer = console.browser().signs_in_by("them").await;
    assert!(answer.status == StatusCode::BAD_GATEWAY && answer.text.contains("not signed with a key"), "{answer:?}");
    issuer.manner().signature = Signature::Right;
    for (answering, status, words) in [
        (Answering::Elsewhere, StatusCode::BAD_GATEWAY, "what its token endpoint says cannot be used"),
        (Answering::Endlessly, StatusCode::BAD_GATEWAY, "what its token endpoint says cannot be used"),
        (Answering::Never, StatusCode::SERVICE_UNAVAILABLE, "does not answer now"),
    ] {
        issuer.manner().answering = answering;
        let answer = console.browser().signs_in_by("them").await;
        assert!(answer.status == status && answer.text.contains(words), "{answer:?}");
    }
    issuer.manner().answering = Answering::Well;
    // What it says on being asked is about somebody else.
    issuer.vouches_for("first", "", &json!({ "email": null }));
    issuer.manner().user_info = json!({ "sub": "second", "email": "one@example.com", "email_verified": true });
    let answer = console.browser().signs_in_by("them").await;
    assert!(answer.status == StatusCode::BAD_GATEWAY && answer.text.contains("not all about one person"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_tabs_do_not_take_each_others_attempt() {
    let (console, _issuer) = believing().await;
    let browser = console.browser();
    let (first, second) = (browser.leaves("them", "/console/keys").await, browser.leaves("them", "/console/people").await);
    let foreign = console.browser().leaves("them", "").await;
    for back in
        [foreign.back(), vec![("state", "x".to_owned()), ("code", "y".to_owned())], vec![("error", "access_denied".to_owned())]]
    {
        assert_eq!(browser.returns("them", &back).await.status, StatusCode::BAD_REQUEST);
    }
    let answer = browser.returns("them", &first.back()).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/console/keys"), "{answer:?}");
    let answer = browser.returns("them", &second.back()).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/console/people"), "{answer:?}");
    assert_eq!(browser.returns("them", &first.back()).await.status, StatusCode::BAD_REQUEST, "it is used up");
    // A browser does not keep them without end.
    let many = console.browser();
    let mut sent = Vec::new();
    for _ in 0..8 {
        sent.push(many.leaves("them", "").await);
        console.clock.pass(Duration::from_secs(1));
    }
    assert_eq!(many.returns("them", &sent[0].back()).await.status, StatusCode::BAD_REQUEST, "the oldest are given up");
    assert_eq!(many.returns("them", &sent[7].back()).await.status, StatusCode::SEE_OTHER);
    assert_eq!(many.returns("them", &sent[6].back()).await.status, StatusCode::SEE_OTHER);
}
