//! `errors.md`: every stable code.

use forelog::core::code::Code;

use super::{code, hold, table};

const ABOUT: &str = "\
Every refusal and failure carries one of these codes, over MCP, REST and the command line alike, in `error.code`. A code never changes
its meaning; new meanings get new codes. `error.message` says the same for people, `error.details` more. *Retryable*: the call may
be made again, as it was or with what `details.add` names; `retry_after_ms` says when, where that is known. Over MCP the status is always 200.";

#[test]
fn reference_errors_page_has_every_code() {
    let row = |known: &Code| {
        let retryable = if known.retryable() { "yes" } else { "no" };
        let words = [known.meaning(), known.next_step()].map(str::to_owned);
        [vec![code(known), known.status().to_string(), retryable.to_owned()], words.to_vec()].concat()
    };
    let body = table(&["code", "status", "retryable", "meaning", "what to do"], Code::ALL.iter().map(row));
    hold("errors.md", "Error codes", ABOUT, &body);
}
