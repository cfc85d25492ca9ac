//! The configuration's reference says what the program reads: every key, no other, with its default and its bounds.

use std::collections::{BTreeMap, BTreeSet};

use forelog::config::{Config, EXAMPLE, KEYS};
use syn::{GenericArgument, Item, PathArguments, Type};

/// Every key of `src/config.rs` and its tables, down to what is no table of its own there.
fn keys() -> BTreeSet<String> {
    let files = [
        include_str!("../../src/config.rs"),
        include_str!("../../src/config/tables.rs"),
        include_str!("../../src/core/terms.rs"),
    ];
    let items = files.into_iter().flat_map(|text| syn::parse_file(text).expect("a Rust file").items);
    let structs = struct_fields(&items.collect::<Vec<_>>());
    let mut keys = BTreeSet::new();
    collect(&structs, "Config", "", &mut keys);
    keys
}

fn collect(structs: &BTreeMap<String, Vec<(String, String)>>, of: &str, above: &str, keys: &mut BTreeSet<String>) {
    for (field, kind) in &structs[of] {
        let path = if above.is_empty() { field.clone() } else { format!("{above}.{field}") };
        if structs.contains_key(kind) {
            collect(structs, kind, &path, keys);
        } else {
            keys.insert(path);
        }
    }
}

/// Names of fields and of their types, without what the types are wrapped in.
fn struct_fields(items: &[Item]) -> BTreeMap<String, Vec<(String, String)>> {
    let structs = items.iter().filter_map(|item| if let Item::Struct(found) = item { Some(found) } else { None });
    let fields = |found: &syn::ItemStruct| {
        let named = found.fields.iter().filter_map(|field| Some((field.ident.as_ref()?.to_string(), innermost(&field.ty)?)));
        (found.ident.to_string(), named.collect())
    };
    structs.map(fields).collect()
}

fn innermost(kind: &Type) -> Option<String> {
    let Type::Path(path) = kind else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return Some(last.ident.to_string()) };
    arguments.args.iter().find_map(|argument| if let GenericArgument::Type(inner) = argument { innermost(inner) } else { None })
}

/// A row of the reference: key, environment variable, default, values.
fn rows() -> BTreeMap<String, [String; 3]> {
    let page = include_str!("../../docs/configuration.md");
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect::<Vec<_>>();
    let rows = page.lines().filter(|line| line.starts_with("| `") && line.contains("`FORELOG_")).map(cells);
    rows.map(|cells| (cells[1].clone(), [cells[2].clone(), cells[3].clone(), cells[4].clone()])).collect()
}

/// The example with everything that it shows as a comment put into force.
fn uncommented() -> String {
    let is_setting = |line: &str| {
        line.starts_with('[')
            || line.split_once(" = ").is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    };
    let lines = EXAMPLE.lines().map(|line| line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn reference_names_every_key_and_no_other() {
    let (keys, rows) = (keys(), rows());
    assert!(keys.contains("limits.exec") && keys.contains("providers.qemu.image"), "{keys:?}");
    assert_eq!(rows.keys().cloned().collect::<BTreeSet<_>>(), keys, "docs/configuration.md");
    for (key, [variable, ..]) in &rows {
        assert_eq!(*variable, format!("FORELOG_{}", key.to_uppercase().replace('.', "__")), "{key}");
    }
    let top: BTreeSet<&str> = keys.iter().map(|key| key.split('.').next().expect("a key")).collect();
    assert_eq!(BTreeSet::from(KEYS), top, "what the environment may set");
}

#[test]
fn reference_example_shows_every_key_and_works() {
    let example: toml::Table = uncommented().parse().expect("TOML");
    for key in keys() {
        let found = key.split('.').try_fold(&toml::Value::Table(example.clone()), |at, part| at.get(part)).is_some();
        assert!(found, "docs/forelog.toml does not show {key}");
    }
    Config::parse(&uncommented()).expect("what the example shows can be used");
    let providers = "[providers.sim]\nmachines = [\"web-1\", \"db-1\", \"worker-1\"]";
    let (shown, ours) = (Config::parse(EXAMPLE).expect("the example"), Config::parse(providers).expect("the defaults"));
    assert_eq!(format!("{shown:?}"), format!("{ours:?}"), "the example's values are the defaults");
}

#[test]
fn reference_names_every_key_of_an_issuer_and_no_other() {
    let file = syn::parse_file(include_str!("../../src/auth/oidc/settings.rs")).expect("a Rust file");
    let keys: BTreeSet<String> = struct_fields(&file.items)["Settings"].iter().map(|(field, _)| field.clone()).collect();
    let page =
        include_str!("../../docs/configuration.md").split("## Signing in with OpenID Connect").nth(1).expect("the section");
    let cells =
        page.lines().take_while(|line| !line.starts_with("## ")).filter_map(|line| line.strip_prefix("| `")?.split('|').next());
    let named: BTreeSet<String> =
        cells.flat_map(|cell| cell.split(',')).map(|key| key.trim().trim_matches('`').to_owned()).collect();
    assert_eq!(named, keys, "docs/configuration.md");
    let example: toml::Table = uncommented().parse().expect("TOML");
    let shown: BTreeSet<String> = example["sign_in"]["oidc"]["corp"].as_table().expect("a table").keys().cloned().collect();
    assert_eq!(keys.difference(&shown).collect::<Vec<_>>(), ["client_secret"], "docs/forelog.toml shows the file instead");
}

#[test]
fn reference_states_the_bounds_that_are_enforced() {
    let bounded: Vec<(String, i64, i64)> = rows()
        .into_iter()
        .filter_map(|(key, [.., values])| {
            let (low, high) = values.split_once(" … ")?;
            Some((key, low.parse().ok()?, high.parse().ok()?))
        })
        .collect();
    assert!(bounded.len() >= 5, "{bounded:?}");
    for (key, low, high) in bounded {
        for (value, fits) in [(low - 1, false), (low, true), (high, true), (high + 1, false)] {
            let read = Config::parse(&format!("{key} = {value}"));
            assert_eq!(read.is_ok(), fits, "{key} = {value}");
            let error = read.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(fits || error.contains(key.rsplit('.').next().expect("a name")), "{error}");
        }
    }
}
