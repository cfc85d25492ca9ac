//! The routes of tools: by name, and where their declarations say. Whatever changes something is a call of a tool of the
//! catalogue; what is answered is the tool's own result document.
//!
//! INVARIANT: who is not authenticated is answered so before anything else is read. A query that cannot be read is refused and is
//! no call; a path or a body that cannot be read is a call all the same, and recorded.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use serde_json::{Map, Value, json};

use super::{CALL_ID, idempotency_key};
use crate::control::{self, Reply};
use crate::core::code::Code;
use crate::core::id::CallId;
use crate::http::body::{Arguments, Given, Segment};
use crate::http::caller::Caller;
use crate::http::problem::Problem;
use crate::http::{Http, query};
use crate::tools::declare::{Method, Route};
use crate::tools::{Catalogue, Tool};

/// The path by which every tool is called.
pub const BY_NAME: &str = "/tools/{name}";

/// `POST /api/v1/tools/{name}`: the body is the tool's arguments.
pub async fn by_name(
    State(http): State<Arc<Http>>,
    caller: Caller,
    Segment(name): Segment,
    Arguments(args): Arguments,
) -> Result<Response, Problem> {
    let reply = http.call(caller, &name, args).await?;
    Ok(http.answer_reply(&name, reply))
}

/// Every route that a tool of the catalogue declares, with what serves it.
pub fn routes(catalogue: &Catalogue) -> Vec<(&'static str, MethodRouter<Arc<Http>>)> {
    let all = catalogue.iter().flat_map(|tool| tool.routes.iter().map(move |route| (tool, *route)));
    all.map(|(tool, route)| (route.path, served(tool, route))).collect()
}

/// What a route takes, with the schema of each argument.
struct Takes {
    /// In its path.
    in_path: Map<String, Value>,
    /// Beside it.
    beside: Map<String, Value>,
}

fn served(tool: &Tool, route: Route) -> MethodRouter<Arc<Http>> {
    let (name, takes) = (tool.facts.name, Arc::new(Takes { in_path: in_path(tool, &route), beside: taken(tool, &route) }));
    on(filter(route.method), move |State(http): State<Arc<Http>>, request: Request| {
        let takes = Arc::clone(&takes);
        async move { serve(&http, name, route, &takes, request).await.unwrap_or_else(IntoResponse::into_response) }
    })
}

fn filter(method: Method) -> MethodFilter {
    match method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Patch => MethodFilter::PATCH,
        Method::Delete => MethodFilter::DELETE,
    }
}

/// The arguments that a route takes beside those in its path.
pub fn taken(tool: &Tool, route: &Route) -> Map<String, Value> {
    let mut fields = tool.input["properties"].as_object().cloned().unwrap_or_default();
    for part in route.parts() {
        fields.remove(route.argument(part));
    }
    fields
}

/// The arguments in a route's path.
fn in_path(tool: &Tool, route: &Route) -> Map<String, Value> {
    let schema = |argument: &str| (argument.to_owned(), tool.input["properties"][argument].clone());
    route.parts().map(|part| schema(route.argument(part))).collect()
}

async fn serve(http: &Arc<Http>, tool: &str, route: Route, takes: &Takes, request: Request) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, http).await?;
    let named = named(&mut parts, &route, &takes.in_path).await;
    let mut given: Given = match route.method {
        Method::Get => {
            let query = query::arguments(parts.uri.query().unwrap_or_default(), &takes.beside);
            Value::Object(query.map_err(|fault| Problem::malformed(fault.to_string()))?).into()
        }
        Method::Post | Method::Patch => {
            let Arguments(given) =
                Arguments::from_request(Request::from_parts(parts, body), http).await.unwrap_or_else(|never| match never {});
            given
        }
        Method::Delete => json!({}).into(),
    };
    if let Some(fields) = given.args.as_object_mut() {
        fields.extend(named);
    }
    match http.call(caller, tool, given).await? {
        Reply::Done { call, result } => {
            let status = if http.only_asks(tool, &result) { StatusCode::ACCEPTED } else { of_route(route) };
            Ok(answer(status, paged(result), Some(&call)))
        }
        other => Ok(http.answer_reply(tool, other)),
    }
}

