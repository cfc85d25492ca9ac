//! What lists tell of a call: the command with how it ended, to who may read it and to nobody else, and that it is found by its words.

use forelog::app::registry::KeySpec;
use forelog::core::id::AccountId;
use forelog::core::scope::Scope;
use forelog::log::dialect::Room;
use forelog::log::sqlite::open_sqlite;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{ConsoleServer, between};

super::on_both! {
    told_to_who_may_read, acts_are_told_to_who_may_read_the_call_and_found_by_them, postgres_acts_are_told_to_who_may_read_the_call_and_found_by_them;
    gone_with_their_key, acts_are_neither_told_nor_found_once_their_key_is_erased, postgres_acts_are_neither_told_nor_found_once_their_key_is_erased;
    digests_are_no_words, acts_are_found_by_no_digest_that_is_typed, postgres_acts_are_found_by_no_digest_that_is_typed;
}

/// Lets commands run on a customer's VM.
async fn commands_on(console: &ConsoleServer, vm: &str, key: &str) {
    let owner = console.signed_in(if key == console.one.key { &console.one.owner } else { &console.other.owner }).await;
    owner.submit(&format!("/console/vms/{vm}/exec"), &[("enabled", "true"), ("agreed", "yes")]).await;
}

async fn run(console: &ConsoleServer, key: &str, vm: &str, command: &str) {
    let ran = console.call(key, "vm_exec", json!({ "vm_id": vm, "command": command })).await;
    assert_eq!(ran.status, StatusCode::OK, "{ran:?}");
}

/// How many calls a key finds by these words.
async fn found(console: &ConsoleServer, key: &str, q: &str) -> usize {
    let path = reqwest::Url::parse_with_params("http://x/api/v1/calls", [("q", q)]).expect("an address");
    let answer = console.read(key, &format!("{}?{}", path.path(), path.query().unwrap_or_default())).await;
    answer.json()["items"].as_array().map_or(0, Vec::len)
}

async fn told_to_who_may_read(console: ConsoleServer) {
    let (one, other) = (&console.one, &console.other);
    for customer in [one, other] {
        commands_on(&console, customer.vm.as_str(), &customer.key).await;
    }
    run(&console, &one.key, one.vm.as_str(), "echo Marsupial restart; exit 3").await;
    run(&console, &other.key, other.vm.as_str(), "echo ocelot").await;
    console.call(&one.key, "vm_power", json!({ "vm_id": one.vm, "action": "reboot", "confirm": true })).await;

    let owner = console.signed_in(&one.owner).await;
    for page in ["/console/", "/console/activity", "/console/activity?q=marsupial", &format!("/console/vms/{}", one.vm)] {
        let page = owner.page(page).await;
        assert!(page.contains("echo Marsupial restart; exit 3</code>") && page.contains("Ran, exit 3"), "{page}");
        assert!(!page.contains("ocelot"), "{page}");
    }
    let page = owner.page("/console/activity?tool=vm_power").await;
    assert!(page.contains("<span class=\"text\">reboot</span>"), "{page}");
    for (key, q, count) in [
        (&one.key, "marsupial", 1),
        (&one.key, "RESTART echo", 1),
        (&one.key, "marsupial tool:vm_exec last:1h", 1),
        (&one.key, "tool:vm_exec -marsupial", 0),
        (&one.key, "tool:vm_exec -ocelot", 1),
        (&one.key, "marsupial absent", 0),
        (&one.key, &format!("tool:vm_exec -{}", "数".repeat(65)), 1),
        (&one.key, "ocelot", 0),
        (&other.key, "marsupial", 0),
        (&other.key, "ocelot", 1),
    ] {
        assert_eq!(found(&console, key, q).await, count, "{q}");
    }
    let counted = console.read(&one.key, "/api/v1/calls/histogram?q=marsupial").await.json();
    assert_eq!(counted["counted"], 1, "{counted}");

    // A key that may read the account's log finds what it may open; one that may not finds its own calls alone.
    let reader = KeySpec { scopes: [Scope::AuditRead].into_iter().collect(), ..KeySpec::full(one.account.clone(), "reader") };
    let blind = KeySpec { scopes: [Scope::VmsRead].into_iter().collect(), ..KeySpec::full(one.account.clone(), "blind") };
    let (reader, blind) = (console.key_of(reader).await, console.key_of(blind).await);
    assert_eq!((found(&console, &reader, "marsupial").await, found(&console, &blind, "marsupial").await), (1, 0));

    // Staff find and are shown no more than what is public until they have said why, whatever they ask.
    let staff = console.signed_in(&console.staff).await;
    let line = |q: &str| {
        let url =
            reqwest::Url::parse_with_params("http://x/", [("q", format!("account:{} {q}", one.account))]).expect("an address");
        format!("/console/search?{}", url.query().expect("a query"))
    };
    let silent = staff.page(&line("tool:vm_exec")).await;
    assert!(silent.contains("/console/calls/call_") && !silent.contains("Marsupial"), "{silent}");
    assert!(staff.page(&line("marsupial")).await.contains("No call fits this line"));
    let staff = console.investigator().await;
    let told = staff.page(&line("marsupial")).await;
    assert!(told.contains("echo Marsupial restart; exit 3</code>") && told.contains("Ran, exit 3"), "{told}");
    let key = console.key_of_staff().await;
    let asked = |reason: &str| format!("/api/v1/calls?account={}&q=marsupial{reason}", one.account);
    let items = async |path: String| console.read(&key, &path).await.json()["items"].as_array().map(Vec::len);
    assert_eq!((items(asked("")).await, items(asked("&reason=incident")).await), (Some(0), Some(1)));
    // Of several accounts at once nothing is found by what a command says.
    assert_eq!(items("/api/v1/calls?q=marsupial&reason=incident".into()).await, Some(0));
}

