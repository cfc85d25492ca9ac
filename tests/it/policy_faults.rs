//! A fault of a policy is named with its file, line and column, shows the line, and is answered with what was probably meant.

use forelog::app::policies::engine;
use forelog::policy::Policies;
use forelog::tools::catalogue;

const DEFAULT: &str = include_str!("../../policies/default.cedar");
const CASES: &str = include_str!("../../policies/cases.toml");

fn policies() -> Policies {
    engine(&catalogue().expect("a catalogue")).expect("the catalogue makes a schema")
}

/// What is said of the built-in set with one file more, and these cases.
fn said(policy: &str, cases: &str) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in [("default.cedar", DEFAULT), ("own.cedar", policy), ("cases.toml", cases)] {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    policies().load_dir(dir.path()).err().map(|refused| refused.error.to_string()).unwrap_or_default()
}

#[test]
fn policy_faults_of_words_do_not_keep_a_set_from_being_served() {
    let text = rule("action, resource", "principal.side == \"costumer\"");
    let recorded = policies().load_recorded(&[("own.cedar".into(), text.clone())]);
    assert!(recorded.is_ok(), "what was taken by an earlier version is served");
    assert!(said(&text, CASES).contains("costumer"), "and is not taken again");
}

fn rule(scope: &str, condition: &str) -> String {
    format!("@id(\"own\")\nforbid (principal, {scope})\nwhen {{ {condition} }};\n")
}

#[test]
fn policy_faults_what_there_is_not_is_answered_with_what_is_near() {
    for (policy, place, near) in [
        (
            rule("action == Forelog::Action::\"vm_pwer\", resource", "true"),
            "own.cedar:2:",
            "Did you mean Forelog::Action::\"vm_power\"?",
        ),
        (
            rule("action in Forelog::Action::\"class:exce\", resource", "true"),
            "own.cedar:2:",
            "Did you mean Forelog::Action::\"class:exec\"?",
        ),
        (rule("action, resource is Forelog::Vmm", "true"), "own.cedar:2:", "Did you mean Forelog::Vm?"),
        (rule("action, resource", "principal is Credential"), "own.cedar:", "Did you mean Forelog::Credential?"),
        (rule("action, resource is Forelog::Vm", "resource.lable like \"prod-*\""), "own.cedar:3:8", "Did you mean label?"),
        (rule("action, resource", "principal.sied == \"staff\""), "own.cedar:3:8", "Did you mean side?"),
        (rule("action, resource", "context.viaa == \"mcp\""), "own.cedar:3:8", "Did you mean via?"),
        (rule("action, resource", "context.ip.isLoopback()"), "own.cedar:3:8", "context has ip"),
        (rule("action, resource", "principal.scopes.contains(\"vms:powr\")"), "own.cedar:3:34", "Did you mean \"vms:power\"?"),
        (
            rule("action, resource", "principal.scopes.containsAny([\"servers:power\"])"),
            "own.cedar:3:38",
            "Did you mean \"vms:power\"?",
        ),
        (rule("action, resource", "principal.side == \"costumer\""), "own.cedar:3:26", "Did you mean \"customer\"?"),
        (rule("action, resource", "[\"mpc\"].contains(context.via)"), "own.cedar:3:9", "Did you mean \"mcp\"?"),
        (rule("action, resource", "true && !(\"vm_lsit\" == context.tool)"), "own.cedar:3:18", "Did you mean \"vm_list\"?"),
        (
            rule("action, resource", "context.class == \"power\""),
            "own.cedar:3:25",
            "There is read, write, exec, destroy, control.",
        ),
        (rule("action, resource", "if context.risk == \"r5\" then true else false"), "own.cedar:3:27", "Did you mean \"r0\""),
    ] {
        let said = said(&policy, CASES);
        let (first, shown) = said.split_once('\n').unwrap_or_else(|| panic!("{policy} shows no line: {said}"));
        assert!(first.starts_with(place) && first.contains("policy \"own\": ") && first.contains(near), "{policy}: {said}");
        let line = shown.split_once(" | ").and_then(|(_, line)| line.lines().next()).expect("a line");
        assert!(policy.contains(line) && shown.trim_end().ends_with('^'), "{policy}: {said}");
    }
}

#[test]
fn policy_faults_a_text_from_elsewhere_is_the_operators() {
    for condition in [
        "resource is Forelog::Vm && resource.label == \"vms:powr\"",
        "resource is Forelog::Vm && resource.provider == \"costumer\"",
        "principal.account == Forelog::Account::\"acc_example\"",
        "principal.scopes.contains(\"vms:power\") && context.via == \"stdio\" && context.risk == \"r3p\" && context.class == \"exec\"",
        "principal.side == \"staff\" && context.tool == \"switch_engage\"",
    ] {
        let shadow = rule("action, resource", condition).replacen('\n', "\n@shadow\n", 1);
        assert_eq!(said(&shadow, CASES), "", "{condition}");
    }
}

#[test]
fn policy_faults_of_syntax_show_the_line() {
    for (policy, place, shown) in [
        (
            "@id(\"own\")\nforbid (principal, action, resource)\nwhen { principal.side = \"staff\" };\n",
            "own.cedar:3:",
            "when { principal.side = \"staff\" };",
        ),
        ("@id(\"own\")\nforbid (principal, action, resource)\n\n", "own.cedar:2:37: ", "forbid (principal, action, resource)"),
        ("@id(\"own\")\npermit (principal action, resource);\n", "own.cedar:2:19: ", "permit (principal action, resource);"),
        ("// @shadw is no word\n@id(\"own\")\n  @shadw\nforbid (principal, action, resource);\n", "own.cedar:3:3: ", "  @shadw"),
        (
            "@id(\"a\")\nforbid (principal, action, resource) when { context.ip.isInRnge(ip(\"192.0.2.0/24\")) };\n",
            "own.cedar:2:45: `isInRnge` is not a valid method: did you mean `isInRange`?\n",
            "forbid (principal, action, resource) when { context.ip.isInRnge(ip(\"192.0.2.0/24\")) };",
        ),
    ] {
        let said = said(policy, CASES);
        assert!(said.starts_with(place) && said.contains(&format!(" | {shown}")), "{policy}: {said}");
        assert!(said.lines().last().is_some_and(|marks| marks.contains('^')), "{policy}: {said}");
    }
    let long = format!(
        "@id(\"own\") forbid (principal, action, resource) when {{ [{}].contains(context.tol) }};",
        "\"vm_get\", ".repeat(2_000)
    );
    let said = said(&long, CASES);
    assert!(said.contains("Did you mean tool?") && said.len() < 600, "a line is shown in part: {} bytes", said.len());
}

#[test]
fn policy_faults_of_cases_are_told_alike() {
    let broken =
        |from: &str, to: &str| said("@id(\"own\") @shadow forbid (principal, action, resource);", &CASES.replacen(from, to, 1));
    for (from, to, place, near) in [
        ("\"vms:power\"", "\"vms:powr\"", "cases.toml:", "Did you mean vms:power?"),
        ("expect = ", "expct = ", "cases.toml:", "Did you mean expect?"),
        ("side = \"customer\"", "side = \"custmer\"", "cases.toml:", "Did you mean customer?"),
        (
            "policy = \"customer-own\"",
            "policy = \"custmer-own\"",
            "cases.toml:",
            "there is no policy \"custmer-own\". Did you mean customer-own?",
        ),
    ] {
        let said = broken(from, to);
        assert!(said.contains(place) && said.contains(near), "{to}: {said}");
    }
}
