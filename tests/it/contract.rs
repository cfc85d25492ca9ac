//! What tools promise their callers. Whatever a tool's schema accepts its handler reads, whatever it refuses is refused before
//! anything is decided, and no client of any era finds a schema that it cannot take.

use forelog::control::Reply;
use forelog::core::call::Status;
use forelog::core::code::Code;
use forelog::core::id::CallId;
use forelog::core::refusal::Refusal;
use forelog::tools::{Catalogue, Tool, catalogue};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::declared;
use crate::demo::Demo;

fn known() -> Catalogue {
    catalogue().expect("every schema compiles")
}

/// Every schema within a schema, with where it is.
fn within(path: &str, schema: &Value, into: &mut Vec<(String, Value)>) {
    into.push((path.to_owned(), schema.clone()));
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        within(&format!("{path}.{name}"), field, into);
    }
    if schema.get("items").is_some() {
        within(&format!("{path}[]"), &schema["items"], into);
    }
}

fn all_within(tool: &Tool, schema: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    within(tool.facts.name, schema, &mut all);
    all
}

/// Some clients pass schemas on to models that know a part of JSON Schema only, and drop the tool or the whole list for the rest.
#[test]
fn contract_input_schemas_are_what_every_client_takes() {
    let taken = [
        "type",
        "properties",
        "required",
        "additionalProperties",
        "description",
        "items",
        "enum",
        "pattern",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "uniqueItems",
        "default",
    ];
    for tool in known().iter() {
        for (path, schema) in all_within(tool, &tool.input) {
            assert!(schema["type"].is_string(), "{path} has one type: {schema}");
            for keyword in schema.as_object().expect("an object").keys() {
                assert!(taken.contains(&keyword.as_str()), "{path}: {keyword}");
            }
            assert!(schema.get("default") != Some(&Value::Null), "{path}");
            if schema["type"] == "integer" {
                let bound = |name: &str| schema[name].as_i64().expect("a bound of every integer");
                assert!(bound("minimum") <= bound("maximum") && bound("maximum") < 1 << 53, "{path}: exact in every language");
            }
        }
    }
}

/// A client compiles every output schema when it lists the tools, and checks every answer against it.
#[test]
fn contract_output_schemas_have_room_for_every_answer() {
    let call: CallId = "call_01JAAAAAAAAAAAAAAAAAAAAAAA".parse().expect("an id");
    for tool in known().iter() {
        for keyword in ["anyOf", "oneOf", "allOf", "not", "if", "$ref", "$defs", "required"] {
            assert!(tool.output.get(keyword).is_none(), "{}: {keyword} at the root", tool.facts.name);
        }
        for (path, schema) in all_within(tool, &tool.output) {
            assert!(["anyOf", "oneOf", "allOf", "not", "$ref", "format"].iter().all(|word| schema.get(word).is_none()), "{path}");
        }
        for answer in tool.result["required"].as_array().expect("what is always there") {
            let name = answer.as_str().expect("a name");
            assert!(tool.output["properties"].get(name).is_some(), "{}.{name}", tool.facts.name);
        }
        for status in [Status::Queued, Status::Running] {
            for command in [false, true] {
                declared::check(tool.facts.name, &Reply::Running { call: call.clone(), status, command }.document());
            }
        }
        for code in Code::ALL {
            let refusal = Refusal::new(*code, "No.").hint("Wait.").retry_after(std::time::Duration::from_secs(1));
            for call in [Some(call.clone()), None] {
                let refusal = refusal.clone().details(json!({ "run_id": "x" }));
                declared::check(tool.facts.name, &Reply::Failed { call, refusal, status: Status::Refused }.document());
            }
        }
    }
}

