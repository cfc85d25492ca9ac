//! What the command line takes of operations, from their declarations: the tools as commands of their own, and the flags of those
//! commands that do on the data itself what an operation does over HTTP.
//!
//! INVARIANT: a flag is called as its argument, and says and allows what the operation declares. What a command says itself is what is
//! different on the data itself.

use std::sync::LazyLock;

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command as Subcommand, value_parser};
use serde_json::{Map, Value};

use crate::tools::{Tool, every_tool};

/// All arguments in one document.
pub const WHOLE: &str = "arguments";

/// Every tool. That none is left out is what the tests of the catalogue hold.
static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| every_tool().unwrap_or_default());

/// A tool by its name.
pub fn tool(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.facts.name == name)
}

/// What the help says of a flag that has to be given.
const REQUIRED: &str = "[required]";

/// Says in its help that a flag has to be given: the line of usage does not name the flags of a command that is made this late.
fn marked(flag: Arg) -> Arg {
    let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
    flag.help(format!("{help} {REQUIRED}").trim_start().to_owned())
}

/// Adds a command for each tool.
pub fn with_tools(command: Subcommand) -> Subcommand {
    command.subcommands(TOOLS.iter().map(of_tool))
}

fn of_tool(tool: &'static Tool) -> Subcommand {
    let whole = Arg::new(WHOLE)
        .long(WHOLE)
        .value_name("JSON")
        .conflicts_with_all(arguments(tool).map(|(name, _)| name))
        .help("All arguments as one JSON object instead; - reads it from standard input");
    let flags = arguments(tool).map(|(name, schema)| {
        let required = tool.input["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
        let flag = flag(name, schema);
        if required { marked(flag.required_unless_present(WHOLE)) } else { flag }
    });
    Subcommand::new(tool.facts.name).about(tool.title).long_about(tool.description).args(flags).arg(whole)
}

/// The arguments of a tool, and their schemas.
fn arguments(tool: &'static Tool) -> impl Iterator<Item = (&'static str, &'static Value)> {
    tool.input["properties"].as_object().into_iter().flatten().map(|(name, schema)| (name.as_str(), schema))
}

/// How an argument is given as a text.
enum Form {
    Switch,
    Number,
    Text,
    Texts,
    Json,
}

impl Form {
    fn of(schema: &Value) -> Self {
        match schema["type"].as_str() {
            Some("boolean") => Self::Switch,
            Some("integer") => Self::Number,
            Some("string") => Self::Text,
            Some("array") if schema["items"]["type"] == "string" => Self::Texts,
            _ => Self::Json,
        }
    }
}

fn flag(name: &'static str, schema: &'static Value) -> Arg {
    let flag = Arg::new(name).long(name).help(described(schema));
    match Form::of(schema) {
        Form::Switch => {
            flag.value_name("true|false").value_parser(value_parser!(bool)).num_args(0..=1).default_missing_value("true")
        }
        Form::Number => flag.value_name("NUMBER").value_parser(number(schema)),
        Form::Text => flag.value_name("TEXT").value_parser(text(schema)),
        Form::Texts => flag.value_name("TEXT").value_parser(text(&schema["items"])).action(ArgAction::Append),
        Form::Json => flag.value_name("JSON").value_parser(json),
    }
}

fn described(schema: &'static Value) -> &'static str {
    schema["description"].as_str().unwrap_or_default()
}

/// A text as its schema bounds it. What only its type can say, the server says.
fn text(schema: &'static Value) -> ValueParser {
    if let Some(words) = schema["enum"].as_array() {
        return PossibleValuesParser::new(words.iter().filter_map(Value::as_str)).into();
    }
    let (least, most) = (schema["minLength"].as_u64().unwrap_or(0), schema["maxLength"].as_u64().unwrap_or(u64::MAX));
    let check = move |text: &str| {
        let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        if (least..=most).contains(&length) {
            return Ok(text.to_owned());
        }
        Err(format!("it has {length} characters, and may have {least} to {most}"))
    };
    ValueParser::new(check)
}

/// A whole number as its schema bounds it.
fn number(schema: &'static Value) -> ValueParser {
    let (least, most) = (schema["minimum"].as_i64().unwrap_or(i64::MIN), schema["maximum"].as_i64().unwrap_or(i64::MAX));
    let check = move |text: &str| {
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("it is no whole number from {least} to {most}"))
    };
    ValueParser::new(check)
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))
}

/// The arguments that were given by their names.
pub fn given(tool: &'static Tool, matches: &ArgMatches) -> Map<String, Value> {
    arguments(tool).filter_map(|(name, schema)| Some((name.to_owned(), value(name, schema, matches)?))).collect()
}

fn value(name: &str, schema: &Value, matches: &ArgMatches) -> Option<Value> {
    Some(match Form::of(schema) {
        Form::Switch => Value::from(*matches.get_one::<bool>(name)?),
        Form::Number => Value::from(*matches.get_one::<i64>(name)?),
        Form::Text => Value::from(matches.get_one::<String>(name)?.as_str()),
        Form::Texts => matches.get_many::<String>(name)?.map(String::as_str).collect(),
        Form::Json => matches.get_one::<Value>(name)?.clone(),
    })
}

/// Says of a command's flags what the operation of this name says of its arguments, and bounds them alike; a flag that may be
/// repeated is called by one of what its argument has several of. What the command says itself stays.
pub fn mirror(command: Subcommand, name: &str) -> Subcommand {
    let Some(tool) = tool(name) else { return command };
    command.mut_args(|arg| {
        let is_required = arg.is_required_set() && !arg.is_positional();
        let arg = mirrored(arg, tool);
        if is_required { marked(arg) } else { arg }
    })
}

fn mirrored(arg: Arg, tool: &'static Tool) -> Arg {
    let id = arg.get_id().as_str();
    let (one, several) = (&tool.input["properties"][id], &tool.input["properties"][format!("{id}s")]);
    let schema = if one.is_null() { several } else { one };
    if schema.is_null() {
        return arg;
    }
    let is_text = arg.get_value_parser().type_id() == ValueParser::string().type_id();
    let arg = if is_text { arg.value_parser(text(if one.is_null() { &several["items"] } else { one })) } else { arg };
    match (arg.get_help(), arg.get_action()) {
        (Some(_), _) => arg,
        (None, ArgAction::Append) => arg.help(format!("{} May be repeated", described(schema))),
        (None, _) => arg.help(described(schema).trim_end_matches('.').to_owned()),
    }
}
