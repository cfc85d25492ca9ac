//! Reading a secret from a configuration.
//!
//! INVARIANT: whatever stands there, it is not shown: serde's own error would quote a number, as a secret of digits is one.

use secrecy::SecretString;
use serde::de::{Deserialize, Deserializer, Error};
use serde_json::Value;

/// A secret, if there is one. What is no text is refused.
pub fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    match Option::<Value>::deserialize(from)? {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(SecretString::from(text))),
        Some(_) => Err(D::Error::custom("a secret that is no text: put it in quotes, in the environment too")),
    }
}
