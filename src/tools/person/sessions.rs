//! `session_list` and `session_end`: where a person is signed in, and that they are not any more: everybody for themselves,
//! and who manages people for those.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{absent, may_manage};
use crate::auth::session::{digest, idle_since};
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::event::Kind;
use crate::core::id::UserId;
use crate::core::redact::Sensitivity::{Pii, Public};
use crate::core::refusal::Refusal;
use crate::core::tool::ToolFacts;
use crate::log::signed_in::Session;
use crate::tools::outcome::Answer;
use crate::tools::record::{change, fresh};
use crate::tools::register::{Face, handler};
use crate::tools::shape::{Shape, any, id, text};
use crate::tools::{Execution, Tool, facts, register};

/// Why these need no scope.
const OWN: &str = "A person who is signed in sees and ends their own sessions. Those of others take the right over people, which \
                   is looked at with whose they are.";

static LIST: ToolFacts = facts::stop(facts::open(facts::control("session_list", None), OWN));
static END: ToolFacts = facts::administer(facts::stop(facts::open(facts::control("session_end", None), OWN)));

pub(super) fn list() -> Tool {
    let input = Shape::new().may("user", Public, id("usr", "Whose sessions; the caller's own if absent."));
    let output = Shape::new().must("user", Public, any("string", "The person.")).must(
        "items",
        Pii,
        any("array", "The sessions, newest first: as the log names them, since when, last used, from where."),
    );
    let face = Face { title: "List sessions", description: "Lists where a person is signed in to the console." };
    register::tool(&LIST, face, input.read_as::<Args>(), output, handler!(listed))
}

#[derive(Deserialize)]
struct Args {
    user: Option<UserId>,
    session: Option<String>,
}

async fn listed(execution: Execution) -> Answer {
    let args: Args = execution.arguments()?;
    let (user, sessions) = found(&execution, args.user).await?;
    let items: Vec<Value> = sessions.iter().map(shown).collect();
    Ok(json!({ "user": user, "items": items }))
}

fn shown(session: &Session) -> Value {
    json!({
        "id": digest(&session.hash), "began_at": session.began.document(), "used_at": session.seen.document(),
        "ends_at": session.ends.document(), "address": session.address, "user_agent": session.user_agent,
    })
}

pub(super) fn end() -> Tool {
    let input = Shape::new().may("user", Public, id("usr", "Whose sessions; the caller's own if absent.")).may(
        "session",
        Public,
        text("Which of them, as session_list names it; all if absent.", 64),
    );
    let output = Shape::new().must("user", Public, any("string", "The person.")).must(
        "ended",
        Public,
        any("integer", "How many sessions ended."),
    );
    let face = Face { title: "End sessions", description: "Signs a person out of one session, or of all of them." };
    register::tool(&END, face, input.read_as::<Args>(), output, handler!(ended))
}

async fn ended(execution: Execution) -> Answer {
    let args: Args = execution.arguments()?;
    let (user, mut sessions) = found(&execution, args.user).await?;
    if let Some(wanted) = &args.session {
        sessions.retain(|session| digest(&session.hash) == *wanted);
        if sessions.is_empty() {
            return Err(Refusal::new(Code::NotFound, "There is no such session.").into());
        }
    }
    let by = Some(execution.principal.user.clone()).filter(|by| *by != user);
    let kind = Kind::SignedOut { user: user.clone(), session: args.session.clone().map(Into::into), by };
    change(&execution, move |_, _| Ok(vec![kind.clone()])).await?;
    let vault = &execution.ports.reader.vault;
    match &args.session {
        None => vault.end_sessions(&user, "").await?,
        Some(_) => {
            for session in &sessions {
                vault.end_session(&session.hash).await?;
            }
        }
    }
    Ok(json!({ "user": user, "ended": sessions.len() }))
}

/// A person whose sessions the caller may end, and those. A key is no person: it does not sign its holder out.
async fn found(execution: &Execution, user: Option<UserId>) -> Result<(UserId, Vec<Session>), Outcome> {
    let who = &execution.principal;
    let (state, vault) = (fresh(execution).await?, &execution.ports.reader.vault);
    let user = user.unwrap_or_else(|| who.user.clone());
    let is_person = state.credentials.get(&who.credential).is_some_and(|row| row.created.role.is_some());
    let own = is_person && user == who.user;
    let person = vault.person(&user).await?;
    if !person.is_some_and(|person| own || may_manage(execution, &state, &person.account)) {
        return Err(absent().into());
    }
    let now = execution.ports.clock.now();
    Ok((user.clone(), vault.sessions_of(&user, now, idle_since(now)).await?))
}
