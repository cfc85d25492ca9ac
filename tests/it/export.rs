//! Bundles: what is in them, what is not, and that a changed one is found out.

use std::path::Path;

use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::event::Event;
use forelog::core::id::{AccountId, Position};
use forelog::core::visibility::Visibility;
use forelog::export::bundle::ExportError;
use forelog::export::filter::Filter;
use forelog::export::jsonl::export;
use forelog::export::manifest::Manifest;
use forelog::log::dialect::Room;
use forelog::log::store::Store;
use forelog::tools::{Activity, AdministrationQuery};
use forelog::views::Views;
use forelog::views::activity::Calls;
use serde_json::Value;
use sha2::Digest;

use crate::fixtures::{account, credential, vm};
use crate::kinds::one_of_each;
use crate::sample_log::{Ask, LIST, POWER, SampleLog};

/// Writes a line in another way.
type Reword = Box<dyn Fn(String) -> String>;

/// A name, and another way to write a line.
type Dress = (&'static str, fn(String) -> String);

async fn written() -> SampleLog {
    let sample = SampleLog::sqlite().await;
    for n in [1, 2, 1] {
        let ask = Ask { vm: Some(n), text: "action=reboot", ip: Some("192.0.2.7"), ..Ask::by(n, &POWER) };
        sample.finish(ask, Status::Succeeded, None).await;
        sample.finish(Ask::by(n, &LIST), Status::Failed, Some(Code::UpstreamError)).await;
    }
    sample
}

async fn bundle(sample: &SampleLog, filter: Filter, with_parts: bool) -> (tempfile::TempDir, Manifest, Vec<Value>) {
    let dir = tempfile::tempdir().expect("a directory");
    let manifest = export(&sample.reader, filter, with_parts, dir.path(), |_, _| ()).await.expect("an export");
    assert_eq!(Manifest::check(dir.path()).expect("a whole bundle"), manifest);
    let text = std::fs::read_to_string(dir.path().join("events.jsonl")).expect("the lines");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
    assert_eq!(manifest.count, lines.len() as u64);
    (dir, manifest, lines)
}

fn leaf(line: &Value) -> Value {
    serde_json::from_str(line["leaf"].as_str().expect("a leaf")).expect("JSON")
}

#[tokio::test]
async fn export_holds_the_whole_log_byte_for_byte() {
    let sample = written().await;
    let (_dir, manifest, lines) = bundle(&sample, Filter::default(), true).await;
    let head = sample.store.head().await.expect("the head");
    let rows = sample.store.events(Position(0), 1000).await.expect("the log");
    assert_eq!((manifest.head.position, manifest.count), (head.position.0, rows.len() as u64));
    assert_eq!((manifest.first, manifest.last), (Some(Position(1)), Some(head.position)));
    for (row, line) in rows.iter().zip(&lines) {
        assert_eq!(line["leaf"].as_str().expect("a leaf").as_bytes(), row.leaf);
    }
    let intent = lines.iter().find(|line| leaf(line)["type"] == "intent_recorded").expect("an intent");
    assert_eq!(intent["parts"]["arguments"]["text"], "action=reboot");
    assert_eq!(intent["parts"]["subject"]["ip"], "192.0.2.7");
    let (_dir, _, bare) = bundle(&sample, Filter::default(), false).await;
    assert!(bare.iter().all(|line| line.get("parts").is_none()));
}

/// P9: an account's export says nothing of another's.
#[tokio::test]
async fn export_of_an_account_holds_no_other() {
    let sample = written().await;
    let (_dir, _, lines) = bundle(&sample, Filter { account: Some(account(1)), ..Filter::default() }, true).await;
    let types: Vec<String> = lines.iter().map(|line| leaf(line)["type"].as_str().expect("a type").to_owned()).collect();
    let power = ["intent_recorded", "admitted", "started", "succeeded"];
    let list = ["intent_recorded", "admitted", "failed"];
    let expected = [["account_created", "credential_created", "vm_imported"].as_slice(), &power, &list, &power, &list].concat();
    assert_eq!(types, expected);
    for line in &lines {
        let text = line.to_string();
        let others: [String; 3] = [account(2).to_string(), credential(2).to_string(), vm(2).to_string()];
        assert!(others.iter().all(|other| !text.contains(other)), "{text}");
    }
    let nobody: AccountId = account(9);
    let (_dir, manifest, _) = bundle(&sample, Filter { account: Some(nobody), ..Filter::default() }, false).await;
    assert_eq!((manifest.count, manifest.first, manifest.last), (0, None, None));
}

/// What customers see of their account beside its calls is in its export, too; only that somebody read it is told later.
#[tokio::test]
async fn export_of_an_account_has_what_its_events_show() {
    let sample = written().await;
    for kind in one_of_each().into_iter().filter(|kind| kind.call().is_none()) {
        sample.change(1, kind, Value::Null).await;
    }
    let views = Views::open(sample.room("views", Room::Views).await, sample.reader.clone()).await.expect("the views");
    let visibility = Visibility::Account(account(1));
    let query = AdministrationQuery { visibility, limit: 200, reads_until: None, ..AdministrationQuery::default() };
    let shown = Activity::administration(&Calls::new(views), query).await.expect("events");
    let mut seen: Vec<i64> = shown.items.iter().filter(|item| item.kind != "log_read").map(|item| item.position.0).collect();
    seen.sort_unstable();
    let (_dir, _, lines) = bundle(&sample, Filter { account: Some(account(1)), ..Filter::default() }, false).await;
    let beside = |line: &&Value| {
        let event = Event::decode(line["leaf"].as_str().expect("a leaf").as_bytes()).expect("an event");
        event.kind.call().is_none()
    };
    let exported: Vec<i64> = lines.iter().filter(beside).filter_map(|line| line["position"].as_i64()).collect();
    assert_eq!(exported, seen);
    let types: Vec<Value> = lines.iter().map(|line| leaf(line)["type"].clone()).collect();
    assert!(types.contains(&"switch_released".into()) && types.contains(&"signed_in".into()), "{types:?}");
}

#[tokio::test]
async fn export_filters_hold_together() {
    let sample = written().await;
    let (_dir, _, of_tool) = bundle(&sample, Filter { tool: Some("vm_power".into()), ..Filter::default() }, false).await;
    assert_eq!(of_tool.len(), 12);
    let (_dir, _, of_vm) = bundle(&sample, Filter { vm: Some(vm(2)), ..Filter::default() }, false).await;
    assert_eq!(of_vm.len(), 4);
    // A call that began before the range is still known to be wanted.
    let end = Position(of_vm[3]["position"].as_i64().expect("a position"));
    let narrow = Filter { vm: Some(vm(2)), from_position: Some(end), to_position: Some(end), ..Filter::default() };
    let (_dir, manifest, last) = bundle(&sample, narrow.clone(), false).await;
    assert_eq!((last.len(), leaf(&last[0])["type"].as_str()), (1, Some("succeeded")));
    assert_eq!(manifest.filter, narrow);
    let at = forelog::core::time::Micros(leaf(&last[0])["at"].as_i64().expect("a time"));
    let (_dir, _, before) = bundle(&sample, Filter { to: Some(at), ..Filter::default() }, false).await;
    let (_dir, _, after) = bundle(&sample, Filter { from: Some(at), ..Filter::default() }, false).await;
    let (_dir, _, whole) = bundle(&sample, Filter::default(), false).await;
    assert!(!before.is_empty() && !after.is_empty());
    assert_eq!([before, after].concat(), whole);
}

#[tokio::test]
async fn export_that_was_changed_is_found_out() {
    let sample = written().await;
    let change = async |edit: fn(&str) -> String| {
        let (dir, _, _) = bundle(&sample, Filter::default(), false).await;
        let lines = dir.path().join("events.jsonl");
        let text = std::fs::read_to_string(&lines).expect("the lines");
        let edited = edit(&text);
        assert_ne!(edited, text);
        std::fs::write(&lines, edited).expect("an edit");
        Manifest::check(dir.path())
    };
    let edits: [fn(&str) -> String; 4] = [
        |text| text.replacen("vm_power", "vm_reset", 1),
        |text| text.split_inclusive('\n').skip(1).collect(),
        |text| text.split_inclusive('\n').rev().collect(),
        |text| text.trim_end().to_owned(),
    ];
    for edit in edits {
        let checked = change(edit).await;
        assert!(matches!(checked, Err(ExportError::Damaged(_))), "{checked:?}");
    }
}

/// Edits the lines and makes the manifest's digests, counts and bounds fit them.
fn forge(dir: &Path, edit: impl FnOnce(&mut Vec<Value>, &mut Value)) -> Result<Manifest, ExportError> {
    let (lines, manifest) = (dir.join("events.jsonl"), dir.join("manifest.json"));
    let text = std::fs::read_to_string(&lines).expect("the lines");
    let mut items: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
    let mut says: Value = serde_json::from_slice(&std::fs::read(&manifest).expect("a manifest")).expect("JSON");
    edit(&mut items, &mut says);
    let text: String = items.iter().map(written_as_exported).collect();
    if let Some(file) = says["files"].get_mut(0) {
        file["bytes"] = text.len().into();
        file["sha256"] = hex::encode(sha2::Sha256::digest(&text)).into();
    }
    std::fs::write(&lines, text).expect("lines");
    let says: Manifest = serde_json::from_value(says).expect("a manifest");
    std::fs::write(&manifest, serde_json::to_vec_pretty(&says).expect("JSON")).expect("a manifest");
    Manifest::check(dir)
}

/// A line with its fields in their order.
fn written_as_exported(line: &Value) -> String {
    let fields = ["position", "sha256", "leaf", "parts", "salts"].into_iter().filter(|field| !line[*field].is_null());
    let fields: Vec<String> = fields.map(|field| format!("\"{field}\":{}", line[field])).collect();
    format!("{{{}}}\n", fields.join(","))
}

/// Writes a leaf anew, with its digest.
fn rewrite(line: &mut Value, edit: impl FnOnce(&mut Event)) {
    let mut event = Event::decode(line["leaf"].as_str().expect("a leaf").as_bytes()).expect("an event");
    edit(&mut event);
    let leaf = String::from_utf8(event.encode().expect("a leaf")).expect("text");
    line["sha256"] = hex::encode(sha2::Sha256::digest(&leaf)).into();
    line["leaf"] = leaf.into();
}

type Forgery = fn(&mut Vec<Value>, &mut Value);

#[tokio::test]
async fn export_that_is_none_is_found_out_however_its_digests_fit() {
    let sample = written().await;
    let recount = |lines: &[Value], says: &mut Value| {
        says["count"] = lines.len().into();
        says["first"] = lines.first().map_or(Value::Null, |line| line["position"].clone());
        says["last"] = lines.last().map_or(Value::Null, |line| line["position"].clone());
    };
    let forgeries: [(&str, Forgery); 14] = [
        ("a foreign form", |_, says| says["format"] = "somebody-elses/1".into()),
        ("no files", |_, says| says["files"] = Value::Array(Vec::new())),
        ("a file twice", |_, says| says["files"] = [says["files"][0].clone(), says["files"][0].clone()].into()),
        ("another count", |_, says| says["count"] = 3.into()),
        ("another first", |_, says| says["first"] = 2.into()),
        ("another last", |_, says| says["last"] = 999.into()),
        ("a head before the end", |_, says| says["head"]["position"] = 3.into()),
        ("a head after the end", |_, says| says["head"]["position"] = 999.into()),
        ("a filter that they do not fit", |_, says| says["filter"] = serde_json::json!({ "account": account(1) })),
        ("a line twice", |lines, _| lines.insert(4, lines[3].clone())),
        ("the end is missing", |lines, _| drop(lines.pop())),
        ("a hole", |lines, _| drop(lines.remove(7))),
        ("renumbered", |lines, _| {
            lines.remove(7);
            for (line, n) in lines.iter_mut().zip(1..) {
                line["position"] = n.into();
            }
        }),
        ("renumbered with their leaves", |lines, _| {
            lines.remove(12);
            for (line, n) in lines.iter_mut().zip(1..) {
                line["position"] = n.into();
                rewrite(line, |event| event.position = Position(n));
            }
        }),
    ];
    for (what, forgery) in forgeries {
        let (dir, _, _) = bundle(&sample, Filter::default(), false).await;
        let counts = !matches!(what, "another count" | "another first" | "another last");
        let checked = forge(dir.path(), |lines, says| {
            forgery(lines, says);
            if counts {
                recount(lines, says);
            }
        });
        assert!(matches!(checked, Err(ExportError::Damaged(_))), "{what}: {checked:?}");
    }
}

/// Edits the text of a bundle's files, and makes the manifest fit the lines.
fn reword(
    dir: &Path,
    edit: impl FnOnce(String) -> String,
    dress: impl FnOnce(String) -> String,
) -> Result<Manifest, ExportError> {
    let (lines, manifest) = (dir.join("events.jsonl"), dir.join("manifest.json"));
    let honest = std::fs::read_to_string(&lines).expect("the lines");
    let text = edit(honest.clone());
    let says = std::fs::read_to_string(&manifest).expect("a manifest");
    let digest = |text: &str| hex::encode(sha2::Sha256::digest(text));
    let says = says.replace(&digest(&honest), &digest(&text));
    let says = says.replace(&format!("\"bytes\": {}", honest.len()), &format!("\"bytes\": {}", text.len()));
    std::fs::write(&lines, text).expect("lines");
    std::fs::write(&manifest, dress(says)).expect("a manifest");
    Manifest::check(dir)
}

#[tokio::test]
async fn export_whose_lines_could_be_read_in_two_ways_is_none() {
    let sample = written().await;
    let same = |says: String| says;
    let first = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "no {from}");
        text.replacen(from, to, 1)
    };
    let edits: Vec<(&str, Reword)> = vec![
        (
            "a part twice",
            Box::new(move |text| {
                first(&text, "\"parts\":{\"arguments\":", "\"parts\":{\"arguments\":{\"FORGED\":1},\"arguments\":")
            }),
        ),
        ("parts twice", Box::new(move |text| first(&text, "\"parts\":{\"arg", "\"parts\":{},\"parts\":{\"arg"))),
        (
            "a field in a part twice",
            Box::new(move |text| first(&text, "\"text\":\"action=reboot\"", "\"text\":\"forged\",\"text\":\"action=reboot\"")),
        ),
        ("a position twice", Box::new(move |text| first(&text, "{\"position\":1,", "{\"position\":9,\"position\":1,"))),
        ("a blank", Box::new(move |text| first(&text, "{\"position\":1,", "{\"position\": 1,"))),
        ("other fields first", Box::new(move |text| first(&text, "{\"position\":1,", "{\"salts\":{},\"position\":1,"))),
        ("an escape that nobody needs", Box::new(move |text| first(&text, "\"text\":\"action", "\"text\":\"\\u0061ction"))),
        ("no end of the last line", Box::new(|text| text.trim_end().to_owned())),
        ("an empty line", Box::new(|text| text + "\n")),
        ("an end as others write it", Box::new(|text| text.replace('\n', "\r\n"))),
        ("a line that is cut", Box::new(|text| text[..text.len() - 20].to_owned())),
    ];
    for (what, edit) in edits {
        let (dir, _, _) = bundle(&sample, Filter::default(), true).await;
        let checked = reword(dir.path(), edit, same);
        assert!(matches!(checked, Err(ExportError::Damaged(_))), "{what}: {checked:?}");
    }
    let dresses: [Dress; 3] = [
        ("a count twice", |says| says.replacen("\"count\":", "\"count\": 7,\n  \"count\":", 1)),
        ("a field that is none", |says| says.replacen('{', "{\n  \"note\": \"all is well\",", 1)),
        ("another form", |says| says.replace('\n', "")),
    ];
    for (what, dress) in dresses {
        let (dir, _, _) = bundle(&sample, Filter::default(), true).await;
        let checked = reword(dir.path(), same, dress);
        assert!(matches!(checked, Err(ExportError::Damaged(_))), "{what}: {checked:?}");
    }
}

