//! Arguments as a handler reads them. A schema says most of it; what only a type can say (an id whose checksum is wrong, a day
//! that no calendar has) is said here, and as early.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

/// They as a `T`; else which of them cannot be read as its part of one, as a JSON pointer. The text of the error is not for
/// callers: it may quote a value, and names our types.
pub(super) fn read<T: DeserializeOwned>(args: &Value) -> Result<T, String> {
    serde_path_to_error::deserialize(args).map_err(|error| path(&error))
}

fn path(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let segments = error.path().iter().map_while(|segment| match segment {
        Segment::Map { key } => Some(format!("/{key}")),
        Segment::Seq { index } => Some(format!("/{index}")),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    let path: String = segments.collect();
    if path.is_empty() { "/".to_owned() } else { path }
}
