//! What is wrong with a configuration, in words: which key, where it came from, and what was probably meant.

use figment::error::Kind;

/// So many letters may be wrong in a key that is taken for a slip of the keyboard.
const SLIPS: usize = 2;

/// Every fault, one after the other.
pub(super) fn misread(error: figment::Error) -> String {
    error.into_iter().map(|error| said(&error)).collect::<Vec<_>>().join("; ")
}

fn said(error: &figment::Error) -> String {
    let key = error.path.join(".");
    let from = error.metadata.as_ref().map(|metadata| metadata.name.as_ref());
    let from = if from.is_some_and(|name| name.contains("environment")) { " (from the environment)" } else { "" };
    match &error.kind {
        Kind::UnknownField(name, known) => {
            let above = error.path.split_last().filter(|(last, _)| *last == name).map_or(&error.path[..], |(_, above)| above);
            let within = above.iter().flat_map(|part| [part.as_str(), "."]).collect::<String>();
            let meant = nearest(name, known).map_or_else(String::new, |meant| format!(": did you mean `{within}{meant}`?"));
            format!("there is no key `{within}{name}`{from}{meant}")
        }
        kind if key.is_empty() => format!("{kind}{from}"),
        kind => format!("the key `{key}`{from}: {kind}"),
    }
}

fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let near = known.iter().map(|one| (strsim::osa_distance(name, one), *one)).min();
    near.filter(|(distance, _)| *distance <= SLIPS).map(|(_, one)| one)
}