fn of_route(route: Route) -> StatusCode {
    StatusCode::from_u16(route.success).unwrap_or(StatusCode::OK)
}

/// The arguments in the path, by their schemas; empty if it is not UTF-8, which is the fault of the caller's address
/// (`Caller::fault`). A part that its schema cannot read stays a text, which the schema refuses.
async fn named(parts: &mut Parts, route: &Route, schemas: &Map<String, Value>) -> Map<String, Value> {
    let path = Path::<HashMap<String, String>>::from_request_parts(parts, &()).await;
    let names = path.map(|Path(names)| names).unwrap_or_default();
    let argument = |part| {
        let (name, text) = (route.argument(part), names.get(part).map_or("", String::as_str));
        let read = schemas.get(name).and_then(|schema| query::value_of(text, schema));
        (name.to_owned(), read.unwrap_or_else(|| text.into()))
    };
    route.parts().map(argument).collect()
}

/// A list as every list is answered; these have one page.
fn paged(mut document: Value) -> Value {
    if let Some(fields) = document.as_object_mut().filter(|fields| fields.contains_key("items")) {
        fields.entry("next_cursor").or_insert(Value::Null);
    }
    document
}

/// The schema of what a route answers if all is well.
pub fn answered(tool: &Tool) -> Value {
    let mut schema = tool.result.clone();
    if schema["properties"].get("items").is_some() && schema["properties"].get("next_cursor").is_none() {
        schema["properties"]["next_cursor"] = json!({ "type": "null", "description": "There is one page." });
        if let Some(required) = schema["required"].as_array_mut() {
            required.push("next_cursor".into());
        }
    }
    schema
}

impl Http {
    /// Calls a tool. A body that could not be read, or a key that cannot be taken, is the call's fault: the call is recorded,
    /// and refused with it.
    async fn call(&self, caller: Caller, tool: &str, given: Given) -> Result<Reply, Problem> {
        let Caller { principal, user_agent, key, fault: of_address } = caller;
        let Given { mut args, fault, held } = given;
        let is_misaddressed = of_address.is_some();
        let tool_of = self.gateway.control().catalogue.get(tool);
        let key_fault = || idempotency_key::take_key(&mut args, key, tool_of).err();
        let fault = of_address.or(fault).or_else(|| key_fault().map(|refusal| Problem::at(StatusCode::BAD_REQUEST, refusal)));
        let rejected = fault.as_ref().map(|problem| problem.refusal().clone());
        let request = control::Request { rejected, user_agent, ..control::Request::new(principal, tool, args) };
        match (self.gateway.submit(request, held).await, fault) {
            (Reply::Failed { call, refusal, .. }, Some(fault)) if refusal.code == fault.refusal().code => {
                Err(fault.saying(refusal).of_call(call))
            }
            // That an address cannot be read, or takes no query, tells nobody which tools there are.
            (Reply::Failed { call, refusal, .. }, Some(fault)) if is_misaddressed && refusal.code == Code::UnknownTool => {
                Err(fault.of_call(call))
            }
            (reply, _) => Ok(reply),
        }
    }

    /// A reply of a tool with the status that fits it.
    fn answer_reply(&self, tool: &str, reply: Reply) -> Response {
        let status = match reply {
            Reply::Failed { call, refusal, .. } => return Problem::from(refusal).of_call(call).into_response(),
            Reply::Done { ref result, .. } if !self.only_asks(tool, result) => StatusCode::OK,
            Reply::Done { .. } | Reply::Running { .. } => StatusCode::ACCEPTED,
        };
        answer(status, reply.document(), reply.call())
    }

    /// Whether a result was only asked for, and waits for another person.
    fn only_asks(&self, tool: &str, result: &Value) -> bool {
        self.gateway.control().catalogue.get(tool).is_some_and(|tool| tool.only_asks(result))
    }
}

fn answer(status: StatusCode, document: Value, call: Option<&CallId>) -> Response {
    let mut response = (status, Json(document)).into_response();
    if let Some(call) = call.and_then(|call| HeaderValue::from_str(call.as_str()).ok()) {
        response.headers_mut().insert(CALL_ID, call);
    }
    response
}