/// The digests that a word of a command of this account has.
async fn digests(console: &ConsoleServer, account: &AccountId, word: &str) -> Vec<String> {
    let ports = &console.app.node().control.ports;
    let (vault, mut found) = (&ports.reader.vault, Vec::new());
    for key in vault.month_keys(account, None, ports.clock.now()).await.expect("the keys") {
        found.extend(vault.word_digests(&key, account, &[word.to_owned()]).await.expect("a digest"));
    }
    found
}

/// Whoever types a digest, or its beginning, is told nothing by it: neither with the account nor without, neither found nor left out.
async fn digests_are_no_words(console: ConsoleServer) {
    let (one, staff) = (&console.one, console.key_of_staff().await);
    commands_on(&console, one.vm.as_str(), &one.key).await;
    run(&console, &one.key, one.vm.as_str(), "echo marsupial").await;
    let [marked] = &digests(&console, &one.account, "marsupial").await[..] else { panic!("one month has one digest") };
    let digest = marked.trim_start_matches('·');
    let own = format!("account:{}", one.account);
    let mut typed: Vec<String> = (3..digest.len()).map(|end| format!("{}*", &digest[..end])).collect();
    typed.extend([digest.to_owned(), marked.clone(), format!("{marked}*"), format!("\"{marked}\"")]);
    let check = async || {
        for line in &typed {
            assert_eq!(found(&console, &one.key, line).await, 0, "{line}");
            assert_eq!(found(&console, &staff, line).await, 0, "{line} over all");
            assert_eq!(found(&console, &staff, &format!("{own} {line}")).await, 0, "{line} of one account");
        }
        for line in typed.iter().take(digest.len() - 2) {
            assert_eq!(found(&console, &one.key, &format!("tool:vm_exec -{line}")).await, 1, "-{line}");
            assert_eq!(found(&console, &staff, &format!("{own} tool:vm_exec -{line}")).await, 1, "-{line} of one account");
        }
        // Nor does a beginning run into the words of accounts.
        assert_eq!((found(&console, &staff, "acc*").await, found(&console, &staff, "vm_ex*").await), (0, 2));
    };
    check().await;
    erase(&console, &one.account).await;
    assert_eq!(found(&console, &one.key, "marsupial").await, 0);
    check().await;
}

/// Erases the keys that an account's content lies under.
async fn erase(console: &ConsoleServer, account: &AccountId) {
    let vault = &console.app.node().control.ports.reader.vault;
    let mut transaction = vault.database().begin().await.expect("a transaction");
    let erase = "delete from data_key where id like $1";
    assert!(transaction.execute(erase, vec![format!("{account}/2%").into()]).await.expect(erase) > 0);
    transaction.commit().await.expect("a commit");
}

