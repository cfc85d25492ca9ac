//! People under one e-mail address: what one of them may try, and what another one is told of it. Whoever may invite can have
//! a person under anybody's address.

use std::time::Duration;

use forelog::app::registry::IssuedPassword;
use forelog::auth::hashing::{Hashing, Line};
use forelog::core::event::EventKind;
use reqwest::StatusCode;

use super::{Browser, ConsoleServer, between};

const OWN: &str = "a phrase of the inviter";

on_both! {
    known_browsers, console_a_browser_that_knows_a_namesake_guesses_at_nobody_else, postgres_console_a_browser_that_knows_a_namesake_guesses_at_nobody_else;
    candidates, console_a_guess_that_is_a_namesakes_password_counts_as_a_guess, postgres_console_a_guess_that_is_a_namesakes_password_counts_as_a_guess;
    unproved, console_of_two_whose_address_nobody_proved_neither_guesses_at_the_other, postgres_console_of_two_whose_address_nobody_proved_neither_guesses_at_the_other;
    by_account, console_the_form_of_an_account_guesses_at_its_people_only_and_they_are_told, postgres_console_the_form_of_an_account_guesses_at_its_people_only_and_they_are_told;
    confirming, console_a_wrong_password_of_who_is_signed_in_is_written_down, postgres_console_a_wrong_password_of_who_is_signed_in_is_written_down;
}

impl ConsoleServer {
    /// The first customer has a person under somebody else's address, with this password.
    async fn namesake(&self, email: &str, password: &str) -> Browser {
        self.namesake_in(&self.one.owner, email, password).await
    }

    async fn namesake_in(&self, owner: &IssuedPassword, email: &str, password: &str) -> Browser {
        let (inviter, browser) = (self.signed_in(owner).await, self.browser());
        let fields = [("account", owner.account.as_str()), ("email", email), ("role", "member")];
        let made = inviter.submit("/console/people", &fields).await;
        let link = format!("/console/welcome/{}", between(&made.text, "/console/welcome/", "\""));
        let joined = browser.post(&link, &[("password", password), ("again", password)]).await;
        assert_eq!(joined.status, StatusCode::SEE_OTHER, "{joined:?}");
        browser
    }

    /// How many refused sign-ins name a person.
    async fn refused(&self, person: &IssuedPassword) -> usize {
        let named = |kind: &EventKind| matches!(kind, EventKind::SignInRefused { user: Some(user), .. } if *user == person.user);
        self.events("sign_in_refused").await.iter().filter(|event| named(&event.kind)).count()
    }
}

/// A browser that knows somebody, and in which nobody is signed in.
async fn knowing(console: &ConsoleServer, email: &str, password: &str) -> Browser {
    let browser = console.browser();
    let entered = browser.sign_in(email, password).await;
    assert_eq!(entered.status, StatusCode::SEE_OTHER, "{entered:?}");
    assert_eq!(browser.submit("/console/sign-out", &[]).await.status, StatusCode::SEE_OTHER);
    browser
}

/// An address that only its inviter vouches for leads no command of an operator to the inviter's account, nor makes one fail.
#[tokio::test(flavor = "multi_thread")]
async fn console_a_namesake_neither_redirects_nor_spoils_a_command() {
    let console = ConsoleServer::open().await;
    let victim = &console.other.owner;
    console.namesake(&victim.email, OWN).await;
    console.namesake("new@example.net", OWN).await;
    let at = ["--data", crate::cli::shown(console.dir.path())];
    let listed = crate::cli::answer(&[&["key", "list", "--account", victim.email.as_str()][..], &at[..]].concat());
    let items = listed["items"].as_array().expect("keys");
    assert!(!items.is_empty() && items.iter().all(|key| key["account"] == victim.account.as_str()), "{listed}");
    let said = crate::cli::complaint(&[&["key", "list", "--account", "new@example.net"][..], &at[..]].concat());
    assert!(said.contains("nobody has proved") && said.contains(console.one.account.as_str()), "{said}");
}

async fn known_browsers(console: ConsoleServer) {
    for victim in [&console.other.owner, &console.staff] {
        console.namesake(&victim.email, OWN).await;
        let before = console.refused(victim).await;
        for _ in 0..3 {
            let browser = knowing(&console, &victim.email, OWN).await;
            for _ in 0..3 {
                assert_eq!(browser.sign_in(&victim.email, "a guess").await.status, StatusCode::UNAUTHORIZED);
            }
            let right = browser.sign_in(&victim.email, &victim.password).await;
            assert_eq!(right.status, StatusCode::UNAUTHORIZED, "a browser that knows somebody else guessed right");
        }
        // A guess in a browser that knows nobody is told to whose password it was at.
        let guesser = console.browser();
        assert_eq!(guesser.sign_in(&victim.email, "a guess").await.status, StatusCode::UNAUTHORIZED);
        // So is each sign-in of the namesake before, for it was tried on both.
        assert_eq!(console.refused(victim).await - before, 4);
        assert_eq!(console.browser().sign_in(&victim.email, &victim.password).await.status, StatusCode::SEE_OTHER);
    }
}

async fn candidates(console: ConsoleServer) {
    let victim = &console.other.owner;
    let mine = console.namesake(&victim.email, OWN).await;
    let mut current = OWN.to_owned();
    let mut answers = Vec::new();
    for n in 0..14 {
        let candidate = format!("candidate number {n}");
        let fields = [("current", current.as_str()), ("password", candidate.as_str()), ("again", candidate.as_str())];
        assert_eq!(mine.submit("/console/account/password", &fields).await.status, StatusCode::SEE_OTHER);
        answers.push(console.browser().sign_in(&victim.email, &candidate).await.status);
        current = candidate;
    }
    let tried = answers.iter().filter(|status| **status != StatusCode::TOO_MANY_REQUESTS).count();
    assert_eq!(tried, 10, "each was a guess at the other's password: {answers:?}");
    assert_eq!(console.refused(victim).await, 10, "and they are told of each");
}

