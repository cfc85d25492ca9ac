//! Host names: what a machine is called in its network.
//!
//! INVARIANT: a [`Hostname`] is one that RFC 1123 allows and every guest can bear, so it stands as it is in a kernel's command line
//! and in a confirmation.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Longest name: one label of DNS, and what Linux lets a machine be called at most is hardly more.
const MAX_LENGTH: usize = 63;

/// A host name: labels of a-z, 0-9 and inner hyphens, joined by dots, 63 characters in all; the last one not of digits alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Hostname(String);

/// A text that is no host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a host name is labels of a-z, 0-9 and inner hyphens, joined by dots, 63 characters in all, such as web-1.example.com")]
pub struct NoHostname;

impl Hostname {
    /// It as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Hostname {
    type Err = NoHostname;
    fn from_str(text: &str) -> Result<Self, NoHostname> {
        // Dotted numbers are an address to whoever looks the name up.
        let is_address = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        let fits = text.len() <= MAX_LENGTH && text.split('.').all(is_label) && !is_address;
        if fits { Ok(Self(text.to_owned())) } else { Err(NoHostname) }
    }
}

fn is_label(label: &str) -> bool {
    let plain = label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    plain && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
}

impl TryFrom<String> for Hostname {
    type Error = NoHostname;
    fn try_from(text: String) -> Result<Self, NoHostname> {
        text.parse()
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Hostname {
    fn schema_name() -> Cow<'static, str> {
        "Hostname".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": MAX_LENGTH })
    }
}

#[cfg(test)]
mod tests {
    use super::Hostname;

    #[test]
    fn host_names_are_those_that_every_guest_can_bear() {
        let longest = format!("{}.{}", "a".repeat(31), "b".repeat(31));
        for name in ["web-1", "a", "1-up", "web.example.com", "xn--bcher-kva.example", "10.in-addr.arpa", &longest] {
            assert_eq!(name.parse::<Hostname>().map(|name| name.to_string()).as_deref(), Ok(name));
        }
        let too_long = format!("{longest}c");
        for text in [
            "",
            ".",
            "web.",
            ".web",
            "a..b",
            "-web",
            "web-",
            "web.-a",
            "Web-1",
            "web_1",
            "web 1",
            "bücher",
            "web\n",
            "127.0.0.1",
            "127.1",
            "7",
            "a.7",
            "web,x=y",
            "$(id)",
            &too_long,
        ] {
            assert!(text.parse::<Hostname>().is_err(), "{text:?}");
        }
    }
}