/// What erases the key of a month: neither a page, nor a search, nor views that are made again say a word of it.
async fn gone_with_their_key(console: ConsoleServer) {
    let one = &console.one;
    commands_on(&console, one.vm.as_str(), &one.key).await;
    run(&console, &one.key, one.vm.as_str(), "echo marsupial").await;
    assert_eq!(found(&console, &one.key, "marsupial").await, 1);
    erase(&console, &one.account).await;
    // The digests still lie in the views, and nobody can make the one that is looked for.
    assert_eq!(found(&console, &one.key, "marsupial").await, 0);
    let beside = console.beside().await;
    let base = format!("http://{}", beside.address());
    let browser = super::Browser::at(&base);
    browser.sign_in(&one.owner.email, &one.owner.password).await;
    let page = browser.page("/console/activity?tool=vm_exec").await;
    assert!(page.contains("/console/calls/call_") && !page.contains("marsupial"), "{page}");
    beside.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_of_secrets_are_blanked_in_lists_and_found_by_nothing() {
    let console = ConsoleServer::open().await;
    let one = &console.one;
    commands_on(&console, one.vm.as_str(), &one.key).await;
    let token = "ghp_1234567890abcdefghijklmnopqrstuvwxyzAB";
    run(&console, &one.key, one.vm.as_str(), &format!("curl -H 'authorization: Bearer {token}' localhost")).await;
    let page = console.signed_in(&one.owner).await.page("/console/activity?q=curl").await;
    assert!(page.contains("curl -H") && !page.contains(&token[..12]), "{page}");
    assert_eq!(found(&console, &one.key, token).await, 0);
    // Arguments that no tool lists are never told.
    console.call(&one.key, "vm_exec", json!({ "vm_id": one.vm, "command": "true", "cwd": "/marsupial" })).await;
    let page = console.signed_in(&one.owner).await.page("/console/activity?tool=vm_exec&who=all").await;
    assert!(!page.contains("marsupial"), "{page}");
    assert_eq!(found(&console, &one.key, "marsupial").await, 0);
}

/// The views hold no word of a command, and what is forged there is told to nobody.
#[tokio::test(flavor = "multi_thread")]
async fn acts_lie_in_no_view_and_forged_rows_tell_nothing() {
    let console = ConsoleServer::open().await;
    let (one, other) = (&console.one, &console.other);
    commands_on(&console, one.vm.as_str(), &one.key).await;
    commands_on(&console, other.vm.as_str(), &other.key).await;
    run(&console, &one.key, one.vm.as_str(), "echo marsupial").await;
    assert_eq!(found(&console, &one.key, "marsupial").await, 1);
    let file = std::fs::read(console.dir.path().join("views.db")).expect("the views");
    let wal = std::fs::read(console.dir.path().join("views.db-wal")).unwrap_or_default();
    let text = String::from_utf8_lossy(&[file, wal].concat()).to_lowercase();
    assert!(text.contains("vm_exec") && !text.contains("marsupial"), "a command lies in the views");
    // The row of one is given to the other, digests and all.
    let views = open_sqlite(&console.dir.path().join("views.db"), Room::Views).await.expect("the views");
    let mut transaction = views.begin().await.expect("a transaction");
    let forge = "update call set account = $1, credential = (select credential from call where account = $1 limit 1) where tool = 'vm_exec'";
    transaction.execute(forge, vec![other.account.as_str().into()]).await.expect(forge);
    transaction.commit().await.expect("a commit");
    let page = console.signed_in(&other.owner).await.page("/console/activity?tool=vm_exec").await;
    assert!(!page.contains("marsupial"), "{page}");
}

/// Looking at pages is recorded, and is not what lists show first.
#[tokio::test(flavor = "multi_thread")]
async fn acts_of_agents_are_listed_first_and_looking_at_pages_is_not() {
    let console = ConsoleServer::open().await;
    let one = &console.one;
    console.call(&one.key, "vm_get", json!({ "vm_id": one.vm })).await;
    let owner = console.signed_in(&one.owner).await;
    for page in ["/console/people", "/console/approvals", "/console/"] {
        owner.page(page).await;
    }
    owner.submit("/console/keys", &[("label", "laptop"), ("scopes", "vms:read")]).await;
    let listed = async |query: &str| {
        let page = owner.page(&format!("/console/activity{query}")).await;
        let rows = page.split("<td class=\"tool\"><code>").skip(1);
        rows.map(|row| row.split_once('<').expect("a tag").0.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed("").await, ["vm_get"]);
    assert_eq!(listed("?who=agents").await, ["vm_get"]);
    let people = listed("?who=people").await;
    assert!(people.contains(&"key_create".to_owned()) && !people.contains(&"person_list".to_owned()), "{people:?}");
    let looked = listed("?who=console").await;
    assert!(looked.contains(&"person_list".to_owned()) && !looked.contains(&"vm_get".to_owned()), "{looked:?}");
    let all = listed("?who=all").await;
    assert!(all.len() > looked.len() && all.contains(&"vm_get".to_owned()), "{all:?}");
    assert_eq!(listed("?tool=person_list").await, ["person_list"], "what is asked for by name is shown");
    let page = owner.page("/console/").await;
    assert!(page.contains("<code>vm_get</code>") && !page.contains("<code>person_list</code>"), "{page}");
    assert!(owner.page("/console/activity").await.contains("aria-current=\"true\">Agents</a>"));

    let staff = console.investigator().await;
    let usual = staff.page("/console/search").await;
    assert!(usual.contains("value=\"-via:console last:24h\"") && !usual.contains("<code>person_list</code>"), "{usual}");
    let everyone = between(&usual, "aria-label=\"Whose calls\"", "</nav>").rsplit_once("href=\"").expect("a chip").1;
    let everyone = everyone.split_once('"').expect("an address").0.replace("&#38;", "&");
    assert!(staff.page(&everyone).await.contains("<code>person_list</code>"), "{everyone}");
}

/// Today, yesterday: by one press, and only what happened then.
#[tokio::test(flavor = "multi_thread")]
async fn acts_of_yesterday_are_one_press_away() {
    let console = ConsoleServer::open().await;
    let one = &console.one;
    console.call(&one.key, "vm_get", json!({ "vm_id": one.vm })).await;
    console.clock.pass(std::time::Duration::from_hours(24));
    console.call(&one.key, "vm_list", json!({})).await;
    let owner = console.signed_in(&one.owner).await;
    for page in ["/console/activity?who=agents", "/console/events?type=signed_in"] {
        let page = owner.page(page).await;
        assert!(page.contains(">Today</a>") && page.contains(">Yesterday</a>") && page.contains(">7 days</a>"), "{page}");
    }
    let day = |text: &str, page: &str| {
        let link = page.split_once(&format!(">{text}</a>")).expect(text).0.rsplit_once("href=\"").expect("a link").1;
        link.split_once('"').expect("an address").0.replace("&#38;", "&")
    };
    let page = owner.page("/console/activity?who=agents").await;
    let yesterday = owner.page(&day("Yesterday", &page)).await;
    assert!(yesterday.contains("<code>vm_get</code>") && !yesterday.contains("<code>vm_list</code>"), "{yesterday}");
    let today = owner.page(&day("Today", &page)).await;
    assert!(!today.contains("<code>vm_get</code>") && today.contains("<code>vm_list</code>"), "{today}");
    let events = owner.page("/console/events").await;
    assert!(owner.page(&day("Today", &events)).await.contains("one@example.com signed in"));
    let before = owner.page(&day("Yesterday", &events)).await;
    assert!(!before.contains("one@example.com signed in"), "{before}");
    let wrong = console.read(&one.key, "/api/v1/events?from=soon").await;
    assert!(wrong.status.is_client_error() && wrong.text.contains("from"), "{wrong:?}");
    let none: Value = console.read(&one.key, "/api/v1/events?to=1971-01-01").await.json();
    assert_eq!(none["items"], json!([]));
}

/// What a tool has no words of its own for is told by its title, and by what the thing is called that it is about.
#[tokio::test(flavor = "multi_thread")]
async fn console_acts_without_words_are_told_by_title_and_name() {
    let console = ConsoleServer::open().await;
    let owner = console.signed_in(&console.one.owner).await;
    owner.submit("/console/keys", &[("label", "laptop"), ("preset", "read"), ("days", "30")]).await;
    let listed = owner.page("/console/keys").await;
    let own = listed.split("<tr>").find(|row| row.contains("laptop")).expect("the key");
    owner.submit(super::between(own, "class=\"button ends\" href=\"", "\""), &[]).await;
    let page = console.shows(&owner, "/console/activity?tool=key_revoke", "Revoke a key: laptop</span>").await;
    assert!(!page.contains("id=key_"), "{page}");
}
