//! From a browser that an issuer sent back to a session, or to a link between the two.
//!
//! INVARIANT: who is let in, who is not, and who is linked is written down first, of what no browser here began as much as one
//! address may guess; an attempt is used up before the issuer is asked anything about it.

use std::time::Duration;

use serde_json::{Value, json};

use super::attempt::{Attempt, Redirect, mark};
use super::decision::{DenialReason, Verdict, decide};
use super::issuer::{Claims, Issuer, IssuerError};
use crate::auth::begin_session::Voucher;
use crate::auth::known_browser::KnownBrowser;
use crate::auth::session::{Browser, Origin, SessionError, Sessions, SignInCookies, SignedInUser};
use crate::core::id::{Position, UserId};
use crate::core::time::Micros;
use crate::log::users::UserRecord;

/// What an issuer gives a browser to bring back.
#[derive(Debug, Default, serde::Deserialize)]
pub struct CallbackQuery {
    /// The state of the attempt.
    #[serde(default)]
    pub state: String,
    /// What the token is given for.
    pub code: Option<String>,
    /// Why there is none.
    pub error: Option<String>,
    /// Who sent them back.
    pub iss: Option<String>,
}

/// Where somebody came back to.
#[derive(Debug)]
pub enum CallbackOutcome {
    /// They are signed in.
    In {
        /// What the browser keeps.
        entered: SignInCookies,
        /// Where they wanted to go on.
        next: String,
    },
    /// They were, and the issuer knows them from now on.
    Linked,
}

/// What a browser that comes back has kept.
#[derive(Clone, Copy, Default)]
pub struct CallbackCookies<'a> {
    /// The attempt whose state came back, sealed.
    pub attempt: Option<&'a str>,
    /// It keeps attempts, with other states.
    pub has_others: bool,
    /// Who is signed in in it.
    pub signed_in: Option<&'a SignedInUser>,
}

/// Somebody who did not come in.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// For a reason that is theirs, or their issuer's.
    #[error("not let in: {}", .0.as_str())]
    Refused(DenialReason),
    /// There were too many attempts.
    #[error("too many attempts; the next one may be made in {0:?}")]
    TooMany(Duration),
    /// It could not be done, or not be written down.
    #[error(transparent)]
    Failed(#[from] SessionError),
}

/// What is written down of whoever did not come in.
pub(super) struct Refused {
    why: DenialReason,
    detail: Option<String>,
    claims: Option<Claims>,
    person: Option<UserRecord>,
}

impl From<DenialReason> for Refused {
    fn from(why: DenialReason) -> Self {
        Self { why, detail: None, claims: None, person: None }
    }
}

pub(super) enum Stop {
    Refused(Box<Refused>),
    Failed(SessionError),
    /// Somebody else is at the same thing: what they come to holds for both.
    Again,
}

impl From<DenialReason> for Stop {
    fn from(why: DenialReason) -> Self {
        Self::Refused(Box::new(why.into()))
    }
}

impl<E: Into<SessionError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// How often somebody looks again who is being made a person in another tab, or on another node.
const TURNS: u32 = 60;

/// How long between two looks.
const TURN: Duration = Duration::from_millis(50);

impl Sessions {
    /// Begins an attempt: where to send the browser, and the cookie that it has to come back with. Nothing is stored.
    pub async fn leave_for(&self, issuer: &Issuer, next: &str, link: Option<UserId>) -> Result<Redirect, CallbackError> {
        let seen = self.writer.fence().state().position;
        let attempt = Attempt::new(&issuer.name, next, link, (self.clock.now(), seen), &*self.entropy);
        let gateway = issuer.authorization_url(&attempt).await.map_err(|error| CallbackError::Refused(why(&error)))?;
        let sealed = attempt.seal(&self.vault).await.map_err(SessionError::from)?;
        Ok(Redirect { authorization_url: gateway, mark: mark(&attempt.state), sealed })
    }

    /// Ends an attempt, if the browser has kept one with the state that came back; others that it keeps are not touched.
    pub async fn come_back(
        &self,
        issuer: &Issuer,
        back: &CallbackQuery,
        kept: CallbackCookies<'_>,
        from: &Browser,
    ) -> Result<CallbackOutcome, CallbackError> {
        let (now, address) = (self.clock.now(), &from.origin.address);
        let attempt = match self.begun_here(issuer, back, kept, now).await? {
            Ok(attempt) => attempt,
            Err(why) => {
                if self.guesses.is_recorded(address, now) {
                    let note = note(issuer, &from.origin, None, Some((why, None)));
                    self.note_refusal_by(None, Some(&issuer.name), note).await?;
                }
                return Err(CallbackError::Refused(why));
            }
        };
        let known = KnownBrowser::open(from.known.as_deref(), &self.vault, now).await?;
        let counted = self.count_back(address, &known.all()).await?.map_err(CallbackError::TooMany)?;
        let refused = match self.arrive(issuer, back, &attempt, kept.signed_in, from).await {
            Ok(arrived) => {
                self.uncount(counted).await;
                return Ok(arrived);
            }
            Err(Stop::Refused(refused)) => refused,
            Err(stop) => {
                self.uncount(counted).await;
                return Err(CallbackError::Failed(if let Stop::Failed(error) = stop { error } else { SessionError::Busy }));
            }
        };
        if refused.why.is_the_issuers() {
            self.uncount(counted).await;
        }
        let note = note(issuer, &from.origin, refused.claims.as_ref(), Some((refused.why, refused.detail)));
        self.note_refusal_by(refused.person.as_ref(), Some(&issuer.name), note).await?;
        Err(CallbackError::Refused(refused.why))
    }

