//! The pages of `docs/reference/` are made from what is declared: tools, scopes, codes, events, targets of switches, fields of a
//! search. A page that says something else fails, and its new text is written beside the build.
//!
//! INVARIANT: each row is made from a declaration; what one lacks is said where the thing is declared. Here are introductions,
//! links and examples, and each example is read by the parser that it is for.

mod codes;
mod declared_docs;
mod events;
mod fields;
mod scopes;
mod targets;
mod tools;

use std::fmt::Display;
use std::path::Path;

/// Where a page says that it is not written by hand.
const MADE: &str = "<!-- Made from the declarations by tests/it/reference_pages/; a change belongs there. -->";

/// Holds a page against the one that is checked in.
fn hold(name: &str, title: &str, about: &str, body: &str) {
    let text = format!("# {title}\n\n{MADE}\n\n{about}\n\n{body}");
    let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reference").join(name);
    std::fs::create_dir_all(new.parent().expect("a directory")).expect("a directory");
    std::fs::write(&new, &text).expect("written");
    let page = format!("docs/reference/{name}");
    let is_same = std::fs::read_to_string(&page).is_ok_and(|committed| committed == text);
    assert!(is_same, "{page} does not say what is declared; if the change is meant: cp {} {page}", new.display());
}

/// A table; a bar in a cell is a bar.
fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    let rows = rows.into_iter().map(|cells| line(&cells.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>()));
    format!("{}{rule}{}", line(&head), rows.collect::<String>())
}

/// A text as code.
fn code(text: impl Display) -> String {
    format!("`{text}`")
}

/// A link to a heading of the page of tools.
fn link_to_tool(name: &str) -> String {
    format!("[`{name}`](tools.md#{name})")
}
