//! The catalogue as clients see it: names for ever, schemas that compile, a class for every field, text that instructs
//! nobody. `catalogue.json` is the list of tools; a change of it is a change of the contract.

use std::collections::BTreeSet;

use forelog::core::call::Outcome;
use forelog::core::redact::{Classes, Sensitivity, redact};
use forelog::core::tool::{Class, Risk};
use forelog::policy::schema;
use forelog::tools::{Catalogue, Tool, catalogue};
use serde_json::{Value, json};

/// The list as it is checked in.
const LISTED: &str = include_str!("catalogue.json");

fn known() -> Catalogue {
    catalogue().expect("every schema compiles")
}

fn tool<'a>(catalogue: &'a Catalogue, name: &str) -> &'a Tool {
    catalogue.get(name).expect("the tool")
}

/// Every declaration, whole: schemas, classes and texts.
const DECLARED: &str = "tests/it/golden/declarations.json";

#[test]
fn catalogue_declarations_are_those_that_are_checked_in() {
    let whole = |tool: &Tool| {
        json!({
            "name": tool.facts.name, "title": tool.title, "description": tool.description,
            "input": tool.input, "arguments": tool.arguments,
            "output": tool.output, "result": tool.result, "results": tool.results,
            "time_limit_ms": u64::try_from(tool.time_limit.as_millis()).expect("a time"),
        })
    };
    let now: Vec<Value> = known().iter().map(whole).collect();
    let text = serde_json::to_string_pretty(&now).expect("text") + "\n";
    let place = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("declarations.json");
    std::fs::write(&place, &text).expect("written");
    let listed = std::fs::read_to_string(DECLARED).expect("the list");
    let listed: Vec<Value> = serde_json::from_str(&listed).expect("a list");
    for (now, listed) in now.iter().zip(&listed) {
        assert_eq!(now, listed, "a declaration has changed; if that is meant, {} is the new list", place.display());
    }
    assert_eq!(now.len(), listed.len(), "if that is meant, {} is the new list", place.display());
}

/// What a client may rely on.
fn summary(tool: &Tool) -> Value {
    let facts = tool.facts;
    let names = |schema: &Value| schema["properties"].as_object().map(|fields| fields.keys().cloned().collect::<BTreeSet<_>>());
    json!({
        "name": facts.name,
        "scope": facts.scope.map(forelog::core::scope::Scope::as_str),
        "class": facts.class.as_str(),
        "risk": format!("{:?}", facts.risk).to_lowercase(),
        "or": facts.or.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
        "stops": facts.stops,
        "hidden": tool.is_hidden(),
        "arguments": names(&tool.input),
        "required": tool.input["required"],
        "results": names(&tool.output),
    })
}

#[test]
fn catalogue_list_is_the_one_that_is_checked_in() {
    let now: Vec<Value> = known().iter().map(summary).collect();
    let listed: Vec<Value> = serde_json::from_str(LISTED).expect("a list");
    let text = serde_json::to_string_pretty(&now).expect("text");
    assert_eq!(now, listed, "the contract has changed; if that is meant, tests/it/catalogue.json is to hold:\n{text}");
}

#[test]
fn catalogue_every_tool_takes_a_right_or_says_why_it_takes_none() {
    for tool in known().iter() {
        let facts = tool.facts;
        assert_eq!(facts.scope.is_none(), facts.open.is_some(), "{}: a right, or a reason", facts.name);
        assert!(facts.open.is_none_or(|why| why.ends_with('.') && why.len() > 20), "{}: {:?}", facts.name, facts.open);
        assert!(facts.scope.is_some() || facts.or.is_empty(), "{}: another right beside none", facts.name);
    }
}

/// Who ends something has to find it first, also while everything is stopped.
#[test]
fn catalogue_what_can_be_ended_is_listed_while_all_is_stopped() {
    let catalogue = known();
    let ends = catalogue.iter().filter(|tool| tool.facts.stops && tool.is_hidden() && !tool.facts.name.ends_with("_list"));
    let nouns: BTreeSet<&str> = ends.filter_map(|tool| Some(tool.facts.name.rsplit_once('_')?.0)).collect();
    assert!(nouns.is_superset(&BTreeSet::from(["key", "person", "invitation", "session", "switch"])), "{nouns:?}");
    for noun in nouns {
        let Some(list) = catalogue.get(&format!("{noun}_list")) else { continue };
        assert!(list.facts.stops, "{} is stopped with everything", list.facts.name);
    }
}