    /// The attempt that this browser began and comes back with.
    async fn begun_here(
        &self,
        issuer: &Issuer,
        back: &CallbackQuery,
        kept: CallbackCookies<'_>,
        now: Micros,
    ) -> Result<Result<Attempt, DenialReason>, SessionError> {
        let attempt = Attempt::open(kept.attempt.unwrap_or_default(), &issuer.name, &self.vault, now).await?;
        let none = if kept.has_others { DenialReason::WrongState } else { DenialReason::NoAttempt };
        Ok(attempt.ok_or(none).and_then(|own| if own.is_state(&back.state) { Ok(own) } else { Err(DenialReason::WrongState) }))
    }

    async fn arrive(
        &self,
        issuer: &Issuer,
        back: &CallbackQuery,
        attempt: &Attempt,
        signed_in: Option<&SignedInUser>,
        from: &Browser,
    ) -> Result<CallbackOutcome, Stop> {
        let now = self.clock.now();
        if !attempt.spend(&self.vault, now).await? {
            return Err(DenialReason::Replayed.into());
        }
        let code = back.code.as_deref().filter(|_| back.error.is_none()).ok_or(DenialReason::Denied)?;
        let redeemed = issuer.redeem(code, back.iss.as_deref(), attempt, now).await;
        let claims = redeemed.map_err(|error| {
            tracing::warn!(issuer = issuer.name, %error, "nobody was signed in, for what an issuer answered");
            refuse(why(&error), Some(error.to_string()), None, None)
        })?;
        if attempt.link.is_some() {
            self.link_signed_in(issuer, attempt, claims, signed_in, &from.origin).await?;
            return Ok(CallbackOutcome::Linked);
        }
        for turn in 0..TURNS {
            match self.enter(issuer, &claims, attempt.seen, (turn > 0, from)).await {
                Err(Stop::Again) => tokio::time::sleep(TURN).await,
                entered => return Ok(CallbackOutcome::In { entered: entered?, next: attempt.next.clone() }),
            }
        }
        Err(Stop::Again)
    }

    async fn enter(
        &self,
        issuer: &Issuer,
        claims: &Claims,
        seen: Position,
        (is_again, from): (bool, &Browser),
    ) -> Result<SignInCookies, Stop> {
        let refused = |why, person| refuse(why, None, Some(claims.clone()), person);
        let linked = self.linked(&issuer.settings.issuer, &claims.subject).await?;
        let namesakes = match &claims.email {
            Some(email) if linked.is_none() => self.people_of(Some(email), None).await?,
            _ => Vec::new(),
        };
        let had = linked.clone();
        let known = linked.clone().or_else(|| namesakes.iter().find(|person| person.proved).cloned());
        let (person, role, link) = match decide(&issuer.settings, claims, linked, &namesakes) {
            Verdict::Enter { person, role, link } => (person, role, link),
            Verdict::Create { email, role } => {
                self.check_unknown_before(&issuer.settings.issuer, claims, is_again).await?;
                (self.create((&email, role), issuer, claims, &from.origin).await?, Some(role), true)
            }
            Verdict::Refuse(why) => {
                if let Some(person) = had.filter(|_| why == DenialReason::NoRole)
                    && !self.end_what_they_act_with(&person, &issuer.name, seen).await?
                {
                    return Err(refused(DenialReason::Older, known));
                }
                return Err(refused(why, known));
            }
        };
        // An issuer does not bring back a removed user.
        let Some(had) = self.role_of(&person).await? else { return Err(refused(DenialReason::Unknown, Some(person))) };
        if link && !self.link(issuer, &person, claims, &from.origin).await? {
            return Err(refused(DenialReason::LinkedOtherwise, Some(person)));
        }
        let (acts, says) = (self.acting_role_of(&person).await?, role.is_some());
        // What one issuer has taken, another one does not give back by knowing nothing of roles.
        let Some(role) = role.or(acts) else { return Err(refused(DenialReason::NoRole, Some(person))) };
        if (role != had || acts.is_none()) && !self.give_role(&person, role, issuer, claims, seen).await? {
            return Err(refused(DenialReason::Older, Some(person)));
        }
        let note = note(issuer, &from.origin, Some(claims), None);
        let by = Voucher {
            name: &issuer.name,
            issuer: &issuer.settings.issuer,
            subject: &claims.subject,
            holds: issuer.settings.holds(),
            gives: says,
        };
        let begun = self.begin_by(&person, role, Some(by), from, note).await?;
        begun.ok_or_else(|| refused(DenialReason::Unknown, Some(person)))
    }
}

fn why(error: &IssuerError) -> DenialReason {
    match error {
        IssuerError::Unreached(_) => DenialReason::Unavailable,
        IssuerError::Misanswered { at, .. } => DenialReason::Misanswered(*at),
        IssuerError::NoToken(_) => DenialReason::NoToken,
        IssuerError::Untrue { check, .. } => DenialReason::Untrue(*check),
    }
}

pub(super) fn refuse(why: DenialReason, detail: Option<String>, claims: Option<Claims>, person: Option<UserRecord>) -> Stop {
    Stop::Refused(Box::new(Refused { why, detail, claims, person }))
}

/// What is written down, encrypted: where they came from, and what was said of them.
pub(in crate::auth) fn note(
    issuer: &Issuer,
    from: &Origin,
    claims: Option<&Claims>,
    refused: Option<(DenialReason, Option<String>)>,
) -> Value {
    let (why, detail) = refused.map_or((None, None), |(why, detail)| (Some(why.as_str()), detail));
    json!({
        "address": from.address,
        "user_agent": from.user_agent,
        "issuer": issuer.settings.issuer,
        "subject": claims.map(|claims| &claims.subject),
        "email": claims.and_then(|claims| claims.email_as_said.as_ref()),
        "why": why,
        "detail": detail,
    })
}
