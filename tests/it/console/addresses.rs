//! E-mail addresses: one form at every door, one person in each account, and nobody's elsewhere until they are proved.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::issuer::Issuer;
use super::{BEGINNING, Browser, ConsoleServer, between};
use crate::harness::Answer;

const THEIRS: &str = "a phrase of the inviter";

on_both! {
    nothing_is_told, console_an_invitation_tells_nothing_of_other_accounts_and_takes_nothing_from_them, postgres_console_an_invitation_tells_nothing_of_other_accounts_and_takes_nothing_from_them;
    one_form, console_an_address_is_one_however_it_is_typed, postgres_console_an_address_is_one_however_it_is_typed;
    at_once, console_a_link_that_is_used_twice_at_once_makes_one_person_who_can_sign_in, postgres_console_a_link_that_is_used_twice_at_once_makes_one_person_who_can_sign_in;
}

impl ConsoleServer {
    /// A key of an owner that may manage people.
    async fn inviter(&self, owner: &forelog::app::registry::IssuedPassword) -> String {
        self.key_with(&self.signed_in(owner).await, &["people:write", "people:read"]).await
    }

    async fn invites(&self, key: &str, email: &str) -> Answer {
        self.rest(key, Method::POST, "/invitations", Some(json!({ "email": email, "role": "member" }))).await
    }
}

/// What somebody who invites can see of it: each answer without what is made anew.
async fn seen(console: &ConsoleServer, key: &str, email: &str) -> (Vec<String>, Browser) {
    let invited = console.invites(key, email).await;
    let link = invited.json()["link"].as_str().expect("a link").to_owned();
    let shown = console.browser().get(&link).await;
    let browser = console.browser();
    let short = browser.post(&link, &[("password", "short"), ("again", "short")]).await;
    let joined = browser.post(&link, &[("password", THEIRS), ("again", THEIRS)]).await;
    let people = console.rest(key, Method::GET, "/people", None).await;
    let listed = people.json()["items"].as_array().expect("people").iter().any(|item| item["email"] == email);
    let page = browser.page("/console/account").await;
    let again = console.browser().get(&link).await;
    let inviting_again = console.invites(key, email).await;
    let token = link.rsplit('/').next().expect("a token");
    let plain = |answer: &Answer| format!("{} {}", answer.status, answer.text.replace(email, "them").replace(token, "link"));
    let told = vec![
        invited.status.to_string(),
        plain(&shown),
        plain(&short),
        format!("{} {:?}", plain(&joined), joined.headers.get("location")),
        format!("{listed} {}", page.contains(email)),
        plain(&again),
        format!("{} {}", inviting_again.status, inviting_again.json()["error"]["code"]),
    ];
    (told, browser)
}

