//! Policies: what the default set says, how hold and shadow work, and that whatever is wrong with a set keeps it out.

use std::path::Path;

use forelog::core::hold::{Approver, Hold};
use forelog::core::principal::{Principal, Side, Via};
use forelog::core::proposal::Verdict;
use forelog::core::scope::Scope;
use forelog::core::state::Vm;
use forelog::core::tool::{Class, Risk, ToolSpec};
use forelog::policy::{Kept, LoadError, Policies, PolicyError, Query, schema};

use crate::fixtures::{account, credential, user, vm};

const fn tool(name: &'static str, class: Class, risk: Risk, scope: Scope) -> ToolSpec {
    ToolSpec { scope: Some(scope), class, risk, idempotent: false, ..ToolSpec::reading(name) }
}

static LIST: ToolSpec = tool("vm_list", Class::Read, Risk::R0, Scope::VmsRead);
static GET: ToolSpec = tool("vm_get", Class::Read, Risk::R0, Scope::VmsRead);
static POWER: ToolSpec = tool("vm_power", Class::Write, Risk::R3, Scope::VmsPower);
static EXEC: ToolSpec = tool("vm_exec", Class::Exec, Risk::R2, Scope::VmsExec);
static ENGAGE: ToolSpec = tool("switch_engage", Class::Control, Risk::R2, Scope::StaffSwitch);
static ABSENT: ToolSpec = tool("vm_forget", Class::Read, Risk::R0, Scope::VmsRead);

const ANY_CASE: &str =
    "[[case]]\nname = \"nobody\"\nside = \"customer\"\ntool = \"vm_get\"\nvm = { owner = \"other\" }\nexpect = \"deny\"\n";

fn catalogue() -> Vec<&'static ToolSpec> {
    vec![&LIST, &GET, &POWER, &EXEC, &ENGAGE]
}

fn policies() -> Policies {
    Policies::new(&catalogue()).expect("the catalogue makes a schema")
}

fn principal(side: Side) -> Principal {
    Principal { side, account: account(1), user: user(1), credential: credential(1), via: Via::Rest, ip: None, read_only: false }
}

fn machine(owner: i64) -> Vm {
    Vm {
        id: vm(1),
        account: account(owner),
        provider: "sim".into(),
        machine: "m1".into(),
        label: "web".into(),
        exec_enabled: true,
        version: forelog::core::id::Position(1),
    }
}

fn ask(policies: &Policies, who: &Principal, tool: &ToolSpec, vm: Option<&Vm>) -> Verdict {
    let scopes = Scope::customer();
    let about = vm.map(Vm::resource);
    policies.evaluate(&Query { principal: who, scopes: &scopes, read_only: false, tool, resource: about.as_ref() })
}

/// A directory with these files, and cases that any set passes which does not permit everything.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("cases.toml"), ANY_CASE).expect("writing");
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).expect("writing");
    }
    dir
}

/// Policies in force, as version 1.
fn in_force(text: &str) -> Policies {
    let policies = policies();
    let loaded = policies.load_dir(directory(&[("a.cedar", text)]).path()).expect("loading");
    policies.install(1, &loaded);
    policies
}

fn refusal(files: &[(&str, &str)]) -> LoadError {
    policies().load_dir(directory(files).path()).err().expect("it is not taken")
}

const OWN: &str = r#"@id("own") permit (principal, action, resource) when { resource in principal.account };"#;

