//! Arguments as a handler reads them. A schema says most of it; what only a type can say (an id whose checksum is wrong, a day
//! that no calendar has) is said here, and as early.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

/// Which argument cannot be read as its part of a `T`, as a JSON pointer. The text of the error is not for callers: it may quote
/// a value, and names our types.
pub(super) fn misfit<T: DeserializeOwned>(args: &Value) -> Option<String> {
    let error = serde_path_to_error::deserialize::<_, T>(args).err()?;
    let segments = error.path().iter().map_while(|segment| match segment {
        Segment::Map { key } => Some(format!("/{key}")),
        Segment::Seq { index } => Some(format!("/{index}")),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    let path: String = segments.collect();
    Some(if path.is_empty() { "/".to_owned() } else { path })
}