async fn unproved(console: ConsoleServer) {
    let (email, theirs) = ("ann@example.com", "a phrase of their own");
    console.namesake_in(&console.other.owner, email, theirs).await;
    console.namesake(email, OWN).await;
    let browser = knowing(&console, email, OWN).await;
    assert_eq!(browser.sign_in(email, theirs).await.status, StatusCode::UNAUTHORIZED, "it knows one of them");
    assert_eq!(console.browser().sign_in(email, theirs).await.status, StatusCode::SEE_OTHER, "the password says who");
    // Both sign-ins counted, as guesses at the other one's password.
    let guesser = console.browser();
    for _ in 0..8 {
        assert_eq!(guesser.sign_in(email, "a guess").await.status, StatusCode::UNAUTHORIZED);
    }
    for password in [OWN, theirs, "a guess"] {
        assert_eq!(console.browser().sign_in(email, password).await.status, StatusCode::TOO_MANY_REQUESTS);
    }
    // Nor is it told by that whether there is somebody else.
    for _ in 0..10 {
        console.clock.pass(Duration::from_mins(20));
    }
    console.namesake("alone@example.com", OWN).await;
    for _ in 0..10 {
        assert_eq!(console.browser().sign_in("alone@example.com", OWN).await.status, StatusCode::SEE_OTHER);
    }
    assert_eq!(console.browser().sign_in("alone@example.com", OWN).await.status, StatusCode::TOO_MANY_REQUESTS);
}

async fn by_account(console: ConsoleServer) {
    let email = "ann@example.com";
    console.namesake_in(&console.other.owner, email, "a phrase of their own").await;
    console.namesake(email, OWN).await;
    let account = console.one.account.to_string();
    let by = async |password: &str| {
        let fields = [("email", email), ("password", password), ("account", account.as_str())];
        console.browser().post("/console/sign-in", &fields).await.status
    };
    assert_eq!(by("a phrase of their own").await, StatusCode::UNAUTHORIZED, "it is the other account's");
    for _ in 0..12 {
        assert_eq!(by(OWN).await, StatusCode::SEE_OTHER, "what was a guess at nobody else's password counts little");
    }
    let refused = console.events("sign_in_refused").await;
    let named: Vec<_> = refused
        .iter()
        .map(|event| matches!(&event.kind, EventKind::SignInRefused { user: Some(user), .. } if console.is_of(user, &console.one.account)))
        .collect();
    assert_eq!(named, [true]);
}

impl ConsoleServer {
    fn is_of(&self, user: &forelog::core::id::UserId, account: &forelog::core::id::AccountId) -> bool {
        let state = self.app.node().control.ports.fence().state();
        state.users.get(user).is_some_and(|member| member.account == *account)
    }
}

async fn confirming(console: ConsoleServer) {
    let (owner, browser) = (&console.one.owner, console.signed_in(&console.one.owner).await);
    let fields = [("current", "wrong"), ("password", "a new long phrase"), ("again", "a new long phrase")];
    for n in 1..=10 {
        assert_eq!(browser.submit("/console/account/password", &fields).await.status, StatusCode::FORBIDDEN);
        assert_eq!(console.refused(owner).await, n);
    }
    assert_eq!(browser.submit("/console/account/password", &fields).await.status, StatusCode::TOO_MANY_REQUESTS);
    let notes = console.notes("sign_in_refused").await;
    assert!(notes.iter().all(|note| note["address"] == "127.0.0.1" && note["why"] == "wrong_password"), "{notes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_of_one_customer_fill_no_line_however_many_browsers_people_and_addresses_they_have() {
    let hashing = std::sync::Arc::new(Hashing::default());
    let (open, gate) = std::sync::mpsc::sync_channel::<()>(1024);
    let gate = std::sync::Arc::new(std::sync::Mutex::new(gate));
    let served = async |places: Vec<(String, String)>, expected: usize| {
        let all = places.len();
        let mut waiting = tokio::task::JoinSet::new();
        for (person, address) in places {
            let (hashing, gate) = (std::sync::Arc::clone(&hashing), std::sync::Arc::clone(&gate));
            waiting.spawn(async move {
                let line = Line::Known { person: &person, account: "one", address: &address };
                let work = move || {
                    gate.lock().expect("the gate").recv().ok();
                    Ok(())
                };
                hashing.turn(line, work).await.is_ok()
            });
        }
        for _ in expected..all {
            assert!(!waiting.join_next().await.expect("one more").expect("a task"), "more than {expected} wait");
        }
        for _ in 0..expected {
            open.send(()).expect("the gate");
        }
        while let Some(served) = waiting.join_next().await {
            assert!(served.expect("a task"), "who waits is served");
        }
    };
    let of = |person: fn(usize) -> usize, address: fn(usize) -> usize| -> Vec<(String, String)> {
        (0..72).map(|n| (format!("person {}", person(n)), format!("192.0.2.{}", address(n)))).collect()
    };
    served(of(|_| 0, |_| 0), 8).await;
    served(of(|_| 0, |n| n), 8).await;
    served(of(|n| n, |_| 0), 8).await;
    served(of(|n| n, |n| n), 16).await;
}
