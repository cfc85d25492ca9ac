//! Texts that a policy compares with what takes one of a few words, such as `principal.scopes`. To Cedar any text is one, so a
//! slip of the keyboard would be a rule that never applies.
//!
//! INVARIANT: only what is compared with `==`, `!=` or one of the `contains` is looked at; a text from elsewhere is the caller's.

use cedar_policy::Policy;
use serde_json::Value;

use super::question::Vocabulary;
use super::schema::risk_name;
use crate::core::near::did_you_mean;
use crate::core::principal::Via;
use crate::core::scope::Scope;
use crate::core::tool::{Class, Risk};

/// Lists that are not longer than this are told whole.
const FEW: usize = 8;

/// A text that can never be there: the text, and what is wrong with it.
pub(super) struct Misspelt {
    pub(super) literal: String,
    pub(super) why: String,
}

/// The first text of a policy that is compared with what never is it.
pub(super) fn misspelt(words: &Vocabulary, policy: &Policy) -> Option<Misspelt> {
    let document = policy.to_json().ok()?;
    first(words, document.get("conditions")?)
}

fn first(words: &Vocabulary, node: &Value) -> Option<Misspelt> {
    let below = match node {
        Value::Array(nodes) => return nodes.iter().find_map(|node| first(words, node)),
        Value::Object(fields) => fields,
        _ => return None,
    };
    below.iter().find_map(|(operator, operands)| {
        let compares = matches!(operator.as_str(), "==" | "!=" | "contains" | "containsAll" | "containsAny");
        let sides = (&operands["left"], &operands["right"]);
        let found = compares.then(|| compared(words, sides.0, sides.1).or_else(|| compared(words, sides.1, sides.0)));
        found.flatten().or_else(|| first(words, operands))
    })
}

/// The first text of `texts` that the attribute never has.
fn compared(words: &Vocabulary, attribute: &Value, texts: &Value) -> Option<Misspelt> {
    let access = &attribute["."];
    let (var, name) = (access["left"]["Var"].as_str()?, access["attr"].as_str()?);
    let known = known(words, var, name)?;
    let set = texts["Set"].as_array().map(Vec::as_slice).unwrap_or_default();
    let literals = std::iter::once(texts).chain(set).filter_map(|one| one["Value"].as_str());
    let literal = literals.into_iter().find(|literal| !known.contains(literal))?;
    let canonical = literal.parse::<Scope>().ok().map(Scope::as_str).filter(|canonical| known.contains(canonical));
    let meant = did_you_mean(canonical.unwrap_or(literal), known.iter().copied(), |name| format!("{name:?}"));
    let few = (known.len() <= FEW).then(|| format!("There is {}.", known.join(", ")));
    let more = meant.or(few).map_or_else(String::new, |more| format!(". {more}"));
    Some(Misspelt { literal: literal.to_owned(), why: format!("{literal:?} is never in {var}.{name}{more}") })
}

/// The words that an attribute takes; none if it takes any.
fn known<'a>(words: &'a Vocabulary, var: &str, attribute: &str) -> Option<Vec<&'a str>> {
    Some(match (var, attribute) {
        ("principal", "scopes") => Scope::ALL.iter().map(|scope| scope.as_str()).collect(),
        ("principal", "side") => vec!["customer", "staff"],
        ("context", "via") => Via::ALL.map(Via::as_str).to_vec(),
        ("context", "tool") => words.tools().collect(),
        ("context", "class") => Class::ALL.map(Class::as_str).to_vec(),
        ("context", "risk") => Risk::ALL.map(risk_name).to_vec(),
        _ => return None,
    })
}