#[test]
fn catalogue_who_only_reads_stops_and_administers_nothing() {
    let catalogue = known();
    let may_not: Vec<&str> = catalogue.iter().filter(|tool| tool.facts.administers).map(|tool| tool.facts.name).collect();
    assert_eq!(
        may_not,
        [
            "alarm_acknowledge",
            "clock_accept",
            "invitation_revoke",
            "key_revoke",
            "person_remove",
            "session_end",
            "switch_release"
        ]
    );
}

#[test]
fn catalogue_names_are_lower_snake_and_short() {
    for tool in known().iter() {
        let name = tool.facts.name;
        assert!((1..=40).contains(&name.len()), "{name}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
    }
}

#[test]
fn catalogue_schemas_are_json_schema_2020_12_and_allow_nothing_else() {
    for tool in known().iter() {
        for schema in [&tool.input, &tool.result, &tool.output] {
            let name = tool.facts.name;
            jsonschema::meta::validate(schema).unwrap_or_else(|error| panic!("{name}: {error}"));
            jsonschema::draft202012::new(schema).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(schema["type"], "object", "{name}");
        }
        for schema in [&tool.input, &tool.result] {
            assert_eq!(schema["additionalProperties"], false, "{}", tool.facts.name);
        }
    }
}

/// Every path of a schema that no field above it has a class for, and that ends there.
fn ends(schema: &Value, path: &str, classes: &Classes, into: &mut Vec<String>) {
    if classes.contains_key(path) {
        return;
    }
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let fields: Vec<(&String, &Value)> = schema["properties"].as_object().into_iter().flatten().collect();
    for (name, inner) in &fields {
        ends(inner, &below(name), classes, into);
    }
    if schema["items"].is_object() {
        ends(&schema["items"], &below("*"), classes, into);
    } else if fields.is_empty() {
        into.push(path.to_owned());
    }
}

fn described(schema: &Value, path: &str) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        assert!(inner["description"].is_string(), "{path}.{name}");
        assert!(inner.get("x-class").is_none(), "{path}.{name} is published with its class");
        described(inner, &format!("{path}.{name}"));
        described(&inner["items"], &format!("{path}.{name}[]"));
    }
}

#[test]
fn catalogue_every_path_has_a_class_and_a_description() {
    for tool in known().iter() {
        for (schema, classes) in [(&tool.input, &tool.arguments), (&tool.result, &tool.results)] {
            let mut unclassed = Vec::new();
            for (name, inner) in schema["properties"].as_object().expect("properties") {
                ends(inner, name, classes, &mut unclassed);
            }
            assert!(unclassed.is_empty(), "{}: {unclassed:?}", tool.facts.name);
            described(schema, tool.facts.name);
        }
    }
}

#[test]
fn catalogue_arguments_are_bounded() {
    for tool in known().iter() {
        for (field, schema) in tool.input["properties"].as_object().expect("properties") {
            let bounded = match schema["type"].as_str() {
                Some("string") => ["maxLength", "enum", "pattern"].iter().any(|bound| schema.get(bound).is_some()),
                Some("integer") => schema.get("minimum").is_some() && schema.get("maximum").is_some(),
                Some("array") => {
                    schema.get("maxItems").is_some()
                        && ["maxLength", "pattern"].iter().any(|bound| schema["items"].get(bound).is_some())
                }
                Some("object") => schema["additionalProperties"] == json!(false),
                Some("boolean") => true,
                _ => schema.get("maxLength").is_some(),
            };
            assert!(bounded, "{}.{field}: {schema}", tool.facts.name);
        }
    }
}

fn texts(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            into.extend(fields.get("description").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|inner| texts(inner, into));
        }
        Value::Array(items) => items.iter().for_each(|inner| texts(inner, into)),
        _ => {}
    }
}

#[test]
fn catalogue_text_instructs_nobody() {
    let orders = ["you", "your", "must", "should", "please", "always", "never", "important", "ignore"];
    for tool in known().iter() {
        let mut all = vec![tool.title.to_owned(), tool.description.to_owned()];
        texts(&tool.input, &mut all);
        for text in all {
            let lower = text.to_lowercase();
            let order = lower.split(|c: char| !c.is_alphanumeric()).find(|word| orders.contains(word));
            assert_eq!(order, None, "{}: {text}", tool.facts.name);
        }
    }
}

