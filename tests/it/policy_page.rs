//! `docs/policies.md` says what is so: its examples load and decide as their cases say, and it names every field of a case,
//! every annotation, and every part of the schema.

use std::sync::LazyLock;

use forelog::app::policies::engine;
use forelog::policy::{Policies, schema};
use forelog::tools::catalogue;
use syn::Item;

static PAGE: LazyLock<String> = LazyLock::new(|| std::fs::read_to_string("docs/policies.md").expect("the page"));
const BUILT_IN: [(&str, &str); 2] =
    [("default.cedar", include_str!("../../policies/default.cedar")), ("cases.toml", include_str!("../../policies/cases.toml"))];

fn policies() -> Policies {
    engine(&catalogue().expect("a catalogue")).expect("the catalogue makes a schema")
}

/// The fenced blocks of the page in a language, in their order.
fn blocks(language: &str) -> Vec<&'static str> {
    let opened = format!("```{language}\n");
    PAGE.split(opened.as_str()).skip(1).map(|rest| rest.split("\n```").next().expect("an end")).collect()
}

/// The built-in set, perhaps with a policy more, tried against `cases`.
fn tried(policy: Option<&str>, cases: &str) -> Result<usize, String> {
    let dir = tempfile::tempdir().expect("a directory");
    let own = policy.map(|policy| ("20-own.cedar", policy));
    for (name, text) in [BUILT_IN[0], ("cases.toml", cases)].into_iter().chain(own) {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    policies().load_dir(dir.path()).map(|loaded| loaded.cases).map_err(|refused| refused.to_string())
}

#[test]
fn policy_page_examples_decide_as_their_cases_say() {
    let (examples, cases) = (blocks("cedar"), blocks("toml"));
    assert_eq!((examples.len(), cases.len()), (4, 4), "each example has its cases");
    for (example, cases) in examples.into_iter().zip(cases) {
        let expected = cases.matches("[[case]]").count();
        assert_eq!(tried(Some(example), cases), Ok(expected), "{example}");
        let built_in_alone = tried(None, cases).expect_err("the cases are about the example");
        assert!(cases.lines().any(|line| built_in_alone.contains(line.trim_start_matches("name = "))), "{built_in_alone}");
    }
}

#[test]
fn policy_page_shows_what_a_broken_case_prints() {
    let refused = tried(Some(blocks("cedar")[0]), BUILT_IN[1].1).expect_err("a built-in case expects something else");
    let (shown, name) = (blocks("text")[0], "\"a customer restarts its own VM\"");
    assert!(refused.contains(name) && shown.contains(name), "{refused}");
    assert!(refused.contains("ask-before-power") && shown.contains("ask-before-power"), "{refused}");
}

#[test]
fn policy_page_names_every_field_of_a_case_and_every_annotation() {
    let file = syn::parse_file(include_str!("../../src/policy/cases.rs")).expect("a Rust file");
    let structs = file.items.iter().filter_map(|item| if let Item::Struct(found) = item { Some(found) } else { None });
    let of_a_case = structs.filter(|found| found.ident == "Case" || found.ident == "CaseVm");
    let fields: Vec<String> =
        of_a_case.flat_map(|found| &found.fields).filter_map(|field| Some(field.ident.as_ref()?.to_string())).collect();
    assert!(fields.len() > 10, "{fields:?}");
    let annotations = ["id", "hold", "shadow", "approver", "second_person", "separate"].map(|name| format!("@{name}"));
    for named in fields.iter().chain(&annotations) {
        assert!(PAGE.contains(&format!("`{named}")), "docs/policies.md does not name {named}");
    }
}

#[test]
fn policy_page_names_what_the_schema_has() {
    let facts: Vec<_> = catalogue().expect("a catalogue").iter().map(|tool| tool.facts).collect();
    let text = schema(&facts);
    let attributes = text.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(": "));
    let own = attributes
        .map(|(name, _)| name.trim_end_matches('?'))
        .filter(|name| !["principal", "resource", "context"].contains(name));
    let groups = text.lines().filter_map(|line| line.strip_prefix("  action \"")?.strip_suffix("\";"));
    for named in own.chain(groups) {
        let is_named = PAGE.contains(&format!("`{named}`")) || PAGE.contains(&format!("`\"{named}\"`"));
        assert!(is_named, "docs/policies.md does not name {named}");
    }
}
