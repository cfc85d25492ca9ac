//! The routes of the API and its OpenAPI document come from the same declarations: whatever is in the one is in the other, and
//! is answered as it says. That each body fits its schema is looked at for every answer that any test gets (`declared.rs`).

use std::collections::BTreeSet;

use forelog::core::principal::Side;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::declared::DOCUMENT;
use crate::harness::{TestApp, send};

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// The methods that the document has for a path.
fn described(path: &str) -> BTreeSet<String> {
    DOCUMENT["paths"][path].as_object().expect("methods").keys().map(|method| method.to_uppercase()).collect()
}

/// A path of the document with something in its parts.
fn filled(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "nothing" } else { part }).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn rest_router_and_document_have_the_same_routes() {
    let app = TestApp::start().await;
    let key = app.key(|_| {}).await;
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    assert!(paths.len() > 60, "the document was not made: {}", paths.len());
    for path in paths.keys() {
        let described = described(path);
        for slash in ["", "/"] {
            for method in METHODS {
                let asked = app.ask(&key, method.clone(), &format!("{}{slash}", filled(path)));
                let is_described = described.contains(method.as_str());
                if method == Method::GET && path.ends_with("/live") {
                    // It never ends by itself.
                    assert_eq!(asked.send().await.expect("an answer").status(), StatusCode::OK, "{path}{slash}");
                    continue;
                }
                let answer = send(asked).await;
                assert_eq!(answer.status != StatusCode::METHOD_NOT_ALLOWED, is_described, "{method} {path}{slash}: {answer:?}");
                let is_nowhere = answer.text.contains("There is nothing at this path.");
                assert!(!is_nowhere, "{method} {path}{slash}: {answer:?}");
                if !is_described {
                    let allowed = answer.header("allow").split(',').map(|method| method.trim().to_owned());
                    let allowed: BTreeSet<String> = allowed.filter(|method| method != "HEAD").collect();
                    assert_eq!(allowed, described, "{path}");
                }
            }
        }
    }
}

/// Each part of a path, and each parameter of a query, is read by its argument's schema: a number in an address is no text.
#[tokio::test]
async fn rest_what_an_address_names_is_read_by_its_schema() {
    let app = TestApp::start().await;
    let key = app.stranger(Side::Staff).await;
    let mut tried = Vec::new();
    for (path, methods) in DOCUMENT["paths"].as_object().expect("paths") {
        for (method, entry) in methods.as_object().expect("methods").iter().filter(|(_, entry)| entry["x-tool"].is_string()) {
            for parameter in entry["parameters"].as_array().expect("parameters") {
                let (name, place) = (parameter["name"].as_str().expect("a name"), parameter["in"].as_str().expect("a place"));
                let fits = match parameter["schema"]["type"].as_str() {
                    Some("integer") => "7",
                    Some("boolean") => "true",
                    _ => continue,
                };
                let address = |value: &str| match place {
                    "path" => filled(&path.replace(&format!("{{{name}}}"), value)),
                    _ => format!("{}?{name}={value}", filled(path)),
                };
                let method: Method = method.to_uppercase().parse().expect("a method");
                let taken = send(app.ask(&key, method.clone(), &address(fits))).await;
                assert!(!taken.text.contains(&format!("`{name}`")), "{method} {path}: {name} is not taken: {taken:?}");
                let refused = send(app.ask(&key, method.clone(), &address("seven"))).await;
                let status = if place == "path" { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
                let told = (refused.status, refused.code());
                assert_eq!(told, (status, "validation_failed".into()), "{method} {path}: {name}: {refused:?}");
                tried.push(format!("{place} {name}"));
            }
        }
    }
    assert!(tried.iter().any(|one| one == "path alarm"), "{tried:?}");
}

/// A route that is not declared would be in no document.
#[test]
fn rest_nothing_is_routed_beside_the_declarations() {
    let mut found = Vec::new();
    for file in std::fs::read_dir("src/http/api").expect("the API") {
        let path = file.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("a text");
        found.extend(std::iter::repeat_n(path.display().to_string(), text.matches(".route(").count()));
    }
    assert_eq!(found, ["src/http/api/mod.rs"; 5], "what serves the API is declared, and routed in one place");
}

fn refers(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            into.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|inner| refers(inner, into));
        }
        Value::Array(items) => items.iter().for_each(|inner| refers(inner, into)),
        _ => {}
    }
}

#[test]
fn rest_the_document_says_what_each_answer_is() {
    let mut ids = BTreeSet::new();
    for (path, methods) in DOCUMENT["paths"].as_object().expect("paths") {
        for (method, entry) in methods.as_object().expect("methods") {
            let place = format!("{method} {path}");
            if let Some(id) = entry["operationId"].as_str() {
                assert!(ids.insert(id.to_owned()), "{place}: {id} is there twice");
            }
            let named: BTreeSet<&str> = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            let given = entry["parameters"].as_array().expect("parameters").iter().filter(|parameter| parameter["in"] == "path");
            assert_eq!(given.filter_map(|parameter| parameter["name"].as_str()).collect::<BTreeSet<_>>(), named, "{place}");
            let responses = entry["responses"].as_object().expect("responses");
            let (_, success) = responses.iter().find(|(status, _)| *status == "200" || *status == "201").expect(&place);
            for (media, content) in success["content"].as_object().expect(&place) {
                jsonschema::meta::validate(&content["schema"]).unwrap_or_else(|error| panic!("{place}: {error}"));
                let is_real =
                    media != "application/json" || content["schema"]["properties"].is_object() || path.ends_with("openapi.json");
                assert!(is_real, "{place} says nothing of its answer: {content}");
            }
        }
    }
    let mut all = Vec::new();
    refers(&DOCUMENT, &mut all);
    for reference in all {
        assert!(DOCUMENT.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}
