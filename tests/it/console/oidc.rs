//! Signing in by an issuer: who comes in, as whom, in which browser, and what is written down.

use std::sync::Arc;
use std::time::Duration;

use forelog::ambient::OsEntropy;
use forelog::ambient::SystemClock;
use forelog::app::App;
use forelog::config::Config;
use forelog::core::event::{CredentialCreated, EventKind};
use forelog::core::id::{CredentialId, EventId, Position, UserId};
use forelog::core::principal::Side;
use forelog::core::scope::{Scope, ScopeSet};
use forelog::core::time::Clock;
use forelog::log::draft::NewEvent;
use forelog::log::store::Want;
use forelog::log::users::{UNSAID, UserRecord};
use reqwest::StatusCode;
use serde_json::json;
use tokio::net::TcpListener;

use super::issuer::{CLIENT, Issuer, SECRET};
use super::{BEGINNING, Browser, ConsoleServer, config};
use crate::demo::Demo;

const DOMAIN: &str = "domains = [\"example.com\"]";
const GROUPS: &str = "domains = [\"example.com\"]\nroles = { ops = \"admin\", desk = \"reader\", noc = \"responder\" }";

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
async fn oidc_an_attempt_is_its_browsers_alone_and_works_once() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("them", "customer", DOMAIN)).await;
    issuer.vouches_for("first", "one@example.com", &json!({}));
    let (mine, yours) = (console.browser(), console.browser());
    let sent = mine.leaves("them", "").await;
    // Whoever is led to somebody else's callback is not signed in as them, begun something or not.
    assert_eq!(yours.returns("them", &sent.back()).await.status, StatusCode::BAD_REQUEST);
    let own = yours.leaves("them", "").await;
    assert_eq!(yours.returns("them", &sent.back()).await.status, StatusCode::BAD_REQUEST);
    assert!(!yours.is_signed_in().await);
    assert_eq!(yours.returns("them", &own.back()).await.status, StatusCode::SEE_OTHER, "a foreign state ends one's own attempt");
    yours.submit("/console/sign-out", &[]).await;
    let kept = kept_attempt(&mine.get("/console/sign-in/oidc/them").await);
    let sent = mine.leaves("them", "").await;
    assert_eq!(mine.returns("them", &sent.back()).await.status, StatusCode::SEE_OTHER);
    assert_eq!(mine.returns("them", &sent.back()).await.status, StatusCode::BAD_REQUEST, "the cookie is gone");
    // A cookie that was kept and one of another key are worth nothing.
    let mark = kept_attempt(&mine.get("/console/sign-in/oidc/them").await).split('=').next().expect("a name").to_owned();
    for cookie in [kept.clone(), format!("{mark}=AAAA"), format!("{mark}=")] {
        let url = format!("{}/console/sign-in/oidc/them/callback?state={}&code=x", console.base, sent.value("state"));
        let plain = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let answer = crate::harness::send(plain.get(url).header("cookie", &cookie)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{cookie}");
    }
    let late = console.browser();
    let sent = late.leaves("them", "").await;
    console.clock.pass(Duration::from_mins(10));
    assert_eq!(late.returns("them", &sent.back()).await.status, StatusCode::BAD_REQUEST);
    let why = console.refusals().await;
    // The browser keeps the attempts of its other tabs.
    assert_eq!(why[..3], ["no_attempt", "wrong_state", "wrong_state"], "{why:?}");
}

fn kept_attempt(answer: &crate::harness::Answer) -> String {
    answer.header("set-cookie").split(';').next().expect("a cookie").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_an_attempt_that_was_used_is_not_used_again_with_its_cookie() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("them", "customer", DOMAIN)).await;
    issuer.vouches_for("first", "one@example.com", &json!({}));
    let plain = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let begun = crate::harness::send(plain.get(format!("{}/console/sign-in/oidc/them", console.base))).await;
    let flags = begun.header("set-cookie").to_owned();
    assert!(["; Path=/;", "; Max-Age=600", "; HttpOnly", "; SameSite=Lax"].iter().all(|flag| flags.contains(flag)), "{flags}");
    let sent = super::issuer::Sent { to: begun.header("location").parse().expect("an address") };
    let url = reqwest::Url::parse_with_params(&format!("{}/console/sign-in/oidc/them/callback", console.base), sent.back());
    let back = || crate::harness::send(plain.get(url.clone().expect("an address")).header("cookie", kept_attempt(&begun)));
    let answers = futures::future::join_all((0..4).map(|_| back())).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 400, 400, 400]);
    assert_eq!(console.refusals().await, ["replayed"; 3]);
    let sealed =
        ConsoleServer::with(&format!("public_url = \"https://forelog.example\"\n{}", issuer.configured("them", "customer", "")))
            .await;
    let begun = sealed.browser().get("/console/sign-in/oidc/them").await;
    assert!(begun.header("set-cookie").starts_with("__Host-forelog-attempt-") && begun.header("set-cookie").contains("; Secure"));
    assert!(
        begun
            .header("location")
            .contains("redirect_uri=https%3A%2F%2Fforelog.example%2Fconsole%2Fsign-in%2Foidc%2Fthem%2Fcallback")
    );
}

