//! What tools declare, held against every answer that a test gets over HTTP: the clients that check results check them all, the
//! errors too.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use forelog::tools::every_tool;
use reqwest::Request;
use serde_json::Value;

use crate::harness::Answer;

/// What a call was about, as far as a request says.
#[derive(Default)]
pub struct Asked {
    /// The tool of a route that is one.
    rest: Option<String>,
    /// The tools of JSON-RPC messages, with their ids.
    calls: Vec<(Value, String)>,
}

/// A schema, and what a result has always.
struct Declared {
    schema: jsonschema::Validator,
    answers: Vec<&'static str>,
}

static DECLARED: LazyLock<BTreeMap<&'static str, Declared>> = LazyLock::new(|| {
    let tools = every_tool().into_iter();
    let declared = tools.map(|tool| {
        let schema = jsonschema::validator_for(&tool.output).expect("a schema");
        (tool.facts.name, Declared { schema, answers: tool.answers })
    });
    declared.collect()
});

/// Holds a document of a tool against what it declares.
pub fn check(tool: &str, document: &Value) {
    let Some(declared) = DECLARED.get(tool) else { return };
    let faults: Vec<String> = declared.schema.iter_errors(document).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{tool} answers what it does not declare: {faults:?} in {document}");
    let goes_on = document["operation_id"].is_string() && document["status"].is_string();
    let has_all = declared.answers.iter().all(|name| document.get(*name).is_some());
    assert!(has_all || document["error"].is_object() || goes_on, "{tool} leaves out what it always answers: {document}");
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
        Self { rest, calls: calls.collect() }
    }

    /// Holds the answer against it.
    pub fn check(&self, answer: &Answer) {
        let Ok(document) = serde_json::from_str::<Value>(&answer.text) else { return self.check_stream(answer) };
        if let Some(tool) = &self.rest {
            check(tool, &document);
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
