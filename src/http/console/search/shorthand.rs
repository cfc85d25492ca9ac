//! What people type instead of ids and lists of tools: `class:exec` stands for the tools of a class, `account:name` for the
//! account of that name, `vm:label` and `key:label` for every VM and key of that label. The page leads to the line that is meant, so that what is searched is what the line says.

use crate::core::job::Run;
use crate::core::label::looks_like;
use crate::core::noun::vm::VM;
use crate::core::search::{Field, MAX_COUNT};
use crate::core::tool::Class;
use crate::http::account_names::Names;
use crate::http::console::page_error::PageError;
use crate::http::console::request::SignedInRequest;
use crate::tools::Catalogue;

use super::line::Line;
use super::{check_named, check_names};

/// Where a line with a shorthand in it leads; none if it has none.
pub async fn meant(line: &Line, request: &SignedInRequest) -> Result<Option<String>, PageError> {
    let asked: Vec<&str> = line.items().filter(|item| account_name(item).is_some()).collect();
    let names = if asked.is_empty() { Names::default() } else { names(&asked, request).await? };
    let mut items: Vec<String> = Vec::new();
    for item in line.items() {
        if let Some(tools) =
            class_of(item).map(|(class, without)| tools(class, without, &request.http.gateway.control().catalogue))
        {
            items.push(tools);
        } else if let Some((name, without)) = account_name(item) {
            let found = named(&name, &names);
            let [id] = found.as_slice() else {
                return Ok(Some(format!("/console/accounts?q={}", crate::http::console::address::encoded(&name))));
            };
            items.push(format!("{}account:{id}", if without { "-" } else { "" }));
        } else if let Some(label) = label(item) {
            check_named(request, item).await?;
            items.push(labelled(&label, request).unwrap_or_else(|| item.to_owned()));
        } else {
            items.push(item.to_owned());
        }
    }
    let written = Line::of(&items.join(" "));
    Ok((written != *line).then(|| written.href()))
}

fn class_of(item: &str) -> Option<(Class, bool)> {
    let (name, without) =
        item.strip_prefix("-class:").map(|name| (name, true)).or_else(|| Some((item.strip_prefix("class:")?, false)))?;
    Class::ALL.into_iter().find(|class| class.as_str() == name).map(|class| (class, without))
}

/// A condition for the tools of a class. Those that administer are more than one condition may name, and are all the others.
fn tools(class: Class, without: bool, catalogue: &Catalogue) -> String {
    let is_control = class == Class::Control;
    let wanted = |of: Class| if is_control { of != Class::Control } else { of == class };
    let names: Vec<&str> = catalogue.iter().filter(|tool| wanted(tool.facts.class)).map(|tool| tool.facts.name).collect();
    let field = Field::Tool.name();
    match (names.is_empty(), without) {
        // No tool is of the class, so no call is, and every call is of another.
        (true, false) => format!("{field}:{0} -{field}:{0}", Run::UNKNOWN),
        (true, true) => String::new(),
        (false, _) => format!("{}{field}:{}", if without == is_control { "" } else { "-" }, names.join(",")),
    }
}

/// The name in `account:name`, unless it is an id.
fn account_name(item: &str) -> Option<(String, bool)> {
    let (text, without) =
        item.strip_prefix("-account:").map(|text| (text, true)).or_else(|| Some((item.strip_prefix("account:")?, false)))?;
    let name = text.trim_matches('"');
    (!name.is_empty() && !name.starts_with("acc_")).then(|| (name.to_owned(), without))
}

/// A VM or a key by what people call it.
struct Label {
    field: Field,
    text: String,
    without: bool,
}

/// The label in `vm:label` or `key:label`, unless it is an id.
fn label(item: &str) -> Option<Label> {
    let (item, without) = item.strip_prefix('-').map_or((item, false), |rest| (rest, true));
    let (field, text) = item.split_once(':')?;
    let (field, id) = match field {
        "vm" => (Field::Resource(&VM), "vm_"),
        "key" | "credential" => (Field::Credential, "key_"),
        _ => return None,
    };
    let text = text.trim_matches('"');
    (!text.is_empty() && !text.starts_with(id)).then(|| Label { field, text: text.to_owned(), without })
}

/// The condition that names every one of that label; none if there is none, or there are more than a condition names.
fn labelled(label: &Label, request: &SignedInRequest) -> Option<String> {
    let state = request.http.gateway.state();
    let ids: Vec<String> = match label.field {
        Field::Credential => request.visibility().labelled(label.field, &label.text, &state),
        // Of every account: a reader's own labels are looked for in the reader's account alone.
        _ => state.vms.values().filter(|row| row.label == label.text).map(|row| row.id.to_string()).collect(),
    };
    let sign = if label.without { "-" } else { "" };
    (1..=MAX_COUNT).contains(&ids.len()).then(|| format!("{sign}{}:{}", label.field.name(), ids.join(",")))
}

/// The names of all accounts. They are read for a reason, and that they are is written down, once for a line.
async fn names(asked: &[&str], request: &SignedInRequest) -> Result<Names, PageError> {
    check_names(request, &asked.join(" ")).await?;
    let (http, ports) = (&request.http, &request.http.gateway.control().ports);
    let accounts = http.gateway.state().accounts.len();
    Ok(http.account_names.get(&ports.reader.vault, accounts, ports.clock.now()).await?)
}

/// The accounts of a name: of just this name, with those whose names look the same, or else of one that begins so.
fn named(name: &str, names: &Names) -> Vec<String> {
    let wanted = name.to_lowercase();
    let that = |fits: &dyn Fn(&str) -> bool| {
        names.iter().filter(|(_, name)| fits(&name.to_lowercase())).map(|(id, _)| id.clone()).collect::<Vec<_>>()
    };
    let same = that(&|name| name == wanted);
    if same.is_empty() { that(&|name| name.starts_with(&wanted)) } else { that(&|name| looks_like(name, &wanted)) }
}