#[tokio::test]
async fn export_beside_which_something_lies_is_told_by_its_name() {
    let sample = written().await;
    let (dir, _, _) = bundle(&sample, Filter::default(), true).await;
    std::fs::write(dir.path().join("calls.csv"), "forged").expect("a file");
    let checked = Manifest::check(dir.path());
    let Err(ExportError::Damaged(why)) = &checked else { panic!("{checked:?}") };
    assert!(why.contains("calls.csv"), "{why}");
    std::fs::remove_file(dir.path().join("events.jsonl")).expect("removed");
    std::fs::remove_file(dir.path().join("manifest.json")).expect("removed");
    let again = export(&sample.reader, Filter::default(), false, dir.path(), |_, _| ()).await;
    assert!(matches!(again, Err(ExportError::Taken(_))), "a bundle was put beside something else: {again:?}");
}

#[tokio::test]
async fn export_of_some_calls_holds_them_whole() {
    let sample = written().await;
    let filter = Filter { account: Some(account(1)), ..Filter::default() };
    for dropped in [3, 4, 5] {
        let (dir, _, _) = bundle(&sample, filter.clone(), false).await;
        let checked = forge(dir.path(), |lines, says| {
            lines.remove(dropped);
            says["count"] = lines.len().into();
        });
        assert!(matches!(checked, Err(ExportError::Damaged(_))), "{dropped}: {checked:?}");
    }
    let (dir, _, _) = bundle(&sample, filter, false).await;
    let checked = forge(dir.path(), |_, says| says["filter"]["account"] = account(2).to_string().into());
    assert!(matches!(checked, Err(ExportError::Damaged(_))), "{checked:?}");
}

