//! Guessing passwords: whoever guesses locks out themselves, and nobody locks out a browser in which a person signed in before.

use std::net::IpAddr;
use std::time::Duration;

use forelog::auth::guesses::{GuessSource, Guesses, MAX_COUNT};
use forelog::auth::hashing::{Hashing, Line};
use forelog::auth::password;
use forelog::core::email::EmailAddress;
use forelog::core::event::EventKind;
use forelog::core::time::Micros;
use forelog::log::guess::Counted;
use proptest::prelude::*;
use reqwest::StatusCode;

use super::{BEGINNING, Browser, ConsoleServer};
use crate::harness::{Answer, send};

const TRUSTING: &str = "trusted_proxies = [\"127.0.0.1/32\"]";

impl Browser {
    /// A browser at another address of this machine.
    fn from(base: &str, address: &str) -> Self {
        let (redirect, address) = (reqwest::redirect::Policy::none(), address.parse::<IpAddr>().expect("an address"));
        let client = reqwest::Client::builder().no_proxy().cookie_store(true).redirect(redirect).local_address(address);
        Self { client: client.build().expect("a client"), base: base.to_owned() }
    }

    /// Signs in through a proxy that names the client.
    async fn sign_in_from(&self, client: &str, email: &str, password: &str) -> Answer {
        let fields = [("email", email), ("password", password)];
        let form = self.client.post(format!("{}/console/sign-in", self.base)).header("origin", &self.base);
        send(form.header("x-forwarded-for", client).form(&fields)).await
    }
}

fn cookie_of<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let mut all = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().expect("text"));
    all.find_map(|text| text.strip_prefix(name)?.strip_prefix('=')?.split(';').next())
}

on_both! {
    other_nodes, console_guesses_count_on_every_node_and_after_a_restart, postgres_console_guesses_count_on_every_node_and_after_a_restart;
    rows_are_few, guesses_of_strangers_keep_few_rows_and_push_out_none_that_is_full, postgres_guesses_of_strangers_keep_few_rows_and_push_out_none_that_is_full;
    uncounted, console_a_guess_that_cannot_be_counted_is_none, postgres_console_a_guess_that_cannot_be_counted_is_none;
    others_guess, console_guesses_from_elsewhere_lock_out_nobody, postgres_console_guesses_from_elsewhere_lock_out_nobody;
    rotates, console_a_new_sign_in_ends_the_session_that_the_browser_had, postgres_console_a_new_sign_in_ends_the_session_that_the_browser_had;
}

/// Whoever guesses goes from node to node, and waits for a restart.
async fn other_nodes(console: ConsoleServer) {
    let (email, password) = ("one@example.com", console.one.owner.password.as_str());
    let second = console.beside().await;
    let bases = [console.base.clone(), format!("http://{}", second.address())];
    for n in 0..10 {
        let answer = Browser::at(&bases[n % 2]).sign_in(email, "wrong").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{n}");
    }
    for base in &bases {
        assert_eq!(Browser::at(base).sign_in(email, password).await.status, StatusCode::TOO_MANY_REQUESTS, "{base}");
    }
    second.shutdown().await;
    let third = console.beside().await;
    let fresh = Browser::at(&format!("http://{}", third.address()));
    assert_eq!(fresh.sign_in(email, password).await.status, StatusCode::TOO_MANY_REQUESTS, "a restart forgets nothing");
    console.clock.pass(Duration::from_mins(1));
    assert_eq!(fresh.sign_in(email, password).await.status, StatusCode::SEE_OTHER, "one a minute");
    // That one was right, and was given back where it was counted.
    let again = console.browser().sign_in(email, password).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    third.shutdown().await;
}

