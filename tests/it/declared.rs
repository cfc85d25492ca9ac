//! What tools declare and what the OpenAPI document says, held against every answer that a test gets over HTTP: the clients that
//! check results check them all, the errors too.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use forelog::http::api::openapi;
use forelog::tools::{catalogue, every_tool};
use reqwest::{Method, Request};
use serde_json::Value;

use crate::harness::Answer;

/// What a call was about, as far as a request says.
#[derive(Default)]
pub struct Asked {
    /// The tool of a route that is one.
    rest: Option<String>,
    /// Method and path, if it is of the API.
    path: Option<(Method, String)>,
    /// The tools of JSON-RPC messages, with their ids.
    calls: Vec<(Value, String)>,
}

/// The schema that is listed, and that of the result; a list over REST has a cursor, too.
struct Declared {
    listed: jsonschema::Validator,
    result: jsonschema::Validator,
}

/// What a call that goes on and one that failed are answered with, whatever the tool.
static OTHERS: LazyLock<[jsonschema::Validator; 2]> = LazyLock::new(|| {
    let schema = |name| jsonschema::validator_for(&DOCUMENT["components"]["schemas"][name]).expect("a schema");
    [schema("Running"), schema("Error")]
});

static DECLARED: LazyLock<BTreeMap<&'static str, Declared>> = LazyLock::new(|| {
    let tools = every_tool().expect("well-formed tools").into_iter();
    let declared = tools.map(|tool| {
        let mut result = tool.result;
        if result["properties"].get("items").is_some() && result["properties"].get("next_cursor").is_none() {
            result["properties"]["next_cursor"] = Value::Object(serde_json::Map::new());
        }
        let schema = |schema| jsonschema::validator_for(schema).expect("a schema");
        (tool.facts.name, Declared { listed: schema(&tool.output), result: schema(&result) })
    });
    declared.collect()
});

/// Holds a document of a tool against what it declares.
pub fn check(tool: &str, document: &Value) {
    let Some(declared) = DECLARED.get(tool) else { return };
    assert!(declared.listed.is_valid(document), "{tool} answers what it does not list: {document}");
    let is_other = OTHERS.iter().any(|other| other.is_valid(document));
    let faults: Vec<String> = declared.result.iter_errors(document).map(|fault| fault.to_string()).collect();
    assert!(is_other || faults.is_empty(), "{tool} answers what it does not declare: {faults:?} in {document}");
}

/// The OpenAPI document of the product.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| openapi::document(&catalogue().expect("a catalogue")));

/// The path of the document that a path is of; the one with the most words of its own.
pub fn template(path: &str) -> Option<&'static String> {
    let fits = |template: &str| {
        let (parts, given): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
        parts.len() == given.len() && parts.iter().zip(&given).all(|(part, given)| part == given || part.starts_with('{'))
    };
    let all = DOCUMENT["paths"].as_object().expect("paths").keys().filter(|template| fits(template));
    all.min_by_key(|template| template.matches('{').count())
}

/// Holds the answer of a path of the API against what the document says of it.
fn check_described(method: &Method, path: &str, status: u16, document: &Value) {
    let entry = template(path).map(|template| &DOCUMENT["paths"][template][method.as_str().to_lowercase()]);
    let responses = entry.map(|entry| &entry["responses"]).filter(|responses| responses.is_object());
    // A plant has tools of its own, which the product has not.
    let is_probe = path.starts_with("/api/v1/tools/") && responses.is_none();
    if is_probe || *method == Method::OPTIONS {
        return;
    }
    let schema = match responses.map(|responses| responses.get(status.to_string())) {
        Some(Some(response)) => response["content"]["application/json"]["schema"].clone(),
        _ if status >= 400 => serde_json::json!({ "$ref": "#/components/schemas/Error" }),
        _ => panic!("{method} {path} is answered {status}, and the document does not say so: {document}"),
    };
    assert!(!schema.is_null(), "{method} {path} is answered with JSON, and the document does not say so");
    let whole = match schema["$ref"].as_str() {
        Some(name) => DOCUMENT.pointer(name.trim_start_matches('#')).expect("a component").clone(),
        None => schema,
    };
    let checks = jsonschema::validator_for(&whole).expect("a schema");
    let faults: Vec<String> = checks.iter_errors(document).map(|fault| format!("{fault} at {}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{method} {path} ({status}) is not what the document says: {faults:?} in {document}");
}

impl Asked {
    /// What a request asks for.
    pub fn of(request: &Request) -> Self {
        let rest = request.url().path().strip_prefix("/api/v1/tools/").map(str::to_owned);
        let body: Option<Value> = request.body().and_then(|body| serde_json::from_slice(body.as_bytes()?).ok());
        let messages = match body {
            Some(Value::Array(messages)) => messages,
            Some(message) => vec![message],
            None => Vec::new(),
        };
        let calls = messages.iter().filter_map(|message| {
            let tool = message["params"]["name"].as_str().filter(|_| message["method"] == "tools/call")?;
            Some((message["id"].clone(), tool.to_owned()))
        });
        let path = request.url().path().strip_prefix("/api/v1").map(|_| request.url().path().trim_end_matches('/').to_owned());
        Self { rest, path: path.map(|path| (request.method().clone(), path)), calls: calls.collect() }
    }

    /// Holds the answer against it.
    pub fn check(&self, answer: &Answer) {
        let Ok(document) = serde_json::from_str::<Value>(&answer.text) else { return self.check_stream(answer) };
        if let Some(tool) = &self.rest {
            check(tool, &document);
        }
        // A file of one line may be JSON, too.
        let is_document = answer.header("content-type").starts_with("application/json");
        if let Some((method, path)) = self.path.as_ref().filter(|_| is_document) {
            check_described(method, path, answer.status.as_u16(), &document);
        }
        match &document {
            Value::Array(messages) => messages.iter().for_each(|message| self.check_message(message)),
            message => self.check_message(message),
        }
    }

    fn check_stream(&self, answer: &Answer) {
        let data = answer.text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok());
        data.for_each(|message: Value| self.check_message(&message));
    }

    fn check_message(&self, message: &Value) {
        let Some(structured) = message["result"].get("structuredContent") else { return };
        if let Some((_, tool)) = self.calls.iter().find(|(id, _)| *id == message["id"]) {
            check(tool, structured);
            let text: Value =
                serde_json::from_str(message["result"]["content"][0]["text"].as_str().expect("text")).expect("JSON");
            assert_eq!(text, *structured, "text and structure say the same");
        }
    }
}
