//! Who put something in force that is recorded as a whole, the policies or the limits, and when: as the event says by which it
//! came about.

use serde_json::{Value, json};

use crate::core::event::{Event, EventKind};
use crate::core::id::{CredentialId, Position, UserId};
use crate::core::time::Micros;
use crate::core::visibility::Visibility;
use crate::log::reading::{ReadError, Reader};

/// The row of the policies in force.
pub const POLICIES: &str = "policy:set";

/// The row of the limits in force.
pub const LIMITS: &str = "limits:set";

/// How something came into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The event.
    pub position: Position,
    /// When.
    pub at: Micros,
    /// Who.
    pub author: Author,
}

/// Who put something in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// Somebody with the right to.
    Person {
        /// Who.
        user: UserId,
        /// With what.
        credential: Option<CredentialId>,
    },
    /// Somebody at the machine, on the data itself: the user and the host, as far as that can be read.
    Operator(String),
    /// Nobody: the start of a node that found nothing recorded.
    Start,
}

impl Author {
    /// In words.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Person { user, .. } => user.to_string(),
            Self::Operator(name) => format!("{name}, on the data itself"),
            Self::Start => "the first start of a node".into(),
        }
    }
}

/// Puts into a document how what it shows came into force; nulls if nobody knows.
pub fn add_origin(document: &mut Value, origin: Option<&Origin>) {
    document["by"] = json!(origin.map(|origin| origin.author.text()));
    document["since"] = json!(origin.map(|origin| origin.at.document()));
    document["position"] = json!(origin.map(|origin| origin.position));
}

/// The event that a row of control state follows from; none if there is no such row.
pub async fn event(reader: &Reader, row: &str) -> Result<Option<Event>, ReadError> {
    let rows = reader.store.state_rows(&[row.to_owned()]).await?;
    match rows.first() {
        Some(row) => reader.event(row.position).await,
        None => Ok(None),
    }
}

/// How what a row holds came into force.
pub async fn origin(reader: &Reader, row: &str) -> Result<Option<Origin>, ReadError> {
    let Some(event) = event(reader, row).await? else { return Ok(None) };
    let (position, at) = (event.position, event.at);
    Ok(Some(Origin { position, at, author: author(reader, &event).await }))
}

async fn author(reader: &Reader, event: &Event) -> Author {
    if let EventKind::PolicyLoaded { by: Some(user), credential, .. } | EventKind::LimitsSet { by: Some(user), credential, .. } =
        &event.kind
    {
        return Author::Person { user: user.clone(), credential: credential.clone() };
    }
    if !event.parts.iter().any(|part| part.part == "note") {
        return Author::Start;
    }
    // That it cannot be opened does not make it nobody's.
    let note = reader.part(event, "note", &Visibility::Everything).await.ok().flatten().unwrap_or_default();
    let said = |field: &str| note["operator"][field].as_str().map(str::to_owned);
    let name = said("user").map(|user| said("host").map_or_else(|| user.clone(), |host| format!("{user}@{host}")));
    Author::Operator(name.unwrap_or_else(|| "somebody".into()))
}
