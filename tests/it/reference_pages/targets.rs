//! `switch-targets.md`: what a switch can stop, and how it is written.

use std::collections::BTreeSet;

use forelog::core::switch::Target;

use super::declared_docs::{parse, variants};
use super::{code, hold, table};

const ABOUT: &str = "\
What a kill switch stops. `forelog switch engage TARGET`, `POST /api/v1/switches` and the console take the same; the
command line also takes the label of a VM or key, and the name of an account, for its id. Capitals and space around it make no
difference to a word. What stops, releases and shows switches is stopped by none.";

/// A form, an example of it, and what is different from others of its kind.
const FORMS: [(&str, &str, &str); 7] = [
    ("all", "all", "Releasing it takes two persons."),
    (
        "class:exec, class:write, class:destroy",
        "class:exec",
        "Releasing it takes two persons. [tools.md](tools.md) has each tool's class.",
    ),
    ("tool:NAME", "tool:vm_power", "[tools.md](tools.md) names them."),
    ("provider:NAME", "provider:qemu", "Also lists, and what names no VM, if they would ask that provider."),
    ("account:ID", "account:acc_01M8J1SKEEWZBHS0A0SCTJSJJT", ""),
    ("credential:ID", "credential:key_01M8J1SKEEWZBHS0A0SCTJSJJT", ""),
    ("vm:ID, vm:ID/exec", "vm:vm_01M8J1SKEEWZBHS0A0SCTJSJJT/exec", ""),
];

#[test]
fn reference_switch_targets_page_has_every_form() {
    let known = variants(&parse(include_str!("../../../src/core/switch.rs")), "Target");
    let mut shown = BTreeSet::new();
    let row = |(form, example, more): (&str, &str, &str)| {
        let target: Target = example.parse().expect("an example is a target");
        assert_eq!(target.to_string(), example);
        let debug = format!("{target:?}");
        let kind = debug.split(['(', ' ']).next().expect("a name");
        let kind = known.iter().find(|variant| variant.name == kind).expect("a variant");
        shown.insert(kind.name.clone());
        let forms = form.split(", ").map(code).collect::<Vec<_>>().join(", ");
        vec![forms, format!("{} {more}", kind.about).trim().to_owned(), code(example)]
    };
    let body = table(&["target", "stops", "example"], FORMS.into_iter().map(row));
    assert_eq!(shown, known.iter().map(|variant| variant.name.clone()).collect(), "each kind of target has an example");
    hold("switch-targets.md", "Switch targets", ABOUT, &body);
}
