//! Who somebody is, as pages name them.

use super::format::escape_hidden;
use super::request::SignedInRequest;

/// A person by e-mail address; the id if nobody knows it, and an agent or the command line if there is nobody.
pub async fn person(request: &SignedInRequest, user: Option<String>) -> String {
    let Some(user) = user else { return "an agent, or the command line".into() };
    let Ok(id) = user.parse() else { return user };
    let email = request.http.gateway.control().ports.reader.vault.email(&id).await.ok().flatten();
    email.map_or(user, |email| escape_hidden(&email))
}