/// A value for a schema: often one that fits, often one that nearly does.
#[expect(clippy::needless_pass_by_value, reason = "a strategy outlives the schema that it is made from")]
fn value_for(schema: Value) -> BoxedStrategy<Value> {
    let fitting = match schema["type"].as_str() {
        Some("object") => object_for(&schema),
        Some("array") => prop::collection::vec(value_for(schema["items"].clone()), 0..3).prop_map(Value::from).boxed(),
        Some("integer") => {
            let (least, most) = (schema["minimum"].as_i64().unwrap_or(0), schema["maximum"].as_i64().unwrap_or(100));
            #[expect(clippy::cast_precision_loss, reason = "what a careless client sends")]
            prop_oneof![
                (least..=most).prop_map(Value::from),
                (least..=most).prop_map(|whole| json!(whole as f64)),
                Just(json!(least)),
                Just(json!(most)),
                Just(json!(most as f64)),
                Just(json!(-0.0)),
            ]
            .boxed()
        }
        Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
        _ if schema.get("enum").is_some() => prop::sample::select(schema["enum"].as_array().cloned().unwrap_or_default()).boxed(),
        _ if schema.get("pattern").is_some() => {
            prop::string::string_regex(schema["pattern"].as_str().unwrap_or_default().trim_matches(['^', '$']))
                .expect("a pattern")
                .prop_map(Value::from)
                .boxed()
        }
        _ => prop_oneof![
            "\\PC{1,20}".prop_map(Value::from),
            "[a-z:<>*\" -]{1,20}".prop_map(Value::from),
            Just(json!("2026-07-28T12:00:00Z")),
            Just(json!("2026-02-30T12:00:00Z")),
            Just(json!("\u{0}")),
            Just(json!("数据库\u{202e}")),
            Just(json!("acc_8ZZZZZZZZZZZZZZZZZZZZZZZZZ")),
        ]
        .boxed(),
    };
    let odd = prop_oneof![
        Just(Value::Null),
        Just(json!(true)),
        Just(json!("")),
        Just(json!(0)),
        Just(json!(-1)),
        Just(json!(1e30)),
        Just(json!(1.5)),
        Just(json!(u64::MAX)),
        Just(json!(i64::MIN)),
        Just(json!(9_007_199_254_740_993_i64)),
        Just(json!([])),
        Just(json!({})),
        Just(json!(f64::MIN_POSITIVE)),
        Just(json!("x".repeat(9000))),
    ];
    prop_oneof![8 => fitting, 1 => odd].boxed()
}

fn object_for(schema: &Value) -> BoxedStrategy<Value> {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut fields = Just(Map::new()).boxed();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let (name, value) = (name.clone(), value_for(field.clone()));
        let likely = if required.contains(&name.as_str()) { 0.97 } else { 0.5 };
        let value = prop::option::weighted(likely, value);
        fields = (fields, value)
            .prop_map(move |(mut fields, value)| {
                fields.extend(value.map(|value| (name.clone(), value)));
                fields
            })
            .boxed();
    }
    fields.prop_map(Value::Object).boxed()
}

/// The words of faults.
const RULES: [&str; 14] = [
    "type",
    "required",
    "additionalProperties",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "maxItems",
    "uniqueItems",
    "minItems",
    "format",
    "no NUL",
];

/// Whether a whole number stands anywhere as a float.
fn has_whole_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64() && number.as_f64().is_some_and(|float| float.fract() == 0.0),
        Value::Array(items) => items.iter().any(has_whole_float),
        Value::Object(fields) => fields.values().any(has_whole_float),
        _ => false,
    }
}

fn check_one(catalogue: &Catalogue, tool: &Tool, sent: &Value) {
    let name = tool.facts.name;
    let args = catalogue.plain(name, sent.clone());
    assert_eq!(args, catalogue.plain(name, args.clone()), "{name}: one form has one form");
    match catalogue.read(tool, &args) {
        Ok(read) => {
            // What the schema and the handler see are whole numbers, and nothing is null.
            assert!(!has_whole_float(&args), "{name}: {args}");
            // Neither may a guard fall over what it is given.
            let _ = (tool.handler.guard(&read, &[]), tool.handler.enables_exec(&read));
        }
        Err(refusal) => {
            assert_eq!(refusal.code, Code::ValidationFailed);
            for fault in refusal.details["faults"].as_array().expect("faults") {
                assert!(fault["rule"].as_str().is_some_and(|rule| RULES.contains(&rule)), "{name}: {fault}");
                let expected = fault.get("expected").and_then(Value::as_str);
                let types = ["string", "integer", "number", "boolean", "object", "array", "null"];
                assert!(expected.is_none_or(|expected| types.contains(&expected)), "{name}: {fault}");
            }
        }
    }
}

#[test]
fn contract_what_a_schema_accepts_its_handler_reads() {
    let catalogue = known();
    for tool in catalogue.iter() {
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 300, ..ProptestConfig::default() });
        let checked = runner.run(&object_for(&tool.input), |sent| {
            check_one(&catalogue, tool, &sent);
            Ok(())
        });
        checked.unwrap_or_else(|error| panic!("{}: {error}", tool.facts.name));
    }
}