#[test]
fn policy_default_set_passes_its_cases_and_is_the_directory() {
    let policies = policies();
    let built_in = policies.load_default().expect("loading");
    let directory = policies.load_dir(&Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")).expect("loading");
    assert_eq!(built_in.sha256(), directory.sha256());
    assert!(built_in.cases > 5);
    assert!(built_in.set().warnings().is_empty(), "{:?}", built_in.set().warnings());
}

#[test]
fn policy_default_set_keeps_accounts_apart() {
    let policies = policies();
    assert_eq!(ask(&policies, &principal(Side::Customer), &LIST, None), Verdict::default(), "none in force, none permitted");
    policies.install(7, &policies.load_default().expect("loading"));
    let customer = principal(Side::Customer);
    let own = ask(&policies, &customer, &EXEC, Some(&machine(1)));
    assert_eq!((own.permit, own.version, own.policies), (true, 7, vec!["customer-own".to_owned()]));
    assert!(ask(&policies, &customer, &LIST, None).permit);
    for tool in catalogue() {
        assert!(!ask(&policies, &customer, tool, Some(&machine(2))).permit, "{}", tool.name);
        assert!(!ask(&policies, &principal(Side::Staff), tool, Some(&machine(2))).permit, "{}", tool.name);
    }
    let engage = ask(&policies, &customer, &ENGAGE, None);
    assert_eq!((engage.permit, engage.policies), (false, vec!["customer-not-staff".to_owned()]));
    assert!(ask(&policies, &principal(Side::Staff), &ENGAGE, None).permit);
    assert!(!ask(&policies, &customer, &ABSENT, None).permit, "a tool that is not in the catalogue");
}

#[test]
fn policy_that_names_a_tool_that_does_not_exist_is_refused() {
    let text = r#"@id("gone") permit (principal, action == Forelog::Action::"vm_forget", resource);"#;
    let error = refusal(&[("10-own.cedar", OWN), ("20-gone.cedar", text)]);
    let PolicyError::Invalid { file, message, .. } = &error.error else { panic!("{error}") };
    assert_eq!(file, "20-gone.cedar");
    assert!(message.contains("vm_forget"), "{message}");
}

#[test]
fn policy_faults_name_the_file() {
    let faults = [
        ("permit (principal", "a.cedar"),
        (r#"@id("x") permit (principal, action, resource) when { context.arguments == 1 };"#, "arguments"),
        (r#"@id("x") permit (principal, action, resource) when { principal.side == 1 };"#, "policy \"x\": "),
        ("\n permit (principal, action, resource);", "a.cedar:2:2: every policy needs an @id"),
        (r#"@id("x") @holds("y") permit (principal, action, resource);"#, "unknown annotation @holds"),
        (r#"@id("x") @hold("") permit (principal, action, resource);"#, "needs a text"),
        (r#"@id("x") @separate permit (principal, action, resource);"#, "there is none"),
        (r#"@id("x") @hold("y") @approver("boss") permit (principal, action, resource);"#, "none of"),
        (r#"@id("x") @hold("y") forbid (principal, action, resource);"#, "belongs on a permit"),
        (r#"@id("x") permit (principal == ?principal, action, resource);"#, "templates"),
        (r#"@id("x") permit (principal, action, resource); @id("x") forbid (principal, action, resource);"#, "used twice"),
    ];
    for (text, names) in faults {
        let error = refusal(&[("a.cedar", text)]);
        let said = error.to_string();
        assert!(matches!(&error.error, PolicyError::Invalid { file, at: Some(_), .. } if file == "a.cedar"), "{text}: {said}");
        assert!(said.contains(names), "{text}: {said}");
    }
}

#[test]
fn policy_sets_that_say_nothing_are_refused() {
    for files in [
        &[][..],
        &[("a.cedar", "")],
        &[("a.cedar", OWN), ("b.cedar", " // nothing\n")],
        &[("a.cedar", r#"@id("x") @shadow permit (principal, action, resource);"#)],
    ] {
        let error = refusal(files);
        assert!(matches!(error.error, PolicyError::Empty(_)), "{files:?}: {error}");
    }
    let missing = policies().load_dir(Path::new("no/such/directory")).err().expect("it is not taken");
    assert!(matches!(missing.error, PolicyError::Unreadable { .. }), "{missing}");
    let dir = directory(&[("a.cedar", OWN)]);
    std::fs::remove_file(dir.path().join("cases.toml")).expect("removing");
    let untried = policies().load_dir(dir.path()).err().expect("it is not taken");
    assert!(matches!(untried.error, PolicyError::Unreadable { .. }), "{untried}");
}

#[test]
fn policy_set_that_fails_a_case_is_refused() {
    let error = refusal(&[("a.cedar", r#"@id("all") permit (principal, action, resource);"#)]);
    let PolicyError::Cases(failures) = &error.error else { panic!("{error}") };
    assert_eq!(failures[0].name, "nobody");
    assert!(failures[0].message.contains("all"), "{error}");
    for (cases, names) in [
        ("", "no case"),
        ("[[case]]\nname = \"x\"\nside = \"customer\"\ntool = \"vm_forget\"\nexpect = \"deny\"", "no tool"),
        ("[[case]]\nname = \"x\"\nside = \"customer\"\ntool = \"vm_list\"\nexpect = \"permit\"\npolicy = \"else\"", "else"),
        ("[[case]]\nname = \"x\"\nside = \"customer\"\ntool = \"vm_list\"\nexpect = \"hold\"", "it expects hold"),
        ("[[case]]\nname = \"x\"\nside = \"customer\"\ntool = \"vm_list\"\nexpect = \"permit\"\nshadows = [\"s\"]", "shadows"),
        ("[[case]]\nname = \"x\"\nside = \"customer\"\ntoll = \"vm_list\"\nexpect = \"permit\"", "toll"),
    ] {
        let error = refusal(&[("a.cedar", OWN), ("cases.toml", cases)]);
        assert!(error.to_string().contains(names), "{cases}: {error}");
    }
}

#[test]
fn policy_that_cannot_be_evaluated_denies() {
    let broken = r#"@id("broken") forbid (principal, action == Forelog::Action::"vm_power", resource)
        when { 9223372036854775807 + 1 > 0 };"#;
    let policies = in_force(&format!("{OWN}{broken}"));
    let customer = principal(Side::Customer);
    assert!(ask(&policies, &customer, &LIST, None).permit);
    let power = ask(&policies, &customer, &POWER, Some(&machine(1)));
    assert_eq!((power.permit, power.policies), (false, vec!["broken".to_owned()]));
}

#[test]
fn policy_hold_asks_a_person_even_where_another_permits() {
    let hold = r#"@id("ask") @hold("it interrupts service") permit (principal, action == Forelog::Action::"vm_power", resource)
        when { resource in principal.account };"#;
    let policies = in_force(&format!("{OWN}{hold}"));
    let customer = principal(Side::Customer);
    let power = ask(&policies, &customer, &POWER, Some(&machine(1)));
    assert!(power.permit);
    assert_eq!(power.hold, Some(Hold::new("it interrupts service")));
    assert_eq!(power.policies, ["ask"]);
    assert_eq!(ask(&policies, &customer, &GET, Some(&machine(1))).hold, None);
    assert!(!ask(&policies, &customer, &POWER, Some(&machine(2))).permit);
}

#[test]
fn policy_shadow_speaks_only_where_it_would_change_the_decision() {
    let shadows = r#"
        @id("s-forbid") @shadow forbid (principal, action == Forelog::Action::"vm_power", resource);
        @id("s-permit") @shadow permit (principal, action == Forelog::Action::"vm_get", resource);
        @id("s-hold") @shadow @hold("why") permit (principal, action == Forelog::Action::"vm_exec", resource);
        @id("s-broken") @shadow permit (principal, action == Forelog::Action::"vm_list", resource)
            when { 9223372036854775807 + 1 > 0 };
        @id("no-engage") forbid (principal, action == Forelog::Action::"switch_engage", resource);
        @id("s-engage") @shadow permit (principal, action == Forelog::Action::"switch_engage", resource);"#;
    let policies = in_force(&format!("{OWN}{shadows}"));
    let (own, other) = (machine(1), machine(2));
    for (tool, vm, permit, expected) in [
        (&POWER, Some(&own), true, &["s-forbid"][..]),
        (&POWER, Some(&other), false, &[]),
        (&GET, Some(&own), true, &[]),
        (&GET, Some(&other), false, &["s-permit"]),
        (&EXEC, Some(&own), true, &["s-hold"]),
        (&LIST, None, true, &["s-broken"]),
        (&ENGAGE, None, false, &[]),
    ] {
        let verdict = ask(&policies, &principal(Side::Customer), tool, vm);
        assert_eq!(verdict.permit, permit, "{}", tool.name);
        assert_eq!(verdict.shadows, expected, "{}", tool.name);
        assert_eq!(verdict.hold, None, "{}", tool.name);
    }
}

#[test]
fn policy_sees_scopes_address_and_way_in() {
    let policies = in_force(
        r#"@id("office") permit (principal, action, resource) when {
            resource in principal.account && context has ip && context.ip.isInRange(ip("192.0.2.0/24"))
            && context.via == "mcp" && context.risk == "r3" && principal.scopes.contains("vms:power") && !principal.read_only
        };"#,
    );
    let inside = Principal { via: Via::Mcp, ip: "192.0.2.7".parse().ok(), ..principal(Side::Customer) };
    assert!(ask(&policies, &inside, &POWER, Some(&machine(1))).permit);
    for (who, tool) in [
        (Principal { ip: None, ..inside.clone() }, &POWER),
        (Principal { ip: "198.51.100.1".parse().ok(), ..inside.clone() }, &POWER),
        (Principal { ip: "2001:db8::1".parse().ok(), ..inside.clone() }, &POWER),
        (Principal { via: Via::Rest, ..inside.clone() }, &POWER),
        (Principal { read_only: true, ..inside.clone() }, &POWER),
        (inside.clone(), &GET),
    ] {
        assert!(!ask(&policies, &who, tool, Some(&machine(1))).permit, "{who:?} {}", tool.name);
    }
}

#[test]
fn policy_set_that_is_refused_leaves_the_old_one_in_force() {
    let policies = in_force(OWN);
    let error = policies.load_dir(directory(&[("a.cedar", "")]).path()).err().expect("it is not taken");
    assert_eq!(error.kept, Kept::Version(1));
    assert!(error.to_string().contains("version 1 stays in force"), "{error}");
    assert!(ask(&policies, &principal(Side::Customer), &LIST, None).permit);
    assert_eq!(refusal(&[]).kept, Kept::Nothing);

    let stricter = format!(r#"{OWN} @id("none") forbid (principal, action, resource);"#);
    let loaded = policies.load_dir(directory(&[("a.cedar", &stricter)]).path()).expect("loading");
    assert!(ask(&policies, &principal(Side::Customer), &LIST, None).permit, "loading puts nothing in force");
    policies.install(3, &loaded);
    let denied = ask(&policies, &principal(Side::Customer), &LIST, None);
    assert_eq!((denied.version, denied.permit), (3, false));
    policies.install(2, &policies.load_default().expect("loading"));
    assert_eq!(policies.current().map(|(version, _)| version), Some(3), "an older version does not come back");
}

#[test]
fn policy_schema_is_the_same_whatever_the_order() {
    let mut tools = catalogue();
    let text = schema(&tools);
    tools.reverse();
    assert_eq!(schema(&tools), text);
    assert!(text.contains("action \"vm_power\" in [\"class:write\"] appliesTo {"), "{text}");
    assert!(text.contains("action \"switch_engage\" in [\"class:control\", \"staff\"] appliesTo {"), "{text}");
}

#[test]
fn policy_hold_is_the_strictest_of_what_is_asked_for() {
    let holds = r#"
        @id("a") @hold("one") @approver("any") @separate permit (principal, action == Forelog::Action::"vm_power", resource);
        @id("b") @hold("two") @approver("staff") @second_person permit (principal, action == Forelog::Action::"vm_power", resource);"#;
    let policies = in_force(&format!("{OWN}{holds}"));
    let hold = ask(&policies, &principal(Side::Customer), &POWER, Some(&machine(1))).hold.expect("a hold");
    assert_eq!((hold.approver, hold.second_person, hold.separate), (Approver::Staff, true, true));
    assert_eq!(hold.why, "one; two");
}

/// A condition that is true and nests `n` deep, in each way that there is.
fn deep(n: usize) -> Vec<(&'static str, String)> {
    let around = |before: &str, core: &str, after: &str| format!("{}{core}{}", before.repeat(n), after.repeat(n));
    vec![
        ("brackets", around("(", "true", ")")),
        ("not", around("!", "true", "")),
        ("minus", format!("0 == {}", around("-", "0", ""))),
        ("not in brackets", around("!(", "true", ")")),
        ("and", around("true && ", "true", "")),
        ("and to the right", around("(true && ", "true", ")")),
        ("sum", format!("0 < {}", around("1 + ", "1", ""))),
        ("if in a condition", around("if ", "true", " then true else true")),
        ("if in an else", around("if false then false else ", "true", "")),
        ("sets", format!("{} != [1]", around("[", "1", "]"))),
        ("records", format!("{} == true || true", around("{a: ", "1", "}"))),
        ("calls", around("[true].contains(", "true", ")")),
        ("a chain of accesses", format!("true || {}", around("", "context", ".a"))),
        ("comments and texts", format!("\"(((\" != \"[[[\" // (((\n && {}", around("(", "true", ")"))),
        ("too many closed", around("", "true", ")")),
    ]
}

#[test]
fn policy_that_nests_deep_is_refused_before_the_stack_ends() {
    for n in [1, 30, 60, 85, 120, 200, 250, 1_000, 20_000] {
        for (shape, condition) in deep(n) {
            let text = format!("@id(\"deep\") permit (principal, action, resource) when {{ {condition} }};");
            let dir = directory(&[("a.cedar", &text), ("cases.toml", ANY_CASE)]);
            let policies = policies();
            match policies.load_dir(dir.path()) {
                // What is taken is also asked, on a stack as the server's threads have.
                Ok(loaded) => {
                    assert!(n < 1_000, "{shape} of {n}");
                    policies.install(1, &loaded);
                    ask(&policies, &principal(Side::Customer), &LIST, None);
                }
                Err(error) => assert!(n > 1 || !error.to_string().contains("deep;"), "{shape} of {n}: {error}"),
            }
        }
    }
}

#[test]
fn policy_sets_that_are_no_files_or_too_large_are_refused() {
    let large = format!("// {}", "x".repeat(2 << 20));
    let dir = directory(&[("a.cedar", &large), ("cases.toml", ANY_CASE)]);
    assert!(policies().load_dir(dir.path()).err().expect("refused").to_string().contains("larger than 1024 KiB"));
    let dir = directory(&[("cases.toml", ANY_CASE)]);
    let pipe = dir.path().join("a.cedar");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    assert!(policies().load_dir(dir.path()).err().expect("refused").to_string().contains("it is not a file"));
}
