//! `session_list` and `session_end`: where a person is signed in, and that they are not any more: everybody for themselves,
//! and who manages people for those.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::session::{digest, idle_since};
use crate::core::call::Outcome;
use crate::core::code::Code;
use crate::core::commands::session::{EndSessions, Ender, may_end};
use crate::core::commands::user::absent;
use crate::core::id::UserId;
use crate::core::redact::Sensitivity::{Pii, Public};
use crate::core::refusal::Refusal;
use crate::log::signed_in::Session;
use crate::tools::Execution;
use crate::tools::declare::{Operation, Route, administration};
use crate::tools::instant::Instant;
use crate::tools::record::{change, fresh};

/// Why these need no scope.
const OWN: &str = "A person who is signed in sees and ends their own sessions. Those of others take the right over people, which \
                   is looked at with whose they are.";

pub(super) static LIST: Operation<Whose, Output> = administration("session_list")
    .open(OWN)
    .stops()
    .title("List sessions")
    .about("Lists where a person is signed in to the console.")
    .rest(Route::get("/people/{id}/sessions").naming("id", "user"))
    .run(|execution, args| Box::pin(listed(execution, args)));

pub(super) static END: Operation<Which, Ended> = administration("session_end")
    .open(OWN)
    .stops()
    .administers()
    .harmless_twice()
    .title("End sessions")
    .about("Signs a person out of one session, or of all of them.")
    .rest(Route::delete("/people/{id}/sessions").naming("id", "user"))
    .rest(Route::delete("/people/{id}/sessions/{session}").naming("id", "user"))
    .run(|execution, args| Box::pin(ended(execution, args)));

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Whose {
    /// Whose sessions; the caller's own if absent.
    #[schemars(extend("x-class" = Public))]
    user: Option<UserId>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// The person.
    #[schemars(extend("x-class" = Public))]
    user: UserId,
    /// The sessions, newest first: as the log names them, since when, last used, from where.
    #[schemars(extend("x-class" = Pii))]
    items: Vec<Listed>,
}

#[derive(Serialize, JsonSchema)]
struct Listed {
    /// As the log names it.
    id: String,
    /// Since when.
    began_at: Instant,
    /// When it was used last.
    used_at: Instant,
    /// It ends then.
    ends_at: Instant,
    /// From where.
    address: Option<String>,
    /// What the browser says it is.
    user_agent: Option<String>,
}

async fn listed(execution: Execution, Whose { user }: Whose) -> Result<Output, Outcome> {
    let own = &execution.principal.user;
    if user.as_ref().is_none_or(|user| user == own) && execution.ports.reader.vault.user(own).await?.is_none() {
        // Nobody who could sign in holds a program's key.
        return Ok(Output { user: own.clone(), items: Vec::new() });
    }
    let (user, sessions) = found(&execution, user).await?;
    Ok(Output { user, items: sessions.into_iter().map(to_listed).collect() })
}

fn to_listed(session: Session) -> Listed {
    Listed {
        id: digest(&session.hash),
        began_at: session.began.into(),
        used_at: session.seen.into(),
        ends_at: session.ends.into(),
        address: session.address,
        user_agent: session.user_agent.map(String::from),
    }
}

#[derive(Clone, Deserialize, JsonSchema)]
pub(super) struct Which {
    /// Whose sessions; the caller's own if absent.
    #[schemars(extend("x-class" = Public))]
    user: Option<UserId>,
    /// Which of them, as session_list names it; all if absent.
    #[schemars(extend("x-class" = Public), length(min = 1, max = 64))]
    session: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Ended {
    /// The person.
    #[schemars(extend("x-class" = Public))]
    user: UserId,
    /// How many sessions ended.
    #[schemars(extend("x-class" = Public))]
    ended: usize,
}

async fn ended(execution: Execution, args: Which) -> Result<Ended, Outcome> {
    let (user, mut sessions) = found(&execution, args.user).await?;
    if let Some(wanted) = &args.session {
        sessions.retain(|session| digest(&session.hash) == *wanted);
        if sessions.is_empty() {
            return Err(Refusal::new(Code::NotFound, "There is no such session.").into());
        }
    }
    let by = Ender::Caller(execution.principal.clone());
    change(&execution, None, EndSessions { user: user.clone(), session: args.session.clone(), by }).await?;
    let vault = &execution.ports.reader.vault;
    match &args.session {
        None => vault.end_sessions(&user, "").await?,
        Some(_) => {
            for session in &sessions {
                vault.end_session(&session.hash).await?;
            }
        }
    }
    Ok(Ended { user, ended: sessions.len() })
}

/// A person whose sessions the caller may end, and those. Whoever holds the caller's key is known to the caller; of others, absent
/// and not the caller's to manage look the same (P9).
async fn found(execution: &Execution, user: Option<UserId>) -> Result<(UserId, Vec<Session>), Outcome> {
    let who = &execution.principal;
    let (state, vault) = (fresh(execution).await?, &execution.ports.reader.vault);
    let user = user.unwrap_or_else(|| who.user.clone());
    if !may_end(&state, who, &user) {
        return Err(if user == who.user { not_of_a_key() } else { absent() }.into());
    }
    if vault.user(&user).await?.is_none() {
        return Err(absent().into());
    }
    let now = execution.ports.clock.now();
    Ok((user.clone(), vault.sessions_of(&user, now, idle_since(now)).await?))
}

fn not_of_a_key() -> Refusal {
    let text = "A key neither sees nor ends the sessions of the person who holds it.";
    Refusal::new(Code::ForbiddenRole, text).hint("Sign in to the console, or use a key that manages people.")
}