impl ConsoleServer {
    /// A key of somebody of the staff.
    pub async fn staff_key(&self, email: &str, scopes: ScopeSet) -> CredentialId {
        let ports = &self.app.node().control.ports;
        let people = ports.reader.vault.users().await.expect("the people");
        let person = people.into_iter().find(|person| person.email.as_str() == email).expect("a person");
        let (credential, id) = (CredentialId::new(self.clock.now(), &OsEntropy), EventId::new(self.clock.now(), &OsEntropy));
        let created = CredentialCreated {
            credential: credential.clone(),
            account: person.account,
            user: person.id,
            side: Side::Staff,
            hash: credential.to_string().into(),
            prefix: "flk_live_staff".into(),
            scopes,
            ..crate::fixtures::key_made(1)
        };
        let event = NewEvent::plain(id, EventKind::CredentialCreated(created));
        ports.writer.write(Want::default(), move |draft| draft.append(Position(0), event.clone())).await.expect("a key");
        credential
    }
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
async fn oidc_nothing_of_an_attempt_nor_the_secret_is_kept() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("them", "customer", DOMAIN)).await;
    issuer.vouches_for("first", "one@example.com", &json!({}));
    let browser = console.browser();
    let begun = browser.get("/console/sign-in/oidc/them").await;
    let sent = super::issuer::Sent { to: begun.header("location").parse().expect("an address") };
    let twice: Vec<_> = sent.back().into_iter().chain([("state", "again".to_owned())]).collect();
    let unreadable = browser.returns("them", &twice).await;
    assert_eq!(unreadable.status, StatusCode::BAD_REQUEST, "what is said twice is not read");
    let wrong = console.browser().returns("them", &sent.back()).await;
    let right = browser.returns("them", &sent.back()).await;
    assert_eq!((wrong.status, right.status), (StatusCode::BAD_REQUEST, StatusCode::SEE_OTHER));
    let secrets =
        [SECRET.to_owned(), sent.value("state"), sent.value("nonce"), sent.value("code_challenge"), kept_attempt(&begun)];
    let files = ["vault.db", "vault.db-wal", "log.db", "log.db-wal", "views.db", "views.db-wal"];
    for secret in secrets {
        let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        let kept: Vec<_> =
            files.iter().filter(|name| std::fs::read(console.dir.path().join(name)).is_ok_and(|bytes| holds(&bytes))).collect();
        assert!(kept.is_empty(), "{secret} is in {kept:?}");
        let notes =
            [console.notes("signed_in").await, console.notes("sign_in_refused").await, console.notes("identity_linked").await];
        assert!(!holds(format!("{notes:?}").as_bytes()) && !holds(wrong.text.as_bytes()), "{secret} is told: {notes:?}");
    }
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
async fn until_down(browser: &Browser, sent: &super::issuer::Sent) -> crate::harness::Answer {
    let address = sent.to.socket_addrs(|| None).expect("an address")[0];
    for _ in 0..500 {
        if tokio::net::TcpStream::connect(address).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    browser.returns("them", &sent.back()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_nobody_is_led_out_of_the_console() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("them", "customer", DOMAIN)).await;
    issuer.vouches_for("first", "one@example.com", &json!({}));
    let long = format!("/console/{}", "a".repeat(2000));
    for next in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "/console/../../evil",
        "/console/\r\nset-cookie: a=b",
        "javascript:alert(1)",
        "/console/sign-in/oidc/them",
        long.as_str(),
    ] {
        let browser = console.browser();
        let sent = browser.leaves("them", next).await;
        let answer = browser.returns("them", &sent.back()).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
        let to = answer.header("location");
        assert!(to == "/console/" || to == "/console/../../evil", "{next} leads to {to}");
    }
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
    let to = super::between(&asked.text, "class=\"button primary\" href=\"", "\"").replace("&amp;", "&").replace("&#38;", "&");
    let sent = super::issuer::Sent { to: to.parse().expect("an address") };
    let answer = browser.returns("them", &sent.back()).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/console/account"));
    assert!(browser.page("/console/account").await.contains("me@private.example"));
    let by_issuer = console.browser();
    assert_eq!(by_issuer.signs_in_by("them").await.status, StatusCode::SEE_OTHER);
    assert!(by_issuer.page("/console/").await.contains("one@example.com"));
    // Somebody else is not linked with what is linked, nor by an attempt of another person.
    let other = console.signed_in(&console.other.owner).await;
    let asked = other.submit(link, &[("current", &console.other.owner.password)]).await;
    let to = super::between(&asked.text, "class=\"button primary\" href=\"", "\"").replace("&amp;", "&").replace("&#38;", "&");
    let sent = super::issuer::Sent { to: to.parse().expect("an address") };
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
    let to = super::between(&asked.text, "class=\"button primary\" href=\"", "\"").replace("&amp;", "&").replace("&#38;", "&");
    let sent = super::issuer::Sent { to: to.parse().expect("an address") };
    browser.submit("/console/sign-out", &[]).await;
    browser.sign_in("other@example.com", &console.other.owner.password).await;
    assert_eq!(browser.returns("them", &sent.back()).await.status, StatusCode::FORBIDDEN);
    assert_eq!(console.refusals().await, ["not_signed_in"]);
    assert!(console.events("identity_linked").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_what_nobody_began_is_written_down_within_bounds_and_counts_for_nobody() {
    let issuer = Issuer::start(BEGINNING).await;
    let console = ConsoleServer::with(&issuer.configured("them", "customer", DOMAIN)).await;
    let back = [("state", "x".to_owned()), ("code", "y".to_owned())];
    let known = console.signed_in(&console.one.owner).await;
    known.submit("/console/sign-out", &[]).await;
    let begun = console.browser();
    let own = begun.leaves("them", "").await;
    for _ in 0..40 {
        assert_eq!(console.browser().returns("them", &back).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(begun.returns("them", &back).await.status, StatusCode::BAD_REQUEST, "with another state");
    }
    assert_eq!(console.refusals().await.len(), 30, "a flood of them is written down");
    issuer.vouches_for("first", "one@example.com", &json!({}));
    for browser in [console.browser(), known] {
        assert_eq!(browser.signs_in_by("them").await.status, StatusCode::SEE_OTHER);
    }
    assert_eq!(begun.returns("them", &own.back()).await.status, StatusCode::SEE_OTHER);
    console.signed_in(&console.other.owner).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_oidc_one_node_goes_on_with_what_another_began() {
    let issuer = Issuer::start(BEGINNING).await;
    let database = crate::postgres::fresh_database().await;
    let more = format!("database_url = \"{database}\"\n{}", issuer.configured("them", "customer", DOMAIN));
    let console = ConsoleServer::with(&more).await;
    let (clock, entropy) = (Arc::clone(&console.clock) as _, Arc::new(forelog::ambient::OsEntropy));
    let other = App::start(&config(&console.dir, &more), clock, entropy).await.expect("a second node");
    issuer.vouches_for("first", "one@example.com", &json!({}));
    let browser = console.browser();
    let sent = browser.leaves("them", "").await;
    let there = Browser { client: browser.client.clone(), base: format!("http://{}", other.address()) };
    assert_eq!(there.returns("them", &sent.back()).await.status, StatusCode::SEE_OTHER);
    assert!(browser.is_signed_in().await && there.is_signed_in().await);
    let vault = &console.app.node().control.ports.reader.vault;
    let used_up = vault.database().query("select digest from spent_attempt", Vec::new()).await.expect("rows");
    assert_eq!(used_up.len(), 1);
    assert_eq!(vault.identities(&console.one.owner.user).await.expect("rows").len(), 1);
    issuer.vouches_for("second", "one@example.com", &json!({}));
    assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::FORBIDDEN);
    browser.submit("/console/account/identities/them/unlink", &[("current", &console.one.owner.password)]).await;
    assert_eq!(console.browser().signs_in_by("them").await.status, StatusCode::SEE_OTHER);
    other.shutdown().await;
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
