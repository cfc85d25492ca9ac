//! Signing in by an issuer: who comes in, as whom, in which browser, and what is written down.

mod attempts;
mod coming_in;
mod linked;
mod reached;

use forelog::ambient::OsEntropy;
use forelog::core::event::{CredentialCreated, EventKind};
use forelog::core::id::{CredentialId, EventId, Position};
use forelog::core::principal::Side;
use forelog::core::scope::ScopeSet;
use forelog::core::time::Clock;
use forelog::log::draft::NewEvent;
use forelog::log::store::Want;

use super::ConsoleServer;

const DOMAIN: &str = "domains = [\"example.com\"]";

const GROUPS: &str = "domains = [\"example.com\"]\nroles = { ops = \"admin\", desk = \"reader\", noc = \"responder\" }";

impl ConsoleServer {
    /// A key of somebody of the staff.
    pub async fn staff_key(&self, email: &str, scopes: ScopeSet) -> CredentialId {
        let ports = &self.app.node().control.ports;
        let people = ports.reader.vault.users().await.expect("the people");
        let person = people.into_iter().find(|person| person.email.as_str() == email).expect("a person");
        let (credential, id) = (CredentialId::new(self.clock.now(), &OsEntropy), EventId::new(self.clock.now(), &OsEntropy));
        let created = CredentialCreated {
            credential: credential.clone(),
            account: person.account,
            user: person.id,
            side: Side::Staff,
            hash: credential.to_string().into(),
            prefix: "flk_live_staff".into(),
            scopes,
            ..crate::fixtures::key_made(1)
        };
        let event = NewEvent::plain(id, EventKind::CredentialCreated(created));
        ports.writer.write(Want::default(), move |draft| draft.append(Position(0), event.clone())).await.expect("a key");
        credential
    }
}
