//! `search-fields.md`: what calls are searched by.

use forelog::core::call::Status;
use forelog::core::principal::Via;
use forelog::core::search::{Field, Search};
use forelog::core::time::Micros;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::json;

use super::declared_docs::{parse, variants};
use super::{code, hold, table};

const ABOUT: &str = "\
Conditions of a search: `FIELD:VALUE`, `FIELD:ONE,OTHER`, and `-FIELD:VALUE` for none of them. The console's search, `q` of `GET /api/v1/calls` and
`activity_list`, and exports take the same; most are query parameters of their own, too. [Searching calls](../search.md) has words, times and the rest.";

/// An example of each; a value that cannot be one is refused with what it has to be.
fn example(field: Field) -> &'static str {
    match field {
        Field::Account => "acc_01M8J1SKEEWZBHS0A0SCTJSJJT",
        Field::User => "usr_01M8J1SKEEWZBHS0A0SCTJSJJT",
        Field::Credential => "key_01M8J1SKEEWZBHS0A0SCTJSJJT",
        Field::Resource(_) => "vm_01M8J1SKEEWZBHS0A0SCTJSJJT",
        Field::Session => "9f86d081884c7d65",
        Field::Tool => "vm_power,vm_exec",
        Field::Via => "mcp",
        Field::Outcome => "refused,failed",
        Field::Code => "kill_switch_engaged",
        Field::Ip => "192.0.2.7",
        Field::Policy => "customer-not-staff",
        Field::Switch => "swi_01M8J1SKEEWZBHS0A0SCTJSJJT",
        Field::Call => "call_01M8J1SKEEWZBHS0A0SCTJSJJT",
    }
}

/// The words that a type may be.
fn words<T: JsonSchema>() -> String {
    let schema = json!(SchemaGenerator::default().into_root_schema_for::<T>());
    let plain = schema["enum"].as_array().into_iter().flatten();
    let documented = schema["oneOf"].as_array().into_iter().flatten().flat_map(|one| match one["enum"].as_array() {
        Some(words) => words.clone(),
        None => vec![one["const"].clone()],
    });
    let words: Vec<String> = plain.cloned().chain(documented).filter_map(|word| word.as_str().map(code)).collect();
    assert!(!words.is_empty(), "{schema}");
    words.join(", ")
}

fn values(field: Field) -> String {
    match field {
        Field::Via => words::<Via>(),
        Field::Outcome => words::<Status>(),
        Field::Code => "one of the [codes](errors.md)".into(),
        Field::Ip => "an IPv4 or IPv6 address".into(),
        Field::Tool => "one of the [tools](tools.md)".into(),
        _ => match Search::parse(&format!("{}:?", field.name()), Micros(0)) {
            Err(fault) => fault.why,
            Ok(_) => "any text".into(),
        },
    }
}

#[test]
fn reference_search_fields_page_has_every_field() {
    let known = variants(&parse(include_str!("../../../src/core/search/terms.rs")), "Field");
    let row = |field: Field| {
        let debug = format!("{field:?}");
        let kind = debug.split('(').next().expect("a name");
        let about = &known.iter().find(|variant| variant.name == kind).expect("a variant").about;
        let example = format!("{}:{}", field.name(), example(field));
        let read = Search::parse(&example, Micros(0)).expect("an example can be read");
        assert_eq!(read.terms.len(), 1, "{example}");
        vec![code(field.name()), about.clone(), values(field), code(example)]
    };
    let body = table(&["field", "meaning", "values", "example"], Field::ALL.into_iter().map(row));
    hold("search-fields.md", "Search fields", ABOUT, &body);
}