/// Whoever reads his arguments as a type of his own has said so, so that the type is tried before anything is decided.
#[test]
fn contract_every_handler_says_as_what_it_reads() {
    let catalogue = known();
    let fixed = ["vm_id", "confirm", "confirmation", "idempotency_key"];
    for tool in catalogue.iter() {
        let fields = tool.input["properties"].as_object().expect("properties");
        for (name, _) in fields.iter().filter(|(name, _)| !fixed.contains(&name.as_str())) {
            // A value that no type of Rust is read from.
            let args = json!({ name.as_str(): { "x": [{}] } });
            let whole: Map<String, Value> = fields.keys().map(|name| (name.clone(), json!({ "x": [{}] }))).collect();
            let read = tool.handler.read(&args).is_err() || tool.handler.read(&json!(whole)).is_err();
            assert!(read, "{}.{name} is read as nothing", tool.facts.name);
        }
    }
}

#[test]
fn contract_slips_of_form_are_no_difference() {
    let catalogue = known();
    let same = [
        ("vm_list", json!({ "limit": 10.0 }), json!({ "limit": 10 })),
        ("vm_list", json!({ "limit": 10, "cursor": null }), json!({ "limit": 10 })),
        (
            "vm_exec",
            json!({ "vm_id": "x", "command": "y", "timeout_seconds": 3e1 }),
            json!({ "vm_id": "x", "command": "y", "timeout_seconds": 30 }),
        ),
        (
            "key_create",
            json!({ "limit": { "admit": 1.0, "window_ms": 6e4 }, "vms": null }),
            json!({ "limit": { "admit": 1, "window_ms": 60_000 } }),
        ),
        ("command_logs", json!({ "command_id": "x", "stdout_offset": -0.0 }), json!({ "command_id": "x", "stdout_offset": 0 })),
    ];
    for (tool, sent, plain) in same {
        assert_eq!(catalogue.plain(tool, sent), plain, "{tool}");
    }
    let kept = [
        ("vm_list", json!({ "limit": 10.5 })),
        ("vm_list", json!({ "limit": "10" })),
        ("vm_list", json!({ "sudo": null })),
        ("vm_get", json!({ "vm_id": null })),
        ("vm_list", json!([1.0])),
        ("vm_list", json!(null)),
        ("no_such_tool", json!({ "limit": 10.0, "x": null })),
    ];
    for (tool, sent) in kept {
        assert_eq!(catalogue.plain(tool, sent.clone()), sent, "{tool}: that is for the schema to refuse");
    }
}

/// Generated arguments, against the product as it ships: what the schema accepts ends with a document that the tool declares and
/// never with a fault of ours; what it refuses is refused.
#[tokio::test]
async fn contract_generated_calls_of_every_tool_end_as_declared() {
    use proptest::strategy::ValueTree;
    let demo = Demo::start().await;
    let catalogue = known();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let vm = demo.document()["vms"][0]["id"].clone();
    // What stops the caller comes last, and what waits for long is left out.
    let tools = catalogue.iter().filter(|tool| tool.facts.name != "panic_engage" && tool.facts.name != "policy_reload");
    for tool in tools {
        let key = if tool.is_hidden() { demo.text("/staff/api_key") } else { demo.customer_key() };
        for _ in 0..6 {
            let mut args = object_for(&tool.input).new_tree(&mut runner).expect("arguments").current();
            if let Some(named) = args.get_mut("vm_id") {
                *named = vm.clone();
            }
            if args.get("timeout_seconds").is_some() {
                args["timeout_seconds"] = json!(1.0);
            }
            let plain = catalogue.plain(tool.facts.name, args.clone());
            let url = format!("{}/api/v1/tools/{}", demo.text("/base_url"), tool.facts.name);
            let answer = client.post(url).bearer_auth(key).json(&args).send().await.expect("an answer");
            let document: Value = answer.json().await.expect("JSON");
            declared::check(tool.facts.name, &document);
            let code = document["error"]["code"].as_str().unwrap_or_default();
            assert!(
                !["internal_error", "audit_unavailable", "outcome_unknown"].contains(&code),
                "{} {args}: {document}",
                tool.facts.name
            );
            if catalogue.read(tool, &plain).is_err() {
                assert!(!code.is_empty(), "{} {args}: {document}", tool.facts.name);
            }
        }
    }
}
