//! A query as a type of ours, and what is wrong with one in words of ours: serde's would name types and quote what was sent.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::core::near::did_you_mean;

/// Why a query cannot be read. Names no parameter but ours, and no value.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is a parameter that is not known here.
    Unknown {
        /// Those that are.
        known: String,
        /// Which of them was probably meant, as a question.
        meant: Option<String>,
    },
    /// This one is there more than once.
    Twice(String),
    /// This one is not there.
    Missing(&'static str),
    /// This one is not what it has to be.
    Unreadable(String),
    /// Something else.
    Malformed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { known, .. } if known.is_empty() => f.write_str("The query has a parameter, and none is known here."),
            Self::Unknown { known, meant } => {
                write!(f, "The query has a parameter that is not known here; there are: {known}.")?;
                meant.iter().try_for_each(|meant| write!(f, " {meant}"))
            }
            Self::Twice(name) => write!(f, "The query has {name} more than once."),
            Self::Missing(name) => write!(f, "The query lacks {name}."),
            Self::Unreadable(name) => write!(f, "The query's {name} cannot be read."),
            Self::Malformed => f.write_str("The query cannot be read."),
        }
    }
}

impl std::error::Error for Fault {}

impl Fault {
    fn unknown(name: &str, known: &[&str]) -> Self {
        Self::Unknown { known: known.join(", "), meant: did_you_mean(name, known.iter().copied(), str::to_owned) }
    }
}

impl Error for Fault {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Malformed
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::unknown(name, known)
    }

    fn missing_field(name: &'static str) -> Self {
        Self::Missing(name)
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self::Twice(name.to_owned())
    }
}

/// Reads the query of an address.
pub fn read<T: DeserializeOwned>(query: &str) -> Result<T, Fault> {
    of_pairs(form_urlencoded::parse(query.as_bytes()))
}

/// Reads what was taken apart already.
pub fn of_pairs<'a, T: DeserializeOwned>(pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Result<T, Fault> {
    let pairs = pairs.map(|(name, value)| (name.clone(), Parameter { name, value }));
    T::deserialize(MapDeserializer::new(pairs))
}

/// The query of an address as arguments, by the schema of each that may be given.
pub fn arguments(query: &str, known: &Map<String, Value>) -> Result<Map<String, Value>, Fault> {
    let mut given = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let Some(schema) = known.get(&*name) else {
            return Err(Fault::unknown(&name, &known.keys().map(String::as_str).collect::<Vec<_>>()));
        };
        let read = value_of(&value, schema).ok_or_else(|| Fault::Unreadable(name.clone().into_owned()))?;
        if given.insert(name.clone().into_owned(), read).is_some() {
            return Err(Fault::Twice(name.into_owned()));
        }
    }
    Ok(given)
}

/// A text of an address as an argument of this schema; none if it is no number, or no `true` or `false`, where one is asked for.
pub fn value_of(text: &str, schema: &Value) -> Option<Value> {
    let read = || serde_json::from_str::<Value>(text).ok();
    match schema["type"].as_str() {
        Some("integer" | "number") => read().filter(Value::is_number),
        Some("boolean") => read().filter(Value::is_boolean),
        _ => Some(text.into()),
    }
}

/// The value of a parameter, which says whose it is if it cannot be read.
struct Parameter<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, str>,
}

impl Parameter<'_> {
    fn unreadable(name: &str) -> Fault {
        Fault::Unreadable(name.to_owned())
    }
}

impl IntoDeserializer<'_, Fault> for Parameter<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, signed_in: V) -> Result<V::Value, Fault> {
            let number = self.value.parse().map_err(|_| Self::unreadable(&self.name))?;
            signed_in.$visit(number).map_err(|_: Fault| Self::unreadable(&self.name))
        }
    )*};
}

impl<'de> Deserializer<'de> for Parameter<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, signed_in: V) -> Result<V::Value, Fault> {
        signed_in.visit_string(self.value.into_owned()).map_err(|_: Fault| Self::unreadable(&self.name))
    }

    fn deserialize_option<V: Visitor<'de>>(self, signed_in: V) -> Result<V::Value, Fault> {
        signed_in.visit_some(self)
    }

    numbers! {
        deserialize_u32 visit_u32;
        deserialize_u64 visit_u64;
        deserialize_i64 visit_i64;
        deserialize_bool visit_bool;
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
