//! TOML for [`figment`], read by the parser that reads the cases of policies: the crate's own is an older one, and would be a second.

use figment::providers::Format;
use serde::de::DeserializeOwned;

/// A file of configuration.
pub(super) struct Toml;

impl Format for Toml {
    type Error = toml::de::Error;

    const NAME: &'static str = "TOML";

    fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Self::Error> {
        toml::from_str(text)
    }
}