async fn rows_are_few(console: ConsoleServer) {
    let vault = &console.app.node().control.ports.reader.vault;
    let minute = 60_000_000;
    let one = |name: &'static [u8]| [Counted { name, every: minute, ahead: 9 * minute }];
    let now = |n: i64| Micros(BEGINNING.0 + n);
    for n in 0..20 {
        let counted = vault.count_guess(&one(b"victim"), now(0), None).await.expect("the vault");
        assert_eq!(counted.is_ok(), n < 10, "{n}");
    }
    for n in 0..400_i64 {
        let name = n.to_be_bytes();
        let by = [Counted { name: &name, every: minute, ahead: 9 * minute }];
        assert!(vault.count_guess(&by, now(n), Some(100)).await.expect("the vault").is_ok());
        let kept =
            vault.database().query("select count(*) from guess", Vec::new()).await.expect("rows")[0].int(0).expect("a number");
        assert!(kept <= 101, "{kept}");
    }
    let held_up = vault.count_guess(&one(b"victim"), now(400), Some(100)).await.expect("the vault");
    assert_eq!(held_up, Err(now(minute)), "a flood of names makes room for more guesses");
    // A name that is full counts nothing under the others of the same attempt.
    let both = [Counted { name: b"bystander", every: minute, ahead: 0 }, one(b"victim")[0]];
    assert!(vault.count_guess(&both, now(400), None).await.expect("the vault").is_err());
    assert!(vault.count_guess(&both[..1], now(400), None).await.expect("the vault").is_ok());
    vault.give_guess_back(&both[..1]).await.expect("the vault");
    assert!(vault.count_guess(&both[..1], now(400), None).await.expect("the vault").is_ok());
    let gone = now(20 * minute);
    assert!(vault.count_guess(&one(b"victim"), gone, Some(100)).await.expect("the vault").is_ok());
    let left = vault.database().query("select name from guess", Vec::new()).await.expect("rows");
    assert!(
        left.len() == 1 && left[0].bytes(0).expect("a name") != b"victim",
        "what counts no more is forgotten: {}",
        left.len()
    );
}

/// It costs that sign-in alone: who is signed in goes on.
async fn uncounted(console: ConsoleServer) {
    let browser = console.signed_in(&console.staff).await;
    let vault = &console.app.node().control.ports.reader.vault;
    let mut transaction = vault.database().begin().await.expect("a transaction");
    transaction.script("alter table guess rename to guess_aside").await.expect("another name");
    transaction.commit().await.expect("a commit");
    let stranger = console.browser().sign_in("one@example.com", &console.one.owner.password).await;
    assert_eq!(stranger.status, StatusCode::SERVICE_UNAVAILABLE, "{stranger:?}");
    let fields = [("target", "all"), ("reason", "an incident"), ("minutes", "")];
    let stopped = browser.submit("/console/switches", &fields).await;
    assert!(stopped.status.is_redirection() || stopped.status.is_success(), "{stopped:?}");
    assert_eq!(console.events("switch_engaged").await.len(), 1);
}