#[test]
fn catalogue_writes_accept_an_idempotency_key() {
    for tool in known().iter().filter(|tool| !tool.reads() && !tool.facts.stops && !tool.facts.name.ends_with("_list")) {
        assert!(tool.input["properties"].get("idempotency_key").is_some(), "{}", tool.facts.name);
    }
}

#[test]
fn catalogue_guards_follow_the_risk() {
    let (catalogue, vm) = (known(), crate::fixtures::machine(1, 1));
    for tool in catalogue.iter().filter(|tool| tool.facts.class != Class::Control) {
        let fields = tool.input["properties"].as_object().expect("properties");
        assert_eq!(fields.contains_key("confirm"), tool.facts.risk == Risk::R3, "{}", tool.facts.name);
        assert_eq!(fields.contains_key("confirmation"), tool.facts.risk == Risk::R3p, "{}", tool.facts.name);
    }
    let about = [vm.resource()];
    let asked = |name: &str, args: Value| {
        let tool = tool(&catalogue, name);
        tool.handler.guard(&tool.handler.read(&args).expect("arguments"), &about)
    };
    let power = |args: Value| asked("vm_power", args);
    assert_eq!(power(json!({ "action": "start" })), None);
    for action in ["shutdown", "reboot", "stop", "reset"] {
        let refusal = power(json!({ "action": action })).expect(action);
        assert_eq!(refusal.code.as_str(), "confirmation_required");
        assert_eq!(refusal.details["required"]["confirm"], true);
        assert_eq!(refusal.details["add"], json!({ "confirm": true }));
        assert_eq!(refusal.details["required"]["current_label"], vm.label);
        assert_eq!(power(json!({ "action": action, "confirm": true })), None);
    }
    let exec = |args: Value| asked("vm_exec_set", args);
    for (enabled, word) in [(true, "ENABLE"), (false, "DISABLE")] {
        let phrase = format!("{word} MCP EXEC {}", vm.id);
        let missing = exec(json!({ "enabled": enabled })).expect("a refusal");
        assert_eq!(missing.details["required"]["confirmation_template"], phrase);
        assert_eq!(missing.details["add"], json!({ "confirmation": phrase }));
        let wrong = exec(json!({ "enabled": enabled, "confirmation": phrase.to_lowercase() })).expect("a refusal");
        assert_eq!((wrong.code.as_str(), &wrong.details["add"]), ("phrase_mismatch", &missing.details["add"]));
        assert_eq!(exec(json!({ "enabled": enabled, "confirmation": phrase })), None);
    }
}

#[test]
fn catalogue_a_queued_command_is_recorded_whole_or_refused() {
    let catalogue = known();
    let start = tool(&catalogue, "command_start");
    let longest = "\u{1}".repeat(8 * 1024);
    let args = json!({ "vm_id": "web-1", "command": longest });
    assert!(catalogue.read(start, &args).is_ok());
    let recorded = redact(&args, &start.arguments);
    assert_eq!(recorded, args, "a worker reads the command back from what is recorded");
    assert!(recorded.to_string().len() < forelog::log::vault::PART_MAX);
    let token = json!({ "vm_id": "web-1", "command": format!("curl -H 'Authorization: ghp_{}'", "a".repeat(36)) });
    let refusal = start.handler.guard(&start.handler.read(&token).expect("arguments"), &[]).expect("a refusal");
    assert_eq!(refusal.code.as_str(), "validation_failed");
}

#[test]
fn catalogue_a_new_key_is_never_recorded() {
    let catalogue = known();
    for name in ["key_create", "key_rotate"] {
        let results = &tool(&catalogue, name).results;
        assert_eq!(results.get("api_key"), Some(&Sensitivity::Secret));
        let recorded = redact(&json!({ "api_key": "flk_live_secret" }), results);
        assert!(!recorded.to_string().contains("flk_live"), "{recorded}");
    }
}

