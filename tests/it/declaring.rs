//! Declarations that are not well-formed, and a tool that answers what it does not declare: each is found.

use forelog::core::call::Outcome;
use forelog::core::code::Code;
use forelog::core::redact::Sensitivity::{Content, Public, Secret};
use forelog::core::scope::Scope;
use forelog::tools::Tool;
use forelog::tools::declare::{Declared, Kept, Nothing, Operation, reading, write};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::harness::TestApp;
use crate::test_node::LIE;

#[derive(Clone, Deserialize, Serialize, JsonSchema)]
struct Classed {
    /// A name.
    #[schemars(extend("x-class" = Public), length(min = 1, max = 4))]
    name: String,
    /// Parts.
    #[serde(default)]
    #[schemars(length(max = 3))]
    parts: Vec<Part>,
    /// Anything at all, for people.
    #[schemars(extend("x-class" = Content))]
    note: Option<Value>,
}

#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Part {
    /// Its size.
    #[schemars(extend("x-class" = Public), range(min = 1, max = 9))]
    size: u32,
    /// Its key.
    #[schemars(extend("x-class" = Secret), length(max = 9))]
    key: Option<String>,
}

#[derive(Clone, Deserialize, Serialize, JsonSchema)]
struct Unclassed {
    /// A name.
    name: String,
}

#[derive(Clone, Deserialize, Serialize, JsonSchema)]
struct Deep {
    /// Parts.
    parts: Vec<Unclassed>,
}

#[derive(Clone, Deserialize, Serialize, JsonSchema)]
struct Twice {
    /// Parts.
    #[schemars(extend("x-class" = Public))]
    parts: Vec<Part>,
}

#[derive(Clone, Deserialize, Serialize, JsonSchema)]
struct Open {
    /// Anything.
    anything: Value,
}

#[derive(Clone, Deserialize, Serialize, JsonSchema)]
struct Either {
    /// One or the other.
    #[schemars(extend("x-class" = Public))]
    either: OneOf,
}

#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
enum OneOf {
    /// A number.
    Number(u32),
    /// A text.
    Text(String),
}

macro_rules! takes {
    ($name:ident, $args:ty) => {
        static $name: Operation<$args, Classed> = write("probe_write")
            .scope(Scope::VmsWrite)
            .title("Probe")
            .about("Does nothing.")
            .run(|_, _| Box::pin(async { Err(Outcome::Cancelled(Code::Cancelled)) }));
    };
}

takes!(CLASSED, Classed);
takes!(UNCLASSED, Unclassed);
takes!(DEEP, Deep);
takes!(TWICE, Twice);
takes!(OPEN, Open);
takes!(EITHER, Either);

static ANSWERS: Operation<Nothing, Unclassed> = reading("probe_read")
    .title("Probe")
    .about("Does nothing.")
    .run(|_, _| Box::pin(async { Err(Outcome::Cancelled(Code::Cancelled)) }));
static MAX_KEPT: Operation<Nothing, Kept<Deep>> = reading("probe_read")
    .title("Probe")
    .about("Does nothing.")
    .run(|_, _| Box::pin(async { Err(Outcome::Cancelled(Code::Cancelled)) }));
static SILENT: Operation<Nothing, Classed> =
    reading("probe_read").title("Probe").run(|_, _| Box::pin(async { Err(Outcome::Cancelled(Code::Cancelled)) }));

#[tokio::test]
async fn contract_a_tool_that_answers_what_it_does_not_declare_is_found() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let honest = app.call(&key, "probe_write", json!({ "text": "a" })).await;
    assert!(honest.json()["ran"].is_u64(), "{honest:?}");
    let lies = app.call(&key, "probe_write", json!({ "text": LIE })).await;
    assert_eq!(lies.code(), "internal_error", "{lies:?}");
    assert_eq!(lies.json()["error"]["details"]["faults"][0]["path"], "/ran", "{lies:?}");
}

fn fault(declared: &'static dyn Declared) -> String {
    declared.tool().err().expect("it is not well-formed").to_string()
}

#[test]
fn catalogue_a_path_without_a_class_is_refused() {
    for (declared, path) in [
        (&UNCLASSED as &dyn Declared, "name has no class"),
        (&DEEP, "parts.*.name has no class"),
        (&OPEN, "anything has no class"),
        (&ANSWERS, "name has no class"),
        (&MAX_KEPT, "parts.*.name has no class"),
        (&TWICE, " has a class, and what it is in has one"),
        (&EITHER, "either is more than one type of document"),
        (&SILENT, "does not say what it does"),
    ] {
        let fault = fault(declared);
        assert!(fault.contains(path), "{path}: {fault}");
    }
}

#[test]
fn catalogue_schemas_and_classes_come_from_the_types() {
    let tool: Tool = CLASSED.tool().expect("it is well-formed");
    let classes: Vec<(&str, _)> = tool.arguments.iter().map(|(path, class)| (path.as_str(), *class)).collect();
    let listed =
        [("idempotency_key", Content), ("name", Public), ("note", Content), ("parts.*.key", Secret), ("parts.*.size", Public)];
    assert_eq!(classes, listed);
    assert_eq!(tool.input["required"], json!(["name"]));
    assert_eq!(
        tool.input["properties"]["name"],
        json!({ "type": "string", "minLength": 1, "maxLength": 4, "description": "A name." })
    );
    assert_eq!(
        tool.input["properties"]["parts"]["items"],
        json!({
            "type": "object", "additionalProperties": false, "required": ["size"],
            "properties": {
                "size": { "type": "integer", "minimum": 1, "maximum": 9, "description": "Its size." },
                "key": { "type": "string", "maxLength": 9, "description": "Its key." },
            },
        })
    );
    assert_eq!(tool.input["properties"]["note"], json!({ "description": "Anything at all, for people." }));
    assert_eq!(tool.result["required"], json!(["name", "parts", "note"]));
    assert_eq!(
        tool.result["properties"]["parts"]["items"]["properties"]["key"],
        json!({ "type": ["string", "null"], "description": "Its key." })
    );
    let listed = json!({ "type": "object", "properties": { "name": {}, "parts": { "type": "array" }, "note": {} } });
    assert_eq!(tool.output, listed);
    let read = tool.handler.read(&json!({ "name": "a", "idempotency_key": "k" })).expect("arguments");
    assert_eq!(read.of::<Classed>().map(|args| args.name.as_str()), Some("a"));
    assert!(read.of::<Unclassed>().is_none(), "they are of one type");
}
