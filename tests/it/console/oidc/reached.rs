//! The issuer itself: one that is down, one that nobody trusts, and a configuration that names none.

use std::time::Duration;

use forelog::ambient::SystemClock;
use forelog::config::Config;
use forelog::core::time::Clock;
use reqwest::StatusCode;
use serde_json::json;
use tokio::net::TcpListener;

use super::DOMAIN;
use crate::console::issuer::{CLIENT, Issuer, SECRET, Sent};
use crate::console::{BEGINNING, Browser, ConsoleServer};
use crate::demo::Demo;

#[tokio::test(flavor = "multi_thread")]
async fn oidc_passwords_work_while_an_issuer_is_down_and_the_page_says_that_it_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let text = "title = \"Example\"\nclient_id = \"forelog-console\"\nclient_secret = \"what only both of us know\"\nside = \"customer\"";
    let console = ConsoleServer::with(&format!("[sign_in.oidc.them]\nissuer = \"http://{address}\"\n{text}\n{DOMAIN}")).await;
    let browser = console.browser();
    let button = browser.page("/console/sign-in?next=/console/keys").await;
    assert!(button.contains("href=\"/console/sign-in/oidc/them?next=/console/keys\">Sign in with Example</a>"), "{button}");
    let down = browser.get("/console/sign-in/oidc/them?next=/console/keys").await;
    assert_eq!(down.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(down.text.contains("Example does not answer now. Sign in with your password, or try again later."), "{}", down.text);
    assert!(down.text.contains("name=\"next\" value=\"/console/keys\""), "the way is lost");
    assert_eq!(browser.sign_in("one@example.com", &console.one.owner.password).await.status, StatusCode::SEE_OTHER);
    let issuer = Issuer::start_at(BEGINNING, TcpListener::bind(address).await.expect("the port again"));
    issuer.vouches_for("first", "one@example.com", &json!({}));
    console.clock.pass(Duration::from_secs(5));
    assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER, "it is back");
    // What it published is known; that it cannot be asked for the token is told.
    let sent = browser.leaves("them", "").await;
    drop(issuer);
    let answer = until_down(&browser, &sent).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_an_issuer_over_tls_is_asked_if_this_machine_trusts_its_certificate() {
    let pair = crate::tls::Pair::new();
    let issuer = Issuer::start_over_tls(SystemClock::start().now(), &pair).await;
    let (chain, file) = (pair.chain(), pair.chain().with_file_name("secret"));
    std::fs::write(&file, format!("{SECRET}\n")).expect("write the secret");
    let text = |path: &std::path::Path| path.to_str().expect("a path").to_owned();
    let keys = [
        ("TITLE", "Example".to_owned()),
        ("ISSUER", issuer.url.clone()),
        ("CLIENT_ID", CLIENT.to_owned()),
        ("CLIENT_SECRET_FILE", text(&file)),
        ("SIDE", "customer".to_owned()),
        ("DOMAINS", "[\"example.com\"]".to_owned()),
    ];
    let mut variables: Vec<_> = keys.map(|(key, value)| (format!("FORELOG_SIGN_IN__OIDC__THEM__{key}"), value)).into();
    for trusted in [false, true] {
        if trusted {
            variables.push(("SSL_CERT_FILE".to_owned(), text(&chain)));
        }
        let given: Vec<_> = variables.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let demo = Demo::start_with(&given).await;
        issuer.vouches_for("first", demo.text("/customer/email"), &json!({}));
        let browser = Browser::at(demo.text("/base_url"));
        let status = if trusted { StatusCode::SEE_OTHER } else { StatusCode::SERVICE_UNAVAILABLE };
        assert_eq!(browser.get("/console/sign-in/oidc/them").await.status, status);
        if trusted {
            assert_eq!(browser.signs_in_by("them").await.status, StatusCode::SEE_OTHER);
            assert!(browser.is_signed_in().await);
        }
    }
}

/// The listener goes with its task, which ends by itself.
async fn until_down(browser: &Browser, sent: &Sent) -> crate::harness::Answer {
    let address = sent.to.socket_addrs(|| None).expect("an address")[0];
    for _ in 0..500 {
        if tokio::net::TcpStream::connect(address).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    browser.returns("them", &sent.back()).await
}

#[test]
fn oidc_a_configuration_that_makes_no_sense_refuses_to_start() {
    let good = "title = \"Example\"\nissuer = \"https://login.example.com\"\nclient_id = \"forelog\"\nside = \"staff\"\n";
    let named = |name: &str, text: &str| {
        Config::parse(&format!("[sign_in.oidc.{name}]\n{text}")).map(|_| ()).map_err(|error| error.to_string())
    };
    named("corp", good).expect("the least");
    let with = |line: &str| named("corp", &format!("{good}{line}\n"));
    with("domains = [\"example.com\"]\nroles = { ops = \"admin\" }\ncreate = true\nscopes = [\"groups\"]").expect("the most");
    let refused = [
        with("colour = \"red\""),
        with("client_secret = \"a\"\nclient_secret_file = \"/b\""),
        with("roles = { ops = \"owner\" }"),
        with("roles = { ops = \"king\" }"),
        with("create = true"),
        with("create = true\nroles = { ops = \"admin\" }"),
        with("domains = [\"Example.com\"]"),
        with("domains = [\"@example.com\"]"),
        with("domains = [\"example.com.\"]"),
        with("domains = [\"\"]"),
        with("domains = [\"exam\u{212a}le.com\"]"),
        with("domains = [\"bücher.example\"]"),
        with("domains = [\"*.example.com\"]"),
        with("scopes = [\"two words\"]"),
        with("groups_claim = \"\""),
        named("Corp", good),
        named("corp", &good.replace("https://", "http://")),
        named("corp", &good.replace("login.example.com", "login.example.com/?a=b")),
        named("corp", &good.replace("login.example.com", "me:pw@login.example.com")),
        named("corp", &good.replace("\"staff\"", "\"both\"")),
        named("corp", &good.replace("\"staff\"", "\"customer\"\nroles = { ops = \"admin\" }")),
        named("corp", &good.replace("\"Example\"", "\"\"")),
        named("corp", "title = \"Example\""),
        Config::parse(&format!("listen = \"0.0.0.0:7373\"\n[sign_in.oidc.corp]\n{good}"))
            .map(|_| ())
            .map_err(|error| error.to_string()),
    ];
    for (n, refusal) in refused.into_iter().enumerate() {
        let error = refusal.expect_err(&format!("number {n}"));
        assert!(error.contains("sign_in") || error.contains("configuration"), "{error}");
    }
    let secret =
        Config::parse(&format!("[sign_in.oidc.corp]\n{good}client_secret = \"canary-of-a-secret\"")).expect("a configuration");
    assert!(!format!("{secret:?}").contains("canary-of-a-secret"));
}
