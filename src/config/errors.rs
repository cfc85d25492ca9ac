//! What is wrong with a configuration, in words: in which file and line, which key, and what was probably meant.

use std::path::Path;

use figment::Figment;
use figment::error::Kind;
use toml::de::{DeTable, DeValue};

use crate::core::near::near;

/// The file that a configuration was read from, and what is in it.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Origin<'_> {
    /// The file and the line of a key, before what is said of it; the file alone if the key is not in it.
    fn place(self, path: &[String]) -> String {
        let line = line_of(self.text, path).map_or_else(String::new, |line| format!(":{line}"));
        format!("{}{line}: ", self.path.display())
    }
}

/// Every fault, one after the other.
pub(super) fn misread(error: figment::Error, origin: Option<Origin<'_>>) -> String {
    error.into_iter().map(|error| said(&error, origin)).collect::<Vec<_>>().join("; ")
}

/// Where a value that makes no sense comes from; nothing if neither the file nor the environment says it.
pub(super) fn place_of(key: &str, figment: &Figment, origin: Option<Origin<'_>>) -> String {
    if figment.find_metadata(key).is_some_and(|metadata| metadata.name.contains("environment")) {
        return "from the environment: ".to_owned();
    }
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    origin.filter(|origin| line_of(origin.text, &path).is_some()).map_or_else(String::new, |origin| origin.place(&path))
}

/// What is said of a name of the environment that is no key, and probably was meant as one. Any other may be another program's.
pub(super) fn slip_of(name: &str, known: &[&'static str]) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let first = name.split('.').next().filter(|first| !known.contains(first))?;
    let meant = near(first, known.iter().copied()).into_iter().next()?;
    Some(format!(
        "there is no key `{first}` (from the environment): did you mean `{meant}`, FORELOG_{}?",
        meant.to_ascii_uppercase()
    ))
}

fn said(error: &figment::Error, origin: Option<Origin<'_>>) -> String {
    let key = error.path.join(".");
    let from = error.metadata.as_ref().map(|metadata| metadata.name.as_ref());
    let is_environment = from.is_some_and(|name| name.contains("environment"));
    let from = if is_environment { " (from the environment)" } else { "" };
    let place = origin.filter(|_| !is_environment).map_or_else(String::new, |origin| origin.place(&error.path));
    match &error.kind {
        Kind::UnknownField(name, known) => {
            let above = error.path.split_last().filter(|(last, _)| *last == name).map_or(&error.path[..], |(_, above)| above);
            let within = above.iter().flat_map(|part| [part.as_str(), "."]).collect::<String>();
            let nearest = near(name, known.iter().copied()).into_iter().next();
            let meant = nearest.map_or_else(String::new, |meant| format!(": did you mean `{within}{meant}`?"));
            format!("{place}there is no key `{within}{name}`{from}{meant}")
        }
        kind if key.is_empty() => format!("{place}{}{from}", plain(kind)),
        kind => format!("{place}the key `{key}`{from}: {}", plain(kind)),
    }
}

/// What is wrong, without the names of our types.
fn plain(kind: &Kind) -> String {
    let text = kind.to_string();
    let Some((found, expected)) = text.rsplit_once("expected ") else {
        return text.replace("invalid socket address syntax", "it is no address with a port, such as 127.0.0.1:7373");
    };
    let expected = match expected {
        "struct Limit" => "a table, such as { admit = 30, window_ms = 60000 }",
        name if name.starts_with("struct ") => "a table",
        "u16" | "u32" | "u64" | "usize" | "i64" => "a whole number, such as 30",
        other => other,
    };
    format!("{found}expected {expected}")
}

/// The line of the deepest key of this path that the text has; none if it has not even the first.
fn line_of(text: &str, path: &[String]) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let (mut table, mut at) = (document.get_ref(), None);
    for name in path {
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == name.as_str()) else { break };
        at = Some(key.span().start);
        let DeValue::Table(below) = value.get_ref() else { break };
        table = below;
    }
    at.and_then(|at| text.get(..at)).map(|before| before.matches('\n').count() + 1)
}
