//! `forelog call`, and what other commands say of operations: both from the declarations, with the real binary.

use std::io::Write;
use std::process::{Output, Stdio};

use forelog::core::redact::Sensitivity;
use forelog::tools::{Tool, every_tool};
use serde_json::{Value, json};

use crate::cli::{Server, command, complaint, dir, shown, text};

fn tools() -> Vec<Tool> {
    every_tool().expect("well-formed tools")
}

/// What a command says of itself.
fn help(args: &[&str]) -> String {
    let output = command(&[args, &["--help"]].concat()).output().expect("running forelog");
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    // Lines are broken for the terminal.
    text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn description(tool: &str, argument: &str) -> String {
    let tools = tools();
    let tool = tools.iter().find(|found| found.facts.name == tool).expect("the tool");
    let text = tool.input["properties"][argument]["description"].as_str().expect("a description");
    text.trim_end_matches('.').to_owned()
}

#[test]
fn called_by_names_that_no_flag_of_every_command_has() {
    for tool in tools() {
        let taken = ["data", "config", "json", "help", "arguments"];
        let arguments = tool.input["properties"].as_object().expect("arguments");
        let clash: Vec<&String> = arguments.keys().filter(|name| taken.contains(&name.as_str())).collect();
        assert!(clash.is_empty(), "{}: {clash:?} would be read as a flag of every command", tool.facts.name);
        // An address is kept out of the record, and is no secret of the machine on which somebody invites.
        let is_secret = |(name, class): &(&String, &Sensitivity)| **class == Sensitivity::Secret && name.as_str() != "email";
        let secret = tool.arguments.iter().find(is_secret);
        assert!(secret.is_none(), "{}: {secret:?} would be seen among the processes", tool.facts.name);
    }
}

#[test]
fn called_tools_say_what_they_are_declared_to_take() {
    let listed = help(&["call"]);
    for tool in tools() {
        assert!(listed.contains(&format!("{} {}", tool.facts.name, tool.title)), "{}: {listed}", tool.facts.name);
    }
    let said = help(&["call", "vm_power"]);
    let tools = tools();
    let power = tools.iter().find(|tool| tool.facts.name == "vm_power").expect("the tool");
    assert!(said.contains(power.description), "{said}");
    for (name, schema) in power.input["properties"].as_object().expect("arguments") {
        assert!(said.contains(&format!("--{name} ")) && said.contains(schema["description"].as_str().expect("text")), "{said}");
    }
    assert!(said.contains("possible values: start, shutdown, reboot, stop, reset"), "{said}");
}

#[test]
fn called_wrongly_is_told_by_the_declaration_before_anything_is_asked() {
    for (args, says) in [
        (vec!["vm_powr"], "'vm_power'"),
        (vec!["vm_power", "--vm_id", "web-1"], "--action"),
        (vec!["vm_power", "--vm_id", "web-1", "--action", "sleep"], "possible values: start, shutdown, reboot, stop, reset"),
        (vec!["vm_list", "--limit", "201"], "it is no whole number from 1 to 200"),
        (vec!["vm_list", "--limit", "many"], "it is no whole number from 1 to 200"),
        (vec!["vm_get", "--vm_id", ""], "it has 0 characters, and may have 1 to 64"),
        (vec!["vm_get", "--vm", "web-1"], "--vm_id"),
        (vec!["key_create", "--label", "x", "--scopes", "vms:read", "--limit", "{"], "it is no JSON"),
        (vec!["vm_get", "--vm_id", "x", "--arguments", "{}"], "cannot be used with"),
    ] {
        let said = complaint(&[&["call"][..], &args].concat());
        assert!(said.contains(says), "{args:?}: {said}");
    }
    let data = dir();
    let said = complaint(&["call", "vm_list", "--data", shown(data.path())]);
    assert!(said.contains("FORELOG_API_KEY"), "{said}");
}

/// The flags of commands on the data itself that have no text of their own say what the operation says.
#[test]
fn called_alike_on_the_data_itself_and_over_http() {
    for (args, tool, arguments) in [
        (vec!["vm", "import"], "vm_import", vec!["account", "provider", "machine"]),
        (vec!["key", "create"], "key_create", vec!["label", "vms", "ips", "read_only"]),
        (vec!["switch", "engage"], "switch_engage", vec!["target", "reason", "message", "incident"]),
        (vec!["switch", "release"], "switch_release", vec!["reason"]),
        (vec!["clock", "accept"], "clock_accept", vec!["reason"]),
        (vec!["account", "set"], "account_set", vec!["account", "agents_may_enable_exec"]),
        (vec!["approval", "reject"], "approval_decide", vec!["reason"]),
    ] {
        let said = help(&args);
        for argument in arguments {
            assert!(said.contains(&description(tool, argument)), "{args:?} {argument}: {said}");
        }
    }
    let long = "x".repeat(101);
    let said = complaint(&["key", "create", "--account", "acc_00000000000000000000000001", "--label", &long]);
    assert!(said.contains("it has 101 characters, and may have 1 to 100"), "{said}");
}

struct Caller {
    server: Server,
    data: tempfile::TempDir,
}

impl Caller {
    async fn start() -> Self {
        let data = dir();
        let server = Server::start(&["demo", "--data", shown(data.path())], &data.path().with_extension("log")).await;
        Self { server, data }
    }

    fn ask(&self, key: &str, args: &[&str], input: &str) -> Output {
        let mut asked = command(&[&["call"][..], args, &["--data", shown(self.data.path())]].concat());
        let base = self.server.says("/base_url");
        let listen = base.strip_prefix("http://").expect("an address");
        asked
            .env("FORELOG_API_KEY", key)
            .env("FORELOG_LISTEN", listen)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut asking = asked.spawn().expect("running forelog");
        asking.stdin.take().expect("its input").write_all(input.as_bytes()).expect("writing");
        asking.wait_with_output().expect("an answer")
    }

    fn done(&self, key: &str, args: &[&str], input: &str) -> Value {
        let output = self.ask(key, &[args, &["--json"]].concat(), input);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("one JSON document")
    }

    fn refused(&self, key: &str, args: &[&str]) -> String {
        let output = self.ask(key, args, "");
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", text(&output.stdout));
        assert!(output.stdout.is_empty(), "{args:?}");
        text(&output.stderr)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn called_tools_answer_as_over_rest_and_are_recorded() {
    let caller = Caller::start().await;
    let (key, staff) = (caller.server.says("/customer/api_key"), caller.server.says("/staff/api_key"));
    let (label, vm) = (caller.server.says("/vms/0/label"), caller.server.says("/vms/0/id"));
    let listed = caller.done(&key, &["vm_list", "--limit", "1"], "");
    assert_eq!((&listed["items"][0]["vm_id"], listed["items"].as_array().map(Vec::len)), (&json!(vm), Some(1)), "{listed}");
    let url = caller.server.says("/base_url");
    assert_eq!(caller.done(&key, &["--url", &url, "vm_get", "--vm_id", &label], "")["vm_id"], vm);
    assert_eq!(caller.done(&key, &["vm_get", "--vm_id", &label, "--url", &url], "")["vm_id"], vm);
    let people = caller.ask(&key, &["vm_get", "--vm_id", &label], "");
    assert!(text(&people.stdout).contains(&format!("\"vm_id\": \"{vm}\"")), "{people:?}");

    let said = caller.refused(&key, &["vm_rename", "--vm_id", &label, "--hostname", "shop"]);
    let phrase = format!("RENAME {vm} TO shop");
    assert!(said.contains("confirmation_required") && said.contains(&format!("--confirmation '{phrase}'")), "{said}");
    let renamed = caller.done(&key, &["vm_rename", "--vm_id", &label, "--hostname", "shop", "--confirmation", &phrase], "");
    assert_eq!(renamed["hostname"], "shop");
    let said = caller.refused(&key, &["vm_power", "--vm_id", &label, "--action", "reboot", "--confirm", "false"]);
    assert!(said.contains("--confirm true"), "{said}");
    assert_eq!(caller.done(&key, &["vm_power", "--vm_id", &label, "--action", "reboot", "--confirm"], "")["power"], "running");

    let wanted = json!({ "label": "ci", "scopes": ["vms:read"] }).to_string();
    let made = caller.done(&key, &["key_create", "--arguments", "-"], &wanted);
    assert_eq!((&made["label"], &made["scopes"]), (&json!("ci"), &json!(["vms:read"])));
    let named = ["key_create", "--label", "two", "--scopes", "vms:read", "--scopes", "vms:power", "--read_only"];
    assert_eq!(caller.done(&key, &named, "")["read_only"], true);

    let engaged = caller.done(&staff, &["switch_engage", "--target", "all", "--reason", "trying"], "");
    assert!(engaged["id"].is_string(), "{engaged}");
    assert!(caller.refused(&key, &["vm_list"]).contains("kill_switch_engaged"));
    let said = caller.refused("flk_live_nobody", &["vm_list"]);
    assert!(said.contains("unauthenticated") && said.contains("FORELOG_API_KEY"), "{said}");
    let bare = url.trim_start_matches("http://");
    let said = caller.refused(&key, &["--url", bare, "vm_list"]);
    assert!(said.contains("does not begin with https://"), "{said}");
    let said = caller.refused(&key, &["--url", &format!("https://{bare}"), "vm_list"]);
    assert!(said.contains("does not speak TLS") && said.contains("nothing was sent"), "{said}");
    let said = caller.refused(&key, &["--url", &format!("{url}/console/"), "vm_list"]);
    assert!(said.contains("not_found") && !said.contains("outcome_unknown"), "{said}");

    let data = caller.data;
    caller.server.stop().await;
    let left = command(&["call", "--url", &url, "vm_list", "--data", shown(data.path())])
        .env("FORELOG_API_KEY", &key)
        .output()
        .expect("an answer");
    assert_eq!(left.status.code(), Some(1));
    assert!(text(&left.stderr).contains("Nobody answers"), "{left:?}");
}
