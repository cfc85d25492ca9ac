//! `forelog call`: any tool of a running server, over REST, with the key of whoever sits here. What a tool takes is what its
//! declaration says; what it answers is printed.
//!
//! INVARIANT: nothing is decided here. What fits the declaration goes to the server, which records, decides and answers.

use std::io::Read;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

use super::declared::{self, WHOLE};
use super::health::served_at;
use super::stdio::answer::unanswered;
use super::stdio::wire::{Place, Raw, Unanswered, Wire};
use super::{Answer, CliError, Context, GLOBAL, Text};
use crate::core::code::Code;
use crate::core::refusal::Refusal;
use crate::tools::Tool;

/// What an answer may take beside what its tool may.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Largest answer.
const LARGEST: usize = 16 * 1024 * 1024;

/// Largest document of arguments that is read.
const MAX_SIZE: u64 = 4 * 1024 * 1024;

/// How a path is refused that has no API.
const NO_API: [StatusCode; 3] = [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];

const EXAMPLES: &str = "\
The key comes from the configuration (api_key) or the environment; it is never an argument, which others could see. Neither is a secret
among the arguments: --arguments - reads them from standard input. Without --url it asks the server of the configuration, at
its public_url, or where it listens on this machine; with --data the one that serves that data. `forelog call TOOL --help` tells what a tool takes. It succeeds if the call did, or goes on.
Examples:
  FORELOG_API_KEY=flk_live_… forelog call vm_list --data forelog-demo
  FORELOG_API_KEY=flk_live_… forelog call --url https://forelog.example vm_power --vm_id web-1 --action reboot --confirm
  FORELOG_API_KEY=flk_live_… forelog call key_create --arguments '{\"label\":\"ci\",\"scopes\":[\"vms:read\"]}' --json";

/// What `call` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CallArgs {
    /// URL of the server to call: https, or http on this machine.
    #[arg(long, global = true, value_name = "URL", help_heading = GLOBAL)]
    url: Option<String>,
    /// The tool.
    #[command(subcommand)]
    asked: Asked,
}

/// A tool, and its arguments.
#[derive(Debug)]
struct Asked {
    name: String,
    arguments: Given,
}

/// How the arguments were given.
#[derive(Debug)]
enum Given {
    /// By their names.
    Named(Value),
    /// As one document, or as a hyphen.
    Whole(String),
}

impl Subcommand for Asked {
    fn augment_subcommands(command: Command) -> Command {
        // Not before it is needed: every other command would make the schemas of all tools.
        command.defer(declared::with_tools)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        declared::tool(name).is_some()
    }
}