async fn others_guess(console: ConsoleServer) {
    let (email, password) = ("one@example.com", console.one.owner.password.as_str());
    let (mine, fresh) = (console.signed_in(&console.one.owner).await, console.browser());
    mine.submit("/console/sign-out", &[]).await;
    let thief = Browser::from(&console.base, "127.0.0.2");
    for _ in 0..10 {
        assert_eq!(thief.sign_in(email, "wrong").await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(thief.sign_in(email, password).await.status, StatusCode::TOO_MANY_REQUESTS, "whoever guesses is held up");
    assert_eq!(fresh.sign_in(email, password).await.status, StatusCode::SEE_OTHER, "another address is not");
    // Now from as many addresses as it takes.
    let mut held_up = 0;
    for n in 3..=20 {
        let bot = Browser::from(&console.base, &format!("127.0.0.{n}"));
        for _ in 0..10 {
            held_up += usize::from(bot.sign_in(email, "wrong").await.status == StatusCode::TOO_MANY_REQUESTS);
        }
    }
    assert!(held_up >= 60, "{held_up} of 180 guesses at one person were held up");
    assert_eq!(
        console.browser().sign_in(email, password).await.status,
        StatusCode::TOO_MANY_REQUESTS,
        "an unknown browser waits"
    );
    assert_eq!(mine.sign_in(email, password).await.status, StatusCode::SEE_OTHER, "a browser that signed in before does not");
    assert_eq!(
        Browser::from(&console.base, "127.0.0.40").sign_in("other@example.com", "x").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_browser_that_signed_in_before_is_bounded_by_itself_and_its_cookie_signs_nobody_in() {
    let console = ConsoleServer::open().await;
    let (email, password) = ("one@example.com", console.one.owner.password.as_str());
    let browser = console.browser();
    let answer = browser.sign_in(email, password).await;
    let known = cookie_of(&answer, "forelog-known").expect("a cookie").to_owned();
    let mut set = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().expect("text"));
    let flags = set.find(|text| text.starts_with("forelog-known=")).expect("a cookie").to_owned();
    assert!(["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age="].iter().all(|flag| flags.contains(flag)), "{flags}");
    assert!(known.len() < 1024 && !known.contains("usr_") && !flags.contains(console.one.owner.user.as_str()), "{known}");
    let plain = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    for name in ["forelog-known", "forelog-session"] {
        let get = plain.get(format!("{}/console/account", console.base)).header("cookie", format!("{name}={known}"));
        assert_eq!(send(get).await.status, StatusCode::SEE_OTHER, "as {name}");
    }
    browser.submit("/console/sign-out", &[]).await;
    for _ in 0..10 {
        assert_eq!(browser.sign_in(email, "wrong").await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(browser.sign_in(email, password).await.status, StatusCode::TOO_MANY_REQUESTS);
    // Its guesses at somebody else count like anybody's, and it is not somebody else's.
    let other = browser.sign_in("other@example.com", &console.other.owner.password).await;
    assert_eq!(other.status, StatusCode::SEE_OTHER);
    console.clock.pass(Duration::from_mins(1));
    assert_eq!(browser.sign_in(email, password).await.status, StatusCode::SEE_OTHER, "one a minute");
    // Changed, it is nothing; and it costs nobody the sign-in.
    let bent = format!("forelog-known={}x", &known[..known.len() - 1]);
    let form = plain.post(format!("{}/console/sign-in", console.base)).header("origin", &console.base).header("cookie", bent);
    assert_eq!(send(form.form(&[("email", email), ("password", password)])).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn console_sign_ins_that_succeed_count_little() {
    let console = ConsoleServer::open().await;
    for _ in 0..40 {
        let answer = console.browser().sign_in("one@example.com", &console.one.owner.password).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "an office behind one address is locked out by its own people");
    }
    assert_eq!(console.browser().sign_in("one@example.com", "wrong").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_network_of_ipv6_is_one_address_and_a_bent_header_hides_nobody() {
    let console = ConsoleServer::with(TRUSTING).await;
    let browser = console.browser();
    for n in 0..10 {
        let from = format!("2001:db8:1:2::{n}");
        assert_eq!(browser.sign_in_from(&from, "one@example.com", "wrong").await.status, StatusCode::UNAUTHORIZED);
    }
    let next = browser.sign_in_from("2001:db8:1:2:ffff::1", "one@example.com", "wrong").await;
    assert_eq!(next.status, StatusCode::TOO_MANY_REQUESTS);
    let elsewhere = browser.sign_in_from("2001:db8:1:3::1", "one@example.com", "wrong").await;
    assert_eq!(elsewhere.status, StatusCode::UNAUTHORIZED);
    // What a client wrote itself, before the proxy added who it is, takes nothing away from that.
    for _ in 0..10 {
        let answer = browser.sign_in_from("zürich, 192.0.2.7", "other@example.com", "wrong").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let (proxy, guesser) = ("", "192.0.2.7");
    assert_eq!(browser.sign_in_from(guesser, "other@example.com", "wrong").await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(browser.sign_in_from(proxy, "other@example.com", "wrong").await.status, StatusCode::UNAUTHORIZED);
}

async fn rotates(console: ConsoleServer) {
    let browser = console.signed_in(&console.one.owner).await;
    let elsewhere = console.signed_in(&console.one.owner).await;
    let first = browser.client.get(format!("{}/console/account", console.base)).build().expect("a request");
    assert!(first.headers().get("cookie").is_none(), "the jar adds it");
    let wrong = browser.sign_in("one@example.com", "wrong").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(browser.is_signed_in().await, "a wrong password ends nothing");
    assert_eq!(browser.sign_in("other@example.com", &console.other.owner.password).await.status, StatusCode::SEE_OTHER);
    assert!(browser.is_signed_in().await && elsewhere.is_signed_in().await, "another browser keeps its own");
    let outs = console.events("signed_out").await;
    let ended = |kind: &EventKind| matches!(kind, EventKind::SignedOut { user, session: Some(_), by: None } if *user == console.one.owner.user);
    assert!(outs.len() == 1 && ended(&outs[0].kind), "{outs:?}");
    let sql = "select hash from session";
    let left = console.app.node().control.ports.reader.vault.database().query(sql, Vec::new()).await.expect("rows");
    assert_eq!(left.len(), 2, "the session before is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_one_cookie_is_read_whatever_the_others_hold() {
    let console = ConsoleServer::open().await;
    let answer = console.browser().sign_in("one@example.com", &console.one.owner.password).await;
    let token = cookie_of(&answer, "forelog-session").expect("a session").to_owned();
    let plain = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let status = async |cookies: &[&[u8]]| {
        let mut get = plain.get(format!("{}/console/account", console.base));
        for cookie in cookies {
            get = get.header("cookie", reqwest::header::HeaderValue::from_bytes(cookie).expect("a header"));
        }
        send(get).await.status
    };
    let own = format!("forelog-session={token}");
    let readable: Vec<Vec<Vec<u8>>> = vec![
        vec![format!("city=Zürich; {own}").into_bytes()],
        vec![format!("{own}; city=Zürich").into_bytes()],
        vec![[b"city=Z\xfcrich; ", own.as_bytes()].concat()],
        vec![[b"\xff\xfe; =; ;; =x; nothing; ", own.as_bytes(), b";"].concat()],
        vec![b"a=\xe4".to_vec(), own.clone().into_bytes()],
        vec![own.clone().into_bytes(), b"\xe4=\xe4; b=c".to_vec()],
        vec![format!("forelog-session=\"{token}\"; q=\"a;b\"").into_bytes()],
        vec![format!("{own}; {own}").into_bytes()],
        vec![own.clone().into_bytes(), own.clone().into_bytes()],
        vec![format!("x-{own}y; {own}; forelog-sessions=z; Forelog-Session=z").into_bytes()],
    ];
    for cookies in readable {
        let given: Vec<&[u8]> = cookies.iter().map(Vec::as_slice).collect();
        assert_eq!(
            status(&given).await,
            StatusCode::OK,
            "{:?}",
            cookies.iter().map(|c| String::from_utf8_lossy(c)).collect::<Vec<_>>()
        );
    }
    assert_eq!(status(&[format!("{own}; forelog-session=planted").as_bytes()]).await, StatusCode::SEE_OTHER);
    let two = plain.get(format!("{}/console/sign-in", console.base)).header("cookie", format!("{own}; forelog-session=planted"));
    let told = send(two).await;
    assert!(told.text.contains("sends two sessions"), "whoever is sent there for ever is told why: {}", told.text);
    // The same for a client that calls itself by a name that is not in ASCII.
    let named = reqwest::header::HeaderValue::from_bytes("Zürich/1.0".as_bytes()).expect("a header");
    let form =
        plain.post(format!("{}/console/sign-in", console.base)).header("origin", &console.base).header("user-agent", named);
    let fields = [("email", "one@example.com"), ("password", console.one.owner.password.as_str())];
    assert_eq!(send(form.form(&fields)).await.status, StatusCode::SEE_OTHER);
    let notes = console.notes("signed_in").await;
    assert_eq!(notes.last().expect("a sign-in")["user_agent"], "Zürich/1.0");
}

#[test]
fn guesses_are_counted_in_bounded_memory_and_a_flood_makes_none_forgotten_that_is_full() {
    let (guesses, victim) = (Guesses::default(), "victim@example.com".parse::<EmailAddress>().expect("an address"));
    let attempt = |address: &str, email: &EmailAddress, at: i64| {
        let who = GuessSource { address, email: Some(email), known: &[] };
        guesses.attempt(who, Micros(BEGINNING.0 + at)).is_ok()
    };
    assert_eq!((0..20).filter(|_| attempt("192.0.2.1", &victim, 0)).count(), 10);
    for n in 0..60_000_i64 {
        let email = format!("n{n}@example.com").parse().expect("an address");
        attempt(&format!("2001:db8:{:x}:{:x}::", n / 1000, n), &email, n);
        assert!(guesses.kept() <= MAX_COUNT + 4);
    }
    assert!(!attempt("192.0.2.1", &victim, 60_000), "a flood of names makes room for more guesses");
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_that_wait_to_be_hashed_are_few_and_keep_nobody_who_is_known() {
    let hashing = std::sync::Arc::new(Hashing::default());
    let (open, gate) = std::sync::mpsc::sync_channel::<()>(1024);
    let gate = std::sync::Arc::new(std::sync::Mutex::new(gate));
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..200 {
        let (hashing, gate) = (std::sync::Arc::clone(&hashing), std::sync::Arc::clone(&gate));
        waiting.spawn(async move {
            let address = format!("192.0.2.{}", n % 50);
            let work = move || {
                gate.lock().expect("the gate").recv().ok();
                Ok(())
            };
            hashing.turn(Line::Stranger(&address), work).await.is_ok()
        });
    }
    for _ in 0..200 - 64 {
        assert!(!waiting.join_next().await.expect("one more").expect("a task"), "somebody has a turn before the gate is open");
    }
    let known = hashing
        .turn(Line::Known { person: "somebody", account: "somewhere", address: "192.0.2.1" }, || {
            password::hash_under("x", [0; 16])
        })
        .await;
    assert!(known.is_ok_and(|hash| hash.is_ok()), "whoever is known waits for strangers");
    drop(open);
    while let Some(served) = waiting.join_next().await {
        assert!(served.expect("a task"), "who waits is served");
    }
    let again = hashing.turn(Line::Stranger("192.0.2.1"), || Ok(())).await;
    assert!(again.is_ok(), "places are not given back");
}

proptest! {
    #[test]
    fn email_addresses_have_one_form(local in "\\PC{1,12}", domain in "[a-zA-Z0-9ÄÖÜäöüß。．.-]{1,20}", around in "[ \t\n]{0,2}") {
        let typed = format!("{around}{local}@{domain}{around}");
        if let Ok(email) = typed.parse::<EmailAddress>() {
            prop_assert_eq!(email.as_str().parse::<EmailAddress>(), Ok(email.clone()));
            prop_assert!(email.domain().is_ascii() && email.as_str().len() <= 254);
            prop_assert_eq!(typed.to_lowercase().parse::<EmailAddress>(), Ok(email));
        }
    }
}

#[test]
fn email_addresses_that_are_one_are_one_text() {
    let text = |typed: &str| typed.parse::<EmailAddress>().map(|email| email.to_string());
    for typed in [
        "customer@example.com",
        "Customer@example.com",
        "customer@EXAMPLE.com",
        " customer@example.com\n",
        "customer@example.com.",
        "customer@ｅｘａｍｐｌｅ.com",
        "customer@example。com",
    ] {
        assert_eq!(text(typed).as_deref(), Ok("customer@example.com"), "{typed}");
    }
    assert_eq!(text("Jörg@Bücher.example"), text("jo\u{308}rg@xn--bcher-kva.EXAMPLE"));
    for refused in [
        "",
        "@",
        "a@",
        "@b",
        "a b@c",
        "a@b@c",
        "\"a\"@b",
        "a@b c",
        "a@-b",
        "a@b..c",
        "a\0@b",
        "a\u{200b}@b",
        "\u{212a}ay@corp.example",
        "\u{212b}ngstrom@corp.example",
        "oh\u{2126}@corp.example",
        "a\u{37e}b@corp.example",
        "a\u{1fef}b@corp.example",
        "\u{f900}@corp.example",
        "\u{17f}am@corp.example",
        " @corp.example",
        "@corp.example",
        "ａ@b",
        "a@[127.0.0.1]",
        "a@b_c",
        "<a@b>",
        "a,b@c",
        "a\u{202e}@b",
    ] {
        assert!(text(refused).is_err(), "{refused:?} is {:?}", text(refused));
    }
    assert!(
        text(&format!("{}@example.com", "a".repeat(64))).is_ok() && text(&format!("{}@example.com", "a".repeat(65))).is_err()
    );
    assert!(text(&format!("a@{}", ["b".repeat(60).as_str(); 5].join("."))).is_err() && text(&"a".repeat(1_000_000)).is_err());
}