#[test]
fn catalogue_provider_errors_end_calls_as_they_should() {
    use forelog::providers::compute::ProviderError;
    let ends = [
        (ProviderError::NotFound("m".into()), "not_found"),
        (ProviderError::State("off".into()), "vm_state_blocked"),
        (ProviderError::Unsupported("this"), "not_implemented"),
        (ProviderError::GuestUnavailable("quiet".into()), "guest_agent_unavailable"),
        (ProviderError::Refused("no".into()), "upstream_error"),
        (ProviderError::Unreachable("down".into()), "upstream_unreachable"),
    ];
    for (error, code) in ends {
        match Outcome::from(error) {
            Outcome::Failed(refusal) => assert_eq!(refusal.code.as_str(), code),
            other => panic!("{code}: {other:?}"),
        }
    }
    assert!(matches!(Outcome::from(ProviderError::AnswerLost("late".into())), Outcome::Unknown(_)));
}

#[test]
fn catalogue_cedar_schema_is_the_one_that_is_checked_in() {
    let facts: Vec<_> = known().iter().map(|tool| tool.facts).collect();
    let checked_in = include_str!("../../policies/schema.cedarschema");
    let now = schema(&facts);
    assert_eq!(now, checked_in, "policies/schema.cedarschema is to hold:\n{now}");
}

/// Where a schema has a field for somebody's e-mail address, as paths of classes.
fn addresses(schema: &Value, path: &str, into: &mut Vec<String>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if name.contains("email") {
            into.push(path.clone());
        }
        addresses(inner, &path, into);
        addresses(&inner["items"], &format!("{path}.*"), into);
    }
}

/// What is erased of a person is not kept beside the vault: an address is secret, or in a list, of which only ids are recorded.
#[test]
fn catalogue_no_record_of_a_call_keeps_an_address() {
    let mut found = 0;
    for tool in known().iter() {
        for (schema, classes) in [(&tool.input, &tool.arguments), (&tool.result, &tool.results)] {
            let mut paths = Vec::new();
            addresses(schema, "", &mut paths);
            found += paths.len();
            let is_kept = |path: &String| classes.get(path.as_str()) != Some(&forelog::core::redact::Sensitivity::Secret);
            let kept: Vec<_> = paths.into_iter().filter(is_kept).collect();
            assert!(kept.is_empty() || tool.facts.lists(), "{}: {kept:?}", tool.facts.name);
        }
    }
    assert!(found >= 4, "the invitation and the lists of people have them");
}

/// What does not fit is said by argument, in words, with what would; never what was given, nor a name that is not ours.
#[test]
fn catalogue_what_does_not_fit_is_said_in_words() {
    let catalogue = known();
    let said = |name: &str, args: Value| {
        let refusal = catalogue.read(tool(&catalogue, name), &args).err().expect("it does not fit");
        (refusal.message, refusal.hint.unwrap_or_default())
    };
    for (name, args, words) in [
        (
            "vm_power",
            json!({ "vm_id": "web-1", "action": "restart" }),
            "action must be one of start, shutdown, reboot, stop, reset.",
        ),
        ("vm_power", json!({ "action": "start" }), "vm_id is missing."),
        ("vm_power", json!({ "vm_id": 7, "action": "start" }), "vm_id must be of type string, and is of type integer."),
        ("vm_power", json!([]), "they must be of type object, and are of type array."),
        (
            "vm_power",
            json!({ "vm_id": "a", "action": "start", "hunter2": 1 }),
            "one of the arguments is unknown: the tool takes no such name.",
        ),
        ("activity_list", json!({ "limit": 0 }), "limit must be at least 1."),
        ("activity_list", json!({ "limit": 1000 }), "limit must be at most 200."),
        (
            "vm_power",
            json!({ "vm_id": 7, "action": "restart" }),
            "vm_id must be of type string, and is of type integer; action must be one of start, shutdown, reboot, stop, reset.",
        ),
        (
            "switch_release",
            json!({ "id": "x", "reason": "over" }),
            "id must be swi_ followed by 26 characters, as the lists show it.",
        ),
        ("vm_get", json!({ "vm_id": "" }), "vm_id must have at least 1 character."),
    ] {
        let (message, hint) = said(name, args);
        assert_eq!(message, format!("The arguments do not fit the schema: {words}"));
        assert!(
            hint.starts_with("It takes ") && hint.contains("idempotency_key") | hint.contains("vm_id") | hint.contains("limit"),
            "{hint}"
        );
        assert!(!message.contains("hunter2") && !message.contains("restart"));
    }
}
