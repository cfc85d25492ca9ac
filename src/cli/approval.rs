//! `forelog approval`: the calls that wait for a person, answered with that person's own key.
//!
//! INVARIANT: nobody answers as nobody. Who sits before the data is not known, so a key is asked for, and what it may do is
//! decided as over REST.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::asking::ask;
use super::{Answer, CliError, Context};
use crate::core::id::CallId;

const EXAMPLES: &str = "\
The key is that of the person who answers; it comes from FORELOG_API_KEY or from api_key in the configuration.
Examples:
  forelog approval list
  forelog approval approve call_01J… --reason 'agreed with Ada'
  forelog approval reject call_01J… --reason 'not in business hours'";

/// What to do with the calls that wait for a person.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum ApprovalCommand {
    /// List the calls that wait.
    #[command(after_help = EXAMPLES)]
    List,
    /// Let a call go on; it is decided again before it runs.
    #[command(after_help = EXAMPLES)]
    Approve(Said),
    /// End a call that waits.
    #[command(after_help = EXAMPLES)]
    Reject(Said),
}

/// A person's answer.
#[derive(Debug, Args)]
pub struct Said {
    /// The call.
    call: CallId,
    /// Why. Of a rejection the caller is told.
    #[arg(long)]
    reason: Option<String>,
}

/// Does it.
pub async fn run(command: ApprovalCommand, context: &Context) -> Result<Answer, CliError> {
    match command {
        ApprovalCommand::List => {
            let document = ask(context, "approval_list", json!({})).await?;
            let items = document["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            let lines: Vec<String> = items.iter().map(line).collect();
            let text = if lines.is_empty() { "nothing waits for a person".into() } else { lines.join("\n") };
            Ok(Answer { document, text })
        }
        ApprovalCommand::Approve(said) => answer(context, said, "approve").await,
        ApprovalCommand::Reject(said) => answer(context, said, "reject").await,
    }
}

async fn answer(context: &Context, said: Said, verdict: &str) -> Result<Answer, CliError> {
    let Said { call, reason } = said;
    let mut body = json!({ "id": call, "verdict": verdict });
    if let Some(reason) = reason {
        body["reason"] = reason.into();
    }
    let document = ask(context, "approval_decide", body).await?;
    let text = match document["status"].as_str() {
        Some("held") => format!("{call}: noted; a second person has to agree"),
        Some(status) => format!("{call} is {status}"),
        None => format!("{call}: answered"),
    };
    Ok(Answer { document, text })
}

fn line(item: &Value) -> String {
    let field = |name: &str| item[name].as_str().unwrap_or("-");
    let persons = if item["second_person"] == true { "  (two persons)" } else { "" };
    format!(
        "{}  {}  {}  until {}  {}{persons}\n    {}",
        field("id"),
        field("tool"),
        field("vm_label"),
        field("expires_at"),
        field("why"),
        field("text"),
    )
}