#[tokio::test]
async fn export_with_plaintexts_holds_those_that_the_leaves_commit_to() {
    let sample = written().await;
    let forgeries: [(&str, Forgery); 5] = [
        ("swapped", |lines, _| {
            let at: Vec<usize> = (0..lines.len()).filter(|n| leaf(&lines[*n])["type"] == "intent_recorded").take(2).collect();
            for field in ["parts", "salts"] {
                let one = lines[at[0]][field].take();
                let two = std::mem::replace(&mut lines[at[1]][field], one);
                lines[at[0]][field] = two;
            }
        }),
        ("edited", |lines, _| {
            let line = lines.iter_mut().find(|line| leaf(line)["type"] == "intent_recorded").expect("an intent");
            line["parts"]["arguments"]["text"] = "action=none".into();
        }),
        ("left out", |lines, _| {
            let line = lines.iter_mut().find(|line| leaf(line)["type"] == "intent_recorded").expect("an intent");
            line["parts"] = serde_json::json!({});
            line["salts"] = serde_json::json!({});
        }),
        ("without salts", |lines, _| {
            let line = lines.iter_mut().find(|line| leaf(line)["type"] == "intent_recorded").expect("an intent");
            line["salts"] = serde_json::json!({});
        }),
        ("said to have none", |_, says| says["parts"] = false.into()),
    ];
    for (what, forgery) in forgeries {
        let (dir, _, _) = bundle(&sample, Filter::default(), true).await;
        let checked = forge(dir.path(), forgery);
        assert!(matches!(checked, Err(ExportError::Damaged(_))), "{what}: {checked:?}");
    }
}

#[tokio::test]
async fn export_that_failed_leaves_no_bundle() {
    let sample = written().await;
    let nowhere = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-such-directory");
    let failed = export(&sample.reader, Filter::default(), false, &nowhere, |_, _| ()).await;
    assert!(matches!(failed, Err(ExportError::File(..))), "{failed:?}");
    let dir = tempfile::tempdir().expect("a directory");
    let mut transaction = sample.store.database().begin().await.expect("a transaction");
    transaction
        .script("drop trigger event_is_never_updated; update event set leaf = x'7b7d' where position = 9")
        .await
        .expect("an edit");
    transaction.commit().await.expect("a commit");
    let failed = export(&sample.reader, Filter::default(), false, dir.path(), |_, _| ()).await;
    assert!(matches!(failed, Err(ExportError::Read(_))), "{failed:?}");
    assert!(!dir.path().join("events.jsonl").exists() && Manifest::check(dir.path()).is_err());
}
