//! What every page is: small, safe to look at, and whole without a script.

use std::path::Path;

use reqwest::StatusCode;
use serde_json::json;

use super::{ConsoleServer, between, older};
use crate::harness::Answer;

/// HTML, style sheet and script of a page together.
const BUDGET: usize = 120 * 1024;

fn check_headers(path: &str, answer: &Answer) {
    let policy = answer.header("content-security-policy");
    for part in ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"] {
        assert!(policy.contains(part), "{path}: {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{path}: {policy}");
    let expected = [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    for (name, value) in expected {
        assert_eq!(answer.header(name), value, "{path}: {name}");
    }
    let kept = answer.header("cache-control");
    let is_asset = path.starts_with("/console/assets/") && answer.status == StatusCode::OK;
    assert_eq!(kept == "no-store", !is_asset, "{path}: {kept:?}");
    assert!(answer.header("server-timing").starts_with("page;dur="), "{path}: how long it took is not said");
}

/// Every page that a customer has.
async fn pages(console: &ConsoleServer) -> Vec<String> {
    console.call(&console.one.key, "vm_exec", json!({ "vm_id": console.one.vm, "command": "uptime" })).await;
    let listed = console.signed_in(&console.one.owner).await.page("/console/activity").await;
    let call = between(&listed, "/console/calls/", "\"").to_owned();
    let vm = &console.one.vm;
    let key = between(&listed, "<option value=\"key_", "\"");
    let fixed = ["/console/", "/console/activity", "/console/events", "/console/keys", "/console/account", "/console/connect"];
    let mut pages: Vec<String> = fixed.map(str::to_owned).to_vec();
    pages.extend([format!("/console/calls/{call}"), format!("/console/vms/{vm}"), format!("/console/keys/key_{key}/connected")]);
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn console_every_answer_has_the_headers_that_keep_it_to_itself() {
    let console = ConsoleServer::open().await;
    let (browser, stranger) = (console.signed_in(&console.one.owner).await, console.browser());
    for path in pages(&console).await {
        check_headers(&path, &browser.get(&path).await);
        check_headers(&path, &stranger.get(&path).await);
    }
    let others = [
        "/console/sign-in",
        "/console/nowhere",
        "/console/calls/nonsense",
        "/console/assets/console.css",
        "/console/assets/htmx.js",
        "/console/assets/none.js",
        "/console/exports",
        "/console/exports/nonsense",
        "/console/exports/nonsense/file",
        "/console/sign-out",
    ];
    for path in others {
        check_headers(path, &browser.get(path).await);
    }
    check_headers("a wrong password", &stranger.sign_in("one@example.com", "wrong").await);
    check_headers("a form without a token", &browser.post("/console/keys", &[]).await);
    check_headers("signing in", &browser.sign_in("one@example.com", &console.one.owner.password).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_page_with_everything_it_loads_is_small() {
    let console = ConsoleServer::open().await;
    for _ in 0..60 {
        console.call(&console.one.key, "vm_get", json!({ "vm_id": console.one.vm })).await;
    }
    let browser = console.signed_in(&console.one.owner).await;
    let mut shared = 0;
    for asset in ["console.css", "console.js", "htmx.js"] {
        shared += browser.page(&format!("/console/assets/{asset}")).await.len();
    }
    for path in pages(&console).await {
        let page = browser.page(&path).await;
        assert!(page.len() + shared < BUDGET, "{path}: {} + {shared} bytes", page.len());
        let loads = page.matches(" src=").count() + page.matches("<link ").count();
        assert_eq!(loads, 4, "{path} loads something else");
        assert!(!page.contains("http://") || path.contains("/connect") || path.contains("/keys"), "{path} names another place");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn console_every_form_works_without_a_script_and_carries_its_token() {
    let console = ConsoleServer::open().await;
    let browser = console.signed_in(&console.one.owner).await;
    let token = browser.form_token().await;
    let mut forms = 0;
    for path in pages(&console).await {
        let page = browser.page(&path).await;
        for form in page.split("<form ").skip(1) {
            let (tag, rest) = form.split_once('>').expect("a tag");
            let body = rest.split_once("</form>").expect("an end").0;
            assert!(tag.contains("action=\"/console/"), "{path}: {tag}");
            assert!(body.contains("<button"), "{path}: nothing sends {tag}");
            let needs = tag.contains("method=\"post\"") && !tag.contains("/console/theme") && !tag.contains("/console/zone");
            assert_eq!(body.contains(&format!("name=\"form_token\" value=\"{token}\"")), needs, "{path}: {tag}");
            forms += 1;
        }
        // What a script would do is done by a link or a form in the same place.
        for part in page.split("hx-get=\"").skip(1) {
            let to = part.split_once('"').expect("an address").0;
            assert!(page.contains(&format!("href=\"{to}\"")), "{path}: only a script reaches {to}");
        }
        let quiet = page.to_lowercase();
        for inline in [" onclick", " onload", " onerror", " onsubmit", " style=", "<style", "javascript:", "hx-on"] {
            assert!(!quiet.contains(inline), "{path}: {inline}");
        }
        assert_eq!(quiet.matches("<script").count(), 2, "{path}");
        assert!(quiet.contains("<html lang=\"en\"") && quiet.contains("<h1>") && quiet.contains("href=\"#main\""), "{path}");
    }
    assert!(forms > 15, "only {forms} forms were found");
}

#[test]
fn console_no_template_trusts_a_text() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("admin-ui/templates")];
    let mut templates = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(folder).expect("the templates").map(|entry| entry.expect("an entry").path());
        let (inside, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
        folders.extend(inside);
        templates.extend(files);
    }
    assert!(templates.len() > 30, "the templates were not found");
    for path in templates {
        let text: String = std::fs::read_to_string(&path).expect("a text").split_whitespace().collect();
        for trusted in ["|safe", "|escape(\"none", "escape=\"none\"", "|linebreaks", "autoescape"] {
            assert!(!text.contains(trusted), "{}: {trusted}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn console_what_callers_write_is_shown_and_does_nothing() {
    let console = ConsoleServer::open().await;
    let (vm, key) = (&console.one.vm, &console.one.key);
    let browser = console.signed_in(&console.one.owner).await;
    browser.submit(&format!("/console/vms/{vm}/exec"), &[("enabled", "true"), ("agreed", "yes")]).await;
    let hostile = "echo '<script>alert(1)</script>\" onmouseover=x' \u{202e}txt.exe\u{200b}\u{7}";
    let ran = console.call(key, "vm_exec", json!({ "vm_id": vm, "command": hostile })).await;
    assert_eq!(ran.status, StatusCode::OK, "{ran:?}");
    console.call(key, "vm_power", json!({ "vm_id": vm, "action": "<img src=x onerror=alert(1)>" })).await;
    console.call(key, "<b>tool</b>", json!({})).await;
    let listed = browser.page("/console/activity?tool=vm_exec").await;
    let call = browser.page(&format!("/console/calls/{}", between(&listed, "/console/calls/", "\""))).await;
    let echo = "/console/activity?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&tool=%22onfocus%3Dalert(1)";
    for page in [&listed, &call, &browser.page("/console/").await, &browser.page(echo).await] {
        assert!(!page.contains("<script>alert") && !page.contains("<img ") && !page.contains("<b>tool"), "{page}");
        assert!(!page.contains("\" onmouseover") && !page.contains("\"onfocus"), "{page}");
        assert!(!page.contains(['\u{202e}', '\u{200b}', '\u{7}']), "{page}");
    }
    assert!(call.contains("&lt;script&gt;") || call.contains("&#60;script&#62;"), "{call}");
    assert!(call.contains("\\u{202e}") && call.contains("\\u{200b}"), "{call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_an_export_holds_all_no_formula_and_is_the_same_file_again() {
    let console = ConsoleServer::open().await;
    let (vm, key) = (&console.one.vm, &console.one.key);
    for _ in 0..210 {
        console.call(key, "vm_get", json!({ "vm_id": vm })).await;
    }
    for text in ["=HYPERLINK(1)", "+1", "-1", "@x", "\t=1"] {
        console.call(key, text, json!({})).await;
    }
    let browser = console.signed_in(&console.one.owner).await;
    let made = browser.submit("/console/exports", &[("q", ""), ("form", "csv")]).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{made:?}");
    let place = made.header("location").to_owned();
    let page = browser.page(&place).await;
    let table = browser.get(&format!("{place}/file")).await;
    let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(table.text.as_bytes()));
    assert!(page.contains(&sha256) && page.contains("215 calls") && page.contains("sha256sum --check"), "{page}");
    assert!(table.header("content-disposition").starts_with("attachment"), "{:?}", table.headers);
    assert!(table.header("repr-digest").starts_with("sha-256=:"), "{:?}", table.headers);
    let mut reader = csv::Reader::from_reader(table.text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), 215, "two pages are joined");
    let dangerous = |cell: &str| cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    assert!(rows.iter().all(|row| !row.iter().any(dangerous)), "{}", table.text);
    // Later calls are not in it, and whoever of the account downloads it gets the same bytes.
    console.call(key, "vm_get", json!({ "vm_id": vm })).await;
    assert_eq!(browser.page(&format!("{place}/file")).await, table.text);
    let narrowed = browser.submit("/console/exports", &[("q", "tool:vm_get"), ("form", "jsonl")]).await;
    let lines = browser.page(&format!("{}/file", narrowed.header("location"))).await;
    let calls: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(calls.len(), 211);
    assert!(calls.iter().all(|call| call["tool"] == "vm_get" && call["at"].as_str().is_some_and(|at| at.ends_with('Z'))));
    let list = browser.page("/console/exports").await;
    assert!(list.contains(&place) && list.contains(narrowed.header("location")), "{list}");
    for (who, status) in [(&console.other.owner, StatusCode::NOT_FOUND), (&console.staff, StatusCode::NOT_FOUND)] {
        let other = console.signed_in(who).await;
        assert_eq!(other.get(&place).await.status, status);
        assert_eq!(other.get(&format!("{place}/file")).await.status, status);
    }
    console.clock.pass(std::time::Duration::from_hours(7 * 24 + 1));
    let later = console.signed_in(&console.one.owner).await;
    assert!(later.page(&place).await.contains("no longer available"));
    assert_eq!(later.get(&format!("{place}/file")).await.status, StatusCode::NOT_FOUND, "it can be downloaded for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_older_pages_do_not_shift_when_something_happens() {
    let console = ConsoleServer::open().await;
    let key = &console.one.key;
    for _ in 0..70 {
        console.call(key, "vm_get", json!({ "vm_id": console.one.vm })).await;
    }
    let browser = console.signed_in(&console.one.owner).await;
    let ids = |page: &str| -> Vec<String> {
        page.split("/console/calls/").skip(1).map(|rest| rest.split('"').next().unwrap_or_default().to_owned()).collect()
    };
    let first = browser.page("/console/activity?tool=vm_get").await;
    let older = older(&first);
    for _ in 0..10 {
        console.call(key, "vm_get", json!({ "vm_id": console.one.vm })).await;
    }
    let second = browser.page(&older).await;
    let (first, second) = (ids(&first), ids(&second));
    assert_eq!((first.len(), second.len()), (50, 20));
    assert!(second.iter().all(|id| !first.contains(id)));
    let wrong = browser.page("/console/activity?from=yesterday").await;
    assert!(wrong.contains("role=\"alert\"") && wrong.contains("from"), "a filter that cannot be read is not said");
    let unknown = browser.page("/console/activity?tool=vm_nothing").await;
    assert!(unknown.contains("role=\"alert\"") && unknown.contains("tool"), "a tool that does not exist is not said");
    let none = browser.page("/console/activity?tool=vm_power").await;
    assert!(none.contains("No call fits these filters"), "an empty page does not say why");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_zone_is_chosen_by_a_form_and_times_say_which_they_are_in() {
    let console = ConsoleServer::open().await;
    let browser = console.signed_in(&console.one.owner).await;
    let paths = pages(&console).await;
    let before = browser.page("/console/activity").await;
    assert!(before.contains("data-zone=\"utc\"") && before.contains("Time (<span class=\"zone\">UTC</span>)"), "{before}");
    let chosen = browser.post("/console/zone", &[("zone", "local"), ("next", "/console/activity")]).await;
    assert_eq!((chosen.status, chosen.header("location")), (StatusCode::SEE_OTHER, "/console/activity"));
    for path in paths {
        let page = browser.page(&path).await;
        assert!(page.contains("data-zone=\"local\"") && page.contains("action=\"/console/zone\""), "{path}");
        // The server itself knows UTC alone, and says so: at the time, or in the head of its table.
        for (at, _) in page.match_indices("<time datetime=\"") {
            let (before, time) = page.split_at(at);
            let (iso, rest) = time["<time datetime=\"".len()..].split_once('"').expect("an instant");
            let shown = rest.split_once("</time>").expect("a time").0;
            let table = before.rfind("<table").map_or("", |table| &before[table..]);
            let is_in_a_column = !table.contains("</table>") && table.contains("(<span class=\"zone\">UTC</span>)");
            let is_said = shown.contains(&format!("title=\"{iso}\"")) || shown.contains(" UTC");
            assert!(iso.ends_with('Z') && (is_said || is_in_a_column), "{path}: {iso} {shown}");
        }
    }
    browser.post("/console/zone", &[("zone", "\"><script>")]).await;
    assert!(browser.page("/console/account").await.contains("data-zone=\"utc\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn console_a_theme_is_chosen_by_a_form() {
    let console = ConsoleServer::open().await;
    let browser = console.browser();
    assert!(browser.page("/console/sign-in").await.contains("data-theme=\"auto\""));
    let chosen = browser.post("/console/theme", &[("theme", "dark"), ("next", "//evil.example")]).await;
    assert_eq!((chosen.status, chosen.header("location")), (StatusCode::SEE_OTHER, "/console/"));
    assert!(browser.page("/console/sign-in").await.contains("data-theme=\"dark\""));
    assert!(browser.get("/console/nowhere").await.text.contains("data-theme=\"dark\""), "what goes wrong is shown otherwise");
    browser.post("/console/theme", &[("theme", "\"><script>")]).await;
    assert!(browser.page("/console/sign-in").await.contains("data-theme=\"auto\""));
}
