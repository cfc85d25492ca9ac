//! `events.md`: every kind of event, as the leaf has it.

use super::declared_docs::{Documented, Part, parse, structure, variants};
use super::{code, hold, table};

const ABOUT: &str = "\
What the log records: one event, one leaf of canonical JSON. `GET /api/v1/events` and `GET /api/v1/calls/{id}` answer them, exports hold them. Kinds
and fields are only ever added. A field marked *optional* is left out where it does not apply; all others are always there. Texts (arguments, results,
reasons) are never in a leaf: they lie beside it, encrypted, and `parts` names them by digest.";

#[test]
fn reference_events_page_has_every_kind() {
    let (kinds, bodies) =
        (parse(include_str!("../../../src/core/event/kind.rs")), parse(include_str!("../../../src/core/event/body.rs")));
    let leaf = structure(&parse(include_str!("../../../src/core/event/leaf.rs")), "Event").expect("the leaf");
    let kinds = variants(&kinds, "EventKind");
    assert!(kinds.iter().all(|kind| kind.about.ends_with('.')), "each kind says when it is recorded");
    let own: Vec<&Part> = leaf.fields.iter().filter(|field| field.name != "kind").collect();
    let head = format!("## Every event\n\nBeside `type`, the kind, and the fields of the kind:\n\n{}", fields(&own));
    let section = |kind: Documented| {
        let body = match kind.fields.as_slice() {
            [one] if one.name.is_empty() => structure(&bodies, &one.kind).expect("a body of event/body.rs").fields,
            _ => kind.fields,
        };
        let table = if body.is_empty() { String::new() } else { format!("\n{}", fields(&body.iter().collect::<Vec<_>>())) };
        format!("\n## {}\n\n{}\n{table}", snake(&kind.name), kind.about)
    };
    let inner = |name: &str| {
        let found = structure(&bodies, name).expect("a part of event/body.rs");
        format!("\n## {}\n\n{}\n\n{}", words(name), found.about, fields(&found.fields.iter().collect::<Vec<_>>()))
    };
    let sections: String = kinds.into_iter().map(section).chain(["Part", "MendedRows"].map(inner)).collect();
    hold("events.md", "Events", ABOUT, &(head + &sections));
}

/// What a field means wherever its kind says nothing else.
const MEANINGS: &[(&str, &str)] = &[
    ("account", "The account."),
    ("agents_may_enable_exec", "Whether they may."),
    ("approved", "Whether they said yes."),
    ("break_glass", "It was done on the data itself, past roles and the second person."),
    ("by", "Who did it; nobody is named where it was done on the data itself."),
    ("call", "The call."),
    ("credential", "What they did it with."),
    ("enabled", "Whether it is on from now on."),
    ("invitation", "The invitation."),
    ("issuer", "The issuer, by its name in the configuration."),
    ("machine", "The machine, as its provider names it."),
    ("node", "The node."),
    ("provider", "The provider, by its name in the configuration."),
    ("resource", "The resource."),
    ("run", "The run."),
    ("running", "What becomes of the calls that run."),
    ("second", "Who confirmed it, where that takes two persons."),
    ("session", "The session, as a digest; all of theirs if it is left out."),
    ("sha256", "SHA-256 of the set, hex."),
    ("side", "Customer or staff."),
    ("switch", "The switch."),
    ("target", "What it stops."),
    ("terms", "The limits and the other numbers."),
    ("tool", "Tool name; `unknown` for an unknown tool."),
    ("user", "The person."),
    ("vm", "The VM."),
];

fn fields(parts: &[&Part]) -> String {
    let row = |part: &&Part| {
        let optional = if part.optional { "optional" } else { "" };
        let meant = MEANINGS.iter().find(|(name, _)| *name == part.name).map_or("", |(_, meaning)| *meaning);
        let about = if part.about.is_empty() { meant } else { &part.about };
        assert!(!about.is_empty(), "nothing says what `{}` means", part.name);
        vec![code(&part.name), kind_of(&part.kind), optional.to_owned(), about.to_owned()]
    };
    table(&["field", "type", "", "meaning"], parts.iter().map(row))
}

/// A type of ours as JSON has it.
fn kind_of(kind: &str) -> String {
    let inner = |wrapper: &str| kind.strip_prefix(wrapper)?.strip_suffix('>').map(str::to_owned);
    if let Some(inner) = inner("Option<").or_else(|| inner("Box<")) {
        return kind_of(&inner);
    }
    if let Some(inner) = inner("Vec<") {
        return format!("list: {}", kind_of(&inner));
    }
    match kind {
        "bool" => "true or false".into(),
        "u8" | "u32" | "u64" | "i64" | "Position" => "number".into(),
        "Epoch" => "number: epoch".into(),
        "Micros" => "time: microseconds since 1970".into(),
        "Hex" | "Name" | "ToolName" => "text".into(),
        "ScopeSet" => "list: [scopes](scopes.md)".into(),
        "Code" => "[code](errors.md)".into(),
        "Target" => "[target](switch-targets.md)".into(),
        "ResourceId" => "id of a VM".into(),
        id if id.ends_with("Id") => format!("id of {}", words(id.trim_end_matches("Id"))),
        other => words(other),
    }
}

fn snake(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

fn words(name: &str) -> String {
    let text = snake(name).replace('_', " ");
    match text.as_str() {
        "user" => "a person".into(),
        "credential" => "a key".into(),
        "vm" => "a VM".into(),
        "account" | "event" | "invitation" => format!("an {text}"),
        "call" | "node" | "run" | "switch" => format!("a {text}"),
        _ => text,
    }
}