async fn nothing_is_told(console: ConsoleServer) {
    let key = console.inviter(&console.one.owner).await;
    let nobody = seen(&console, &key, "nobody@example.com").await.0;
    for taken in ["other@example.com", "staff@example.com"] {
        let (told, browser) = seen(&console, &key, taken).await;
        assert_eq!(told, nobody, "{taken} is told from nobody");
        assert!(browser.page("/console/").await.contains("member"), "whoever has the link is one of the inviter's people only");
    }
    // Whose the address was signs in as before, into their own account.
    for (person, vm) in [(&console.other.owner, Some(&console.other.vm)), (&console.staff, None)] {
        let browser = console.browser();
        assert_eq!(browser.sign_in(&person.email, &person.password).await.status, StatusCode::SEE_OTHER, "{}", person.email);
        let Some(vm) = vm else { continue };
        assert_eq!(browser.get(&format!("/console/vms/{vm}")).await.status, StatusCode::OK);
        assert_eq!(browser.get(&format!("/console/vms/{}", console.one.vm)).await.status, StatusCode::NOT_FOUND);
    }
    // And who has not shown up yet can still be invited by somebody else, and be a person of both.
    let theirs = console.inviter(&console.other.owner).await;
    let link = console.invites(&theirs, "nobody@example.com").await.json()["link"].as_str().expect("a link").to_owned();
    let browser = console.browser();
    let chosen = [("password", "a phrase of their own"), ("again", "a phrase of their own")];
    assert_eq!(browser.post(&link, &chosen).await.status, StatusCode::SEE_OTHER, "the address is taken");
    for (password, account) in [(THEIRS, "one"), ("a phrase of their own", "other")] {
        let browser = console.browser();
        assert_eq!(browser.sign_in("nobody@example.com", password).await.status, StatusCode::SEE_OTHER);
        assert!(browser.page("/console/").await.contains(&format!("{account}</")), "the password says which account: {account}");
    }
    // A wrong password is told to neither of two accounts, of which one may be a stranger's.
    assert_eq!(console.browser().sign_in("nobody@example.com", "wrong").await.status, StatusCode::UNAUTHORIZED);
    let refused = console.events("sign_in_refused").await;
    let last = serde_json::to_value(refused.last().expect("an event")).expect("a leaf");
    assert_eq!(last["user"], Value::Null, "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_with_one_password_for_two_accounts_the_address_of_the_form_says_which() {
    let console = ConsoleServer::open().await;
    for owner in [&console.one.owner, &console.other.owner] {
        let key = console.inviter(owner).await;
        let link = console.invites(&key, "both@example.com").await.json()["link"].as_str().expect("a link").to_owned();
        let page = console.browser().page(&link).await;
        assert!(page.contains(&format!("/console/sign-in?account={}", owner.account)), "{page}");
        assert_eq!(console.browser().post(&link, &[("password", THEIRS), ("again", THEIRS)]).await.status, StatusCode::SEE_OTHER);
    }
    for (customer, foreign) in [(&console.one, &console.other), (&console.other, &console.one)] {
        let (browser, account) = (console.browser(), customer.account.to_string());
        let page = browser.page(&format!("/console/sign-in?account={account}")).await;
        assert_eq!(between(&page, "name=\"account\" value=\"", "\""), account);
        let fields = [("email", "both@example.com"), ("password", THEIRS), ("account", account.as_str())];
        assert_eq!(browser.post("/console/sign-in", &fields).await.status, StatusCode::SEE_OTHER);
        assert_eq!(browser.get(&format!("/console/vms/{}", customer.vm)).await.status, StatusCode::OK);
        assert_eq!(browser.get(&format!("/console/vms/{}", foreign.vm)).await.status, StatusCode::NOT_FOUND);
    }
    let fields = [
        ("email", "one@example.com"),
        ("password", console.one.owner.password.as_str()),
        ("account", console.other.account.as_str()),
    ];
    assert_eq!(console.browser().post("/console/sign-in", &fields).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_who_used_an_invitation_for_an_address_does_not_get_its_owner_into_their_account() {
    let issuer = Issuer::start(BEGINNING).await;
    let more = [
        issuer.configured("them", "customer", "domains = [\"example.com\"]"),
        issuer.configured("corp", "staff", "domains = [\"example.com\"]\nroles = { ops = \"reader\" }\ncreate = true"),
    ];
    let console = ConsoleServer::with(&more.concat()).await;
    let key = console.inviter(&console.one.owner).await;
    for email in ["owner@example.com", "ann@example.com", "other@example.com"] {
        let link = console.invites(&key, email).await.json()["link"].as_str().expect("a link").to_owned();
        assert_eq!(console.browser().post(&link, &[("password", THEIRS), ("again", THEIRS)]).await.status, StatusCode::SEE_OTHER);
    }
    issuer.vouches_for("owner", "Owner@Example.com", &json!({}));
    assert_eq!(
        console.browser().signs_in_by("them").await.status,
        StatusCode::FORBIDDEN,
        "they are led into a stranger's account"
    );
    assert_eq!(console.refusals().await, ["unknown_person"]);
    // Nor does it keep them from what is theirs: staff are made, and the owner of another account comes in there.
    issuer.vouches_for("ann", "ann@example.com", &json!({ "groups": ["ops"] }));
    let ann = console.browser();
    assert_eq!(ann.signs_in_by("corp").await.status, StatusCode::SEE_OTHER);
    assert!(ann.page("/console/").await.contains("ann@example.com · reader · staff"));
    issuer.vouches_for("other", "OTHER@example.com", &json!({}));
    let other = console.browser();
    assert_eq!(other.signs_in_by("them").await.status, StatusCode::SEE_OTHER);
    assert_eq!(other.get(&format!("/console/vms/{}", console.other.vm)).await.status, StatusCode::OK);
}

async fn one_form(console: ConsoleServer) {
    let key = console.inviter(&console.one.owner).await;
    let made = console.invites(&key, " New.Person@EXAMPLE.com ").await;
    assert_eq!(made.json()["email"], "new.person@example.com", "{made:?}");
    let replaced = console.invites(&key, "new.person@example.COM.").await;
    let link = replaced.json()["link"].as_str().expect("a link").to_owned();
    let first = made.json()["link"].as_str().expect("a link").to_owned();
    assert_eq!(console.browser().get(&first).await.status, StatusCode::NOT_FOUND, "another spelling is another invitation");
    assert_eq!(console.browser().post(&link, &[("password", THEIRS), ("again", THEIRS)]).await.status, StatusCode::SEE_OTHER);
    for typed in ["new.person@example.com", "New.Person@example.com", "NEW.PERSON@EXAMPLE.COM", " new.person@Example.com. "] {
        assert_eq!(console.browser().sign_in(typed, THEIRS).await.status, StatusCode::SEE_OTHER, "{typed:?}");
        let again = console.invites(&key, typed).await;
        assert_eq!((again.status, again.code().as_str()), (StatusCode::CONFLICT, "conflict"), "{typed:?}");
    }
    for typed in ["new", "a b@c", "a@b@c", "a\u{200b}@example.com", "a\0@example.com", "\"a\"@example.com"] {
        let refused = console.invites(&key, typed).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, "validation_failed"),
            "{typed:?}"
        );
        // A form with a NUL in it is not even read.
        let status = if typed.contains('\0') { StatusCode::BAD_REQUEST } else { StatusCode::UNAUTHORIZED };
        assert_eq!(console.browser().sign_in(typed, "wrong").await.status, status, "{typed:?}");
    }
    // The database itself keeps two people of one account apart.
    let user = &console.hire(&console.one.account, "owner").await.user;
    let vault = console.app.node().control.ports.reader.vault.database();
    let mut transaction = vault.begin().await.expect("a transaction");
    let sql = format!("update person set email = 'new.person@example.com' where id = '{user}'");
    let two = transaction.execute(&sql, Vec::new()).await.expect_err("one address of two people of an account");
    assert!(format!("{two:?}").to_lowercase().contains("unique"), "{two:?}");
    drop(transaction);
    // And takes nothing that is in no canonical form, or has nobody before the @.
    for (number, email) in
        ["Third@example.com", "@example.com", "third", "a@b@c", "a b@c", "third@Example.com"].iter().enumerate()
    {
        for table in ["person", "invited"] {
            let mut transaction = vault.begin().await.expect("a transaction");
            let person = "'usr_x', 'acc_x', 'customer', 'owner', 0, 'x', ";
            let invited = "'inv_x', 'hash', 'acc_x', 1, ";
            let sql = if table == "person" {
                format!("insert into person (id, account, side, role, proved, password, email) values ({person}'{email}')")
            } else {
                format!("insert into invited (id, hash, account, ends, email) values ({invited}'{email}')")
            };
            assert!(transaction.execute(&sql, Vec::new()).await.is_err(), "number {number} of {table}: {email}");
        }
    }
    // The locale of a database does not say who is who: these two differ by a byte, and neither is the other.
    let kelvin = "\u{212a}ay@example.com";
    let mut transaction = vault.begin().await.expect("a transaction");
    for (id, email) in [("usr_k", "kay@example.com"), ("usr_l", kelvin)] {
        let sql = format!(
            "insert into person (id, account, side, role, proved, password, email) \
             values ('{id}', 'acc_x', 'customer', 'owner', 1, 'x', '{email}')"
        );
        transaction.execute(&sql, Vec::new()).await.expect("another address");
    }
    drop(transaction);
    assert!(kelvin.parse::<forelog::core::email::EmailAddress>().is_err(), "and nobody writes it");
    assert_eq!(console.invites(&key, kelvin).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

async fn at_once(console: ConsoleServer) {
    let key = console.inviter(&console.one.owner).await;
    let link = console.invites(&key, "new@example.com").await.json()["link"].as_str().expect("a link").to_owned();
    let browsers: Vec<Browser> = (0..4).map(|_| console.browser()).collect();
    let fields = [("password", THEIRS), ("again", THEIRS)];
    let answers = futures::future::join_all(browsers.iter().map(|browser| browser.post(&link, &fields))).await;
    let joined = answers.iter().filter(|answer| answer.status == StatusCode::SEE_OTHER).count();
    assert_eq!(joined, 1, "{answers:?}");
    assert_eq!(console.browser().sign_in("new@example.com", THEIRS).await.status, StatusCode::SEE_OTHER, "nobody is there");
    let people = console.rest(&key, Method::GET, "/people", None).await.json();
    assert_eq!(people["items"].as_array().map(Vec::len), Some(2), "{people}");
}

on_both! {
    labels, console_a_vm_has_one_label_however_it_is_typed, postgres_console_a_vm_has_one_label_however_it_is_typed;
}

async fn labels(console: ConsoleServer) {
    // As macOS writes it, and with what slips in when it is pasted.
    let staff = console.signed_in(&console.staff).await;
    let desk_label = "Bu\u{308}ro  Web ";
    let ports = &console.app.node().control.ports;
    let state = ports.fence().state();
    assert_eq!(forelog::core::label::canonical(desk_label).as_deref(), Ok("Büro Web"));
    for wrong in ["", "  ", "a\u{200b}b", "a\0b", &"x".repeat(65)] {
        assert!(forelog::core::label::canonical(wrong).is_err(), "{wrong:?}");
    }
    assert!(staff.is_signed_in().await && state.vms.contains_key(&console.one.vm));
    for typed in ["one-web-1", " one-web-1 ", "one-web-1\n"] {
        let answer = console.call(&console.one.key, "vm_get", json!({ "vm_id": typed })).await;
        assert_eq!(answer.status, StatusCode::OK, "{typed:?}: {answer:?}");
        assert_eq!(answer.json()["vm_id"], json!(console.one.vm), "{answer:?}");
    }
    let other = console.call(&console.other.key, "vm_get", json!({ "vm_id": "one-web-1" })).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
}

#[test]
fn switch_targets_are_read_however_they_are_typed() {
    use forelog::core::switch::Target;
    for (typed, target) in [
        (" all\n", "all"),
        ("ALL", "all"),
        ("Class:EXEC", "class:exec"),
        ("tool: VM_Power ", "tool:vm_power"),
        ("Provider:Sim", "provider:sim"),
    ] {
        assert_eq!(typed.parse::<Target>().map(|target| target.to_string()).as_deref(), Ok(target), "{typed:?}");
    }
    for typed in ["", "al l", "class:", "tool:a b", "vm:x", "everything:x"] {
        assert!(typed.parse::<Target>().is_err(), "{typed:?}");
    }
}

/// What looks like another address is none, at each door; what is not seen is written out, and in no name.
#[tokio::test(flavor = "multi_thread")]
async fn console_an_address_has_nothing_in_it_that_is_not_seen_or_looks_like_another() {
    let console = ConsoleServer::open().await;
    let owner = console.signed_in(&console.one.owner).await;
    let key = console.key_with(&owner, &["people:write", "people:read"]).await;
    let unseen = ['\u{fe0f}', '\u{34f}', '\u{17b4}', '\u{2800}', '\u{200b}', '\u{3164}', '\u{e0101}', '\u{180e}', '\u{1d173}'];
    for c in unseen {
        for email in [format!("cus{c}tomer@example.com"), format!("customer{c}@example.com"), format!("customer@exa{c}mple.com")]
        {
            assert!(!console.invites(&key, &email).await.status.is_success(), "{email:?}");
        }
        let escaped = format!("a\\u{{{:x}}}b", u32::from(c));
        assert_eq!(forelog::core::visible::escape_hidden(&format!("a{c}b")), escaped);
        let named = owner.submit("/console/keys", &[("label", &*format!("lap{c}top")), ("scope", "vms:read")]).await;
        assert!(!named.text.contains(c) && !owner.page("/console/keys").await.contains(c), "{c:?} is on the page as it is");
    }
    // Cyrillic a in a Latin word, a word of Cyrillic letters that Latin has too, Greek omicron, Latin alpha, Cherokee.
    for email in ["\u{430}nn", "\u{430}\u{440}\u{435}", "b\u{3bf}b", "\u{251}nn", "\u{13aa}\u{13ab}"] {
        assert!(!console.invites(&key, &format!("{email}@example.com")).await.status.is_success(), "{email}");
    }
    for email in ["jörg", "анна", "søren", "太郎", "o'neil+x", "müller-lüdenscheidt"] {
        let invited = console.invites(&key, &format!("{email}@example.com")).await;
        assert_eq!(invited.status, StatusCode::CREATED, "{email}: {invited:?}");
    }
}