impl FromArgMatches for Asked {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::raw(ErrorKind::MissingSubcommand, "a tool is missing\n");
        let (name, given) = matches.subcommand().ok_or_else(missing)?;
        let tool = declared::tool(name).ok_or_else(missing)?;
        let arguments = match given.get_one::<String>(WHOLE) {
            Some(whole) => Given::Whole(whole.clone()),
            None => Given::Named(declared::given(tool, given).into()),
        };
        Ok(Self { name: name.to_owned(), arguments })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Calls it.
pub async fn run(args: CallArgs, context: &Context) -> Result<Answer, CliError> {
    let CallArgs { url, asked } = args;
    let key = context.api_key()?;
    let tool = declared::tool(&asked.name).ok_or_else(|| CliError::Usage(format!("there is no tool {}", asked.name)))?;
    let body = Bytes::from(document(asked.arguments)?.to_string());
    let place = Place::Tool(tool.facts.name);
    let url = match url {
        Some(url) => url,
        None => own(context).await?,
    };
    let wire = Wire::to_url(&url, place, key)?;
    let lost = |why: &Unanswered| CliError::Refused(Box::new(unanswered(why, &wire.display_target())));
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    let asking = async { read(wire.send(Method::POST, headers, body).await?).await };
    let answered = tokio::time::timeout(tool.time_limit + TIMEOUT, asking).await;
    let late = || Err(Unanswered::Broken("it did not answer in time".into()));
    match answered.unwrap_or_else(|_| late()).map_err(|why| lost(&why))? {
        Ok(document) => Ok(Answer { text: Text::of_lines(&format!("{document:#}")), document }),
        Err((refusal, call)) => Err(CliError::Refused(Box::new(with_call(advised(refusal, tool), call)))),
    }
}

/// The server that the configuration is of.
async fn own(context: &Context) -> Result<String, CliError> {
    match (&context.config.public_url, &context.config.tls) {
        (Some(url), _) => Ok(url.clone()),
        (None, None) => Ok(format!("http://{}", served_at(context, None).await?)),
        (None, Some(_)) => Err(CliError::Usage("name the server with --url, or set public_url in the configuration".into())),
    }
}

/// The arguments as the server takes them.
fn document(arguments: Given) -> Result<Value, CliError> {
    let text = match arguments {
        Given::Named(value) => return Ok(value),
        Given::Whole(text) if text == "-" => {
            let mut read = String::new();
            let source = std::io::stdin().lock().take(MAX_SIZE).read_to_string(&mut read);
            source.map_err(|error| CliError::Usage(format!("the arguments on standard input cannot be read: {error}")))?;
            read
        }
        Given::Whole(text) => text,
    };
    match serde_json::from_str(&text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(CliError::Usage("--arguments is a JSON object, such as '{\"vm_id\":\"web-1\"}'".into())),
        Err(error) => Err(CliError::Usage(format!("--arguments is no JSON: {error}"))),
    }
}

/// The document that the server answers with, or why the call did not succeed.
async fn read(raw: Raw) -> Result<Result<Value, (Refusal, Option<String>)>, Unanswered> {
    let (parts, body) = raw.into_parts();
    let bytes = Limited::new(body, LARGEST).collect().await.map_err(|error| Unanswered::Broken(error.to_string()))?.to_bytes();
    let document: Option<Value> = serde_json::from_slice(&bytes).ok();
    if let Some(document) = document.as_ref().filter(|_| parts.status.is_success()) {
        return Ok(Ok(document.clone()));
    }
    let refusal = document.as_ref().and_then(Refusal::from_body);
    let call = document.and_then(|document| document["error"]["call_id"].as_str().map(str::to_owned));
    match refusal {
        Some(refusal) => Ok(Err((refusal, call))),
        None if NO_API.contains(&parts.status) => Ok(Err((no_api(parts.status), None))),
        None => Err(Unanswered::Broken(format!("what answers (HTTP {}) is no Forelog", parts.status.as_u16()))),
    }
}

/// The address is not that of the API: no tool was asked.
fn no_api(status: StatusCode) -> Refusal {
    let text = format!("What answers there (HTTP {}) is not the API of a Forelog; nothing was run.", status.as_u16());
    Refusal::new(Code::NotFound, text)
        .hint("Give the server's address without the path of a page, as in --url http://127.0.0.1:7373.")
}

/// A refusal that names the call on record, by which it is looked up and waited for.
pub(super) fn with_call(mut refusal: Refusal, call: Option<String>) -> Refusal {
    if let (Some(call), Some(details)) = (call, refusal.details.as_object_mut()) {
        details.insert("call_id".into(), call.into());
    }
    refusal
}

/// A refusal that says with which flags the call would be let through, where it asks for something to be said on purpose.
fn advised(refusal: Refusal, tool: &Tool) -> Refusal {
    let asks = matches!(refusal.code, Code::ConfirmationRequired | Code::PhraseMismatch);
    let required = refusal.details["required"].as_object().filter(|_| asks);
    let flags: Vec<String> = required
        .into_iter()
        .flatten()
        .filter(|(name, _)| tool.input["properties"].get(name.as_str()).is_some())
        .map(|(name, value)| format!("--{name} {}", value.as_str().map_or_else(|| value.to_string(), |text| format!("'{text}'"))))
        .collect();
    if flags.is_empty() { refusal } else { refusal.hint(format!("Call it with {}", flags.join(" "))) }
}
