//! `forelog approval`: the calls that wait for a person, answered with that person's own key.
//!
//! INVARIANT: every answer has an author. The operating system's user is not a Forelog user, so the command asks for a key, and
//! its rights are decided as over REST.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::call_tool::{call_tool, call_tools};
use super::declared::mirror;
use super::time::format_time;
use super::{Answer, CliError, Context, Text};
use crate::core::id::CallId;
use crate::core::time::Micros;

const EXAMPLES: &str = "\
The key is that of the person who answers; it comes from FORELOG_API_KEY or from api_key in the configuration.
Examples:
  forelog approval list
  forelog approval show call_01J…
  forelog approval approve call_01J… --reason 'agreed with Ada'
  forelog approval reject call_01J… --reason 'not in business hours'";

/// What to do with the calls that wait for a person.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
#[command(mut_subcommand("approve", |command| command.defer(|command| mirror(command, "approval_decide"))))]
#[command(mut_subcommand("reject", |command| command.defer(|command| mirror(command, "approval_decide"))))]
pub enum ApprovalCommand {
    /// List the calls that wait for approval.
    #[command(after_help = EXAMPLES)]
    List,
    /// Show a call: its tool, its arguments, and who asked for it.
    #[command(after_help = EXAMPLES)]
    Show {
        /// The call's ID.
        call: CallId,
    },
    /// Approve a call; it is decided again before it runs.
    #[command(after_help = EXAMPLES)]
    Approve(Said),
    /// Reject a call.
    #[command(after_help = EXAMPLES)]
    Reject(Said),
}

/// A person's answer.
#[derive(Debug, Args)]
pub struct Said {
    /// The call's ID.
    call: CallId,
    #[arg(long)]
    reason: Option<String>,
}

/// Does it.
pub async fn run(command: ApprovalCommand, context: &Context) -> Result<Answer, CliError> {
    match command {
        ApprovalCommand::List => {
            let document = every_page(context).await?;
            let lines: Vec<String> = items(&document).iter().flat_map(lines).collect();
            let text: Text = if lines.is_empty() { "no call waits for approval".into() } else { lines.into() };
            Ok(Answer { document, text })
        }
        ApprovalCommand::Show { call } => {
            let listed = call_tool(context, "approval_list", json!({ "id": call })).await?;
            let item = find(&listed, &call);
            let item = item.ok_or_else(|| CliError::Usage(format!("there is no call {call} that waits for a person")))?;
            let text = lines(&item).into();
            Ok(Answer { document: item, text })
        }
        ApprovalCommand::Approve(said) => answer(context, said, "approve").await,
        ApprovalCommand::Reject(said) => answer(context, said, "reject").await,
    }
}

/// All the calls that wait, page by page.
async fn every_page(context: &Context) -> Result<Value, CliError> {
    let (mut items, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let mut page = call_tool(context, "approval_list", json!({ "limit": 200, "cursor": cursor })).await?;
        if let Value::Array(more) = page["items"].take() {
            items.extend(more);
        }
        cursor = page["next_cursor"].take();
        if cursor.is_null() {
            return Ok(json!({ "items": items, "next_cursor": cursor }));
        }
    }
}

/// Answers for a call, and says what that was: what a call would do does not change while it waits.
async fn answer(context: &Context, said: Said, verdict: &str) -> Result<Answer, CliError> {
    let Said { call, reason } = said;
    let mut body = json!({ "id": call, "verdict": verdict });
    if let Some(reason) = reason {
        body["reason"] = reason.into();
    }
    let [listed, mut document] =
        call_tools(context, [("approval_list", json!({ "id": call })), ("approval_decide", body)]).await?;
    let asked = find(&listed, &call);
    let mut text = asked.as_ref().map(lines).unwrap_or_default();
    text.push(match document["status"].as_str() {
        Some("held") => format!("{call}: noted; a second person has to agree"),
        Some(status) => format!("{call} is {status}"),
        None => format!("{call}: answered"),
    });
    document["call"] = asked.unwrap_or_default();
    Ok(Answer { document, text: text.into() })
}

/// A call among those that wait, as the holder of the key may see it.
fn find(listed: &Value, call: &CallId) -> Option<Value> {
    items(listed).iter().find(|item| item["id"] == call.as_str()).cloned()
}

fn items(document: &Value) -> &[Value] {
    document["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A call as whoever answers has to see it: what it would do with all of its arguments, where, and who asked.
fn lines(item: &Value) -> Vec<String> {
    let field = |name: &str| item[name].as_str().unwrap_or("-");
    let time = |value: &Value| value.as_str().map_or_else(|| "-".to_owned(), to_the_second);
    let persons = if item["second_person"] == true { "  (two persons)" } else { "" };
    let vm = item["vm_id"].as_str().map_or_else(String::new, |id| format!("  {} ({id})", field("vm_label")));
    let mut lines = vec![
        format!("{}  {}{vm}  until {}  {}{persons}", field("id"), field("tool"), time(&item["expires_at"]), field("why")),
        format!(
            "    asked for by {} with {} of {} at {}",
            field("user"),
            field("credential"),
            field("account"),
            time(&item["held_at"])
        ),
    ];
    let arguments = item["arguments"].as_object().into_iter().flatten();
    lines.extend(arguments.map(|(name, value)| format!("    {name}: {}", display_value(value))));
    let consents = item["approvals"].as_array().into_iter().flatten();
    lines.extend(
        consents.map(|consent| format!("    approved by {} at {}", consent["by"].as_str().unwrap_or("-"), time(&consent["at"]))),
    );
    lines
}

fn to_the_second(time: &str) -> String {
    Micros::read(time).map_or_else(|_| time.to_owned(), format_time)
}

/// A text as it is, and anything else as JSON.
fn display_value(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
