//! From a request to a person who is signed in, and to what they act with.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde_json::Value;

use super::appearance::Appearance;
use super::cookie;
use super::page_error::{PageError, UnderWay};
use crate::auth::session::{Browser, Origin, SignedInUser, Token};
use crate::control::{Reply, Request};
use crate::core::id::AccountId;
use crate::core::principal::{Principal, Side, Via};
use crate::core::reading::Reading;
use crate::core::refusal::Refusal;
use crate::core::role::Role;
use crate::core::scope::Scope;
use crate::core::visibility::Visibility;
use crate::http::Http;
use crate::http::body_budget::Reservation;
use crate::http::caller::user_agent;
use crate::http::ingress::{ClientAddress, host};
use crate::http::recheck::Reader;
use crate::http::throttle::network;
use crate::tools::Tool;

/// How long a page waits for what its form asked for, so that it can say what came of it, though agents be given less.
const TIMEOUT: Duration = Duration::from_secs(25);

/// Somebody who is signed in, on a page.
pub struct SignedInRequest {
    /// Everything behind the page.
    pub http: Arc<Http>,
    /// Who.
    pub signed_in: SignedInUser,
    /// What they act as.
    pub principal: Principal,
    /// How they want to see it.
    pub appearance: Appearance,
    /// The page, with its query.
    pub path: String,
    /// Why they look into more than one account, if they have said so in this session.
    pub reason: Option<String>,
    /// What the form before this page has done.
    pub told: Option<String>,
    user_agent: Option<String>,
    host: String,
}

impl SignedInRequest {
    /// Where this server is reached, without a slash at the end.
    pub fn base_url(&self) -> String {
        let settings = &self.http.settings;
        let scheme = if settings.tls { "https" } else { "http" };
        let base = settings.public_url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
        base.unwrap_or_else(|| format!("{scheme}://{}", self.host))
    }

    /// Where agents connect.
    pub fn mcp_url(&self) -> String {
        format!("{}/mcp", self.base_url())
    }

    /// Calls a tool as this person; recorded, decided and limited as any call.
    pub async fn call(&self, tool: &str, args: Value) -> Reply {
        self.call_within(tool, args, TIMEOUT).await
    }

    /// The same, and waits so long for it.
    pub async fn call_within(&self, tool: &str, args: Value, wait: Duration) -> Reply {
        let session = Some(self.signed_in.session.hash.clone());
        let user_agent = self.user_agent.clone();
        let asked = Request::new(self.principal.clone(), tool, args);
        self.http.gateway.submit(Request { session, user_agent, wait, ..asked }, Reservation::default()).await
    }

    /// The same, for who needs no more than what it answers. A call that goes on has answered nothing yet.
    pub async fn done(&self, tool: &str, args: Value) -> Result<Value, NotDone> {
        let has_secret = self.http.gateway.control().catalogue.get(tool).is_some_and(Tool::answers_a_secret);
        result_of(self.call(tool, args).await, has_secret)
    }

    /// Leave to read the log back. Why the staff reads is written down with what it asked for.
    pub async fn check_reader(&self, what: Reading, about: Option<AccountId>, mut asked: Value) -> Result<(), Refusal> {
        if let (Some(reason), Some(asked)) = (&self.reason, asked.as_object_mut()) {
            asked.insert("reason".to_owned(), reason.as_str().into());
        }
        self.http.gateway.check_reader(&self.principal, what, about, asked).await
    }

    /// What they may see.
    pub fn visibility(&self) -> Visibility {
        Visibility::of(&self.principal, &self.http.gateway.state())
    }

    /// Whether they are of the staff.
    pub fn is_staff(&self) -> bool {
        self.principal.side == Side::Staff
    }

    /// Whether lists show them commands, and find calls by these: staff once they have said why they look.
    pub fn reads_commands(&self) -> bool {
        !self.is_staff() || self.reason.is_some()
    }

    /// Whether the role answers for calls that wait: of the own account, or as the provider's staff.
    pub fn may_approve(&self) -> bool {
        self.may(if self.is_staff() { Scope::StaffApprove } else { Scope::ApprovalsDecide })
    }

    /// Whether the role has a right.
    pub fn may(&self, scope: Scope) -> bool {
        self.role().scopes().contains(&scope)
    }

    /// Their role.
    pub fn role(&self) -> Role {
        self.signed_in.role
    }

    /// Where they come from.
    pub fn origin(&self) -> Origin {
        Origin { address: counted(self.principal.ip), user_agent: self.user_agent.clone() }
    }
}

/// Why a call has answered nothing that a page can tell as done.
#[derive(Debug)]
pub enum NotDone {
    /// It was refused, or failed.
    Refused(Refusal),
    /// It goes on: nobody knows yet what comes of it.
    UnderWay(UnderWay),
}

impl From<NotDone> for PageError {
    fn from(not_done: NotDone) -> Self {
        match not_done {
            NotDone::Refused(refusal) => refusal.into(),
            NotDone::UnderWay(under_way) => Self::UnderWay(under_way),
        }
    }
}

fn result_of(reply: Reply, has_secret: bool) -> Result<Value, NotDone> {
    match reply {
        Reply::Done { result, .. } => Ok(result),
        Reply::Failed { refusal, .. } => Err(NotDone::Refused(refusal)),
        Reply::Running { call, .. } => Err(NotDone::UnderWay(UnderWay { call, has_secret })),
    }
}

/// The address that attempts are counted by: one subscriber has a whole network of IPv6.
fn counted(ip: Option<IpAddr>) -> String {
    ip.map_or_else(|| "unknown".to_owned(), |ip| network(ip).to_string())
}

impl FromRequestParts<Arc<Http>> for SignedInRequest {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, PageError> {
        let request = AnonymousRequest::from_request_parts(parts, http).await?;
        let away = || PageError::SignIn { next: request.path.clone(), fragment: parts.headers.contains_key("hx-request") };
        let token = cookie::session(&parts.headers, &http.settings).ok_or_else(away)?;
        let signed_in = http.sessions.find(&token).await?.ok_or_else(away)?;
        let principal = Principal {
            side: signed_in.side(),
            account: signed_in.person.account.clone(),
            user: signed_in.person.id.clone(),
            credential: signed_in.session.credential.clone(),
            via: Via::Console,
            ip: request.ip,
            read_only: false,
        };
        // As for every key: alive in the log, not only as this node remembers it (P8).
        http.gateway
            .check_alive(&principal)
            .await
            .map_err(|refusal| if refusal.code.status() == 401 { away() } else { refusal.into() })?;
        Reader::note(parts, &principal);
        let AnonymousRequest { appearance, path, user_agent, .. } = request;
        let host = host(&parts.uri, &parts.headers).unwrap_or_default();
        let reason = cookie::reason(&parts.headers, &token);
        let told = cookie::told(&parts.headers, &token);
        Ok(Self { http: Arc::clone(http), signed_in, principal, appearance, path, reason, told, user_agent, host })
    }
}

/// Anybody, on a page that needs nobody to be signed in.
pub struct AnonymousRequest {
    /// How they want to see it.
    pub appearance: Appearance,
    /// The page, with its query.
    pub path: String,
    /// The browser sends two sessions that differ.
    pub has_two_sessions: bool,
    user_agent: Option<String>,
    ip: Option<IpAddr>,
    known: Option<String>,
    session: Option<Token>,
}

impl AnonymousRequest {
    /// What they sign in with.
    pub fn browser(&self) -> Browser {
        let origin = Origin { address: counted(self.ip), user_agent: self.user_agent.clone() };
        Browser { origin, known: self.known.clone(), session: self.session.clone() }
    }
}

impl FromRequestParts<Arc<Http>> for AnonymousRequest {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, PageError> {
        // Within the nest the prefix is gone from the address.
        let original = parts.extensions.get::<axum::extract::OriginalUri>().map_or(&parts.uri, |original| &original.0);
        let path = original.path_and_query().map_or("/console/", |path| path.as_str()).to_owned();
        let ip = parts.extensions.get::<ClientAddress>().and_then(|address| address.0);
        let (headers, settings) = (&parts.headers, &http.settings);
        Ok(Self {
            appearance: Appearance::of(headers),
            path,
            has_two_sessions: cookie::has_two_sessions(headers, settings),
            user_agent: user_agent(headers),
            ip,
            known: cookie::known(headers, settings).map(str::to_owned),
            session: cookie::session(headers, settings),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::call::Status;
    use crate::core::id::CallId;

    #[test]
    fn a_call_that_goes_on_is_never_told_as_done() {
        let call: CallId = "call_01JZ0000000000000000000000".parse().expect("an id");
        let running = Reply::Running { call: call.clone(), status: Status::Running, command: false };
        let told = PageError::from(result_of(running, true).expect_err("nothing is done"));
        assert!(matches!(&told, PageError::UnderWay(of) if of.call == call && of.has_secret), "{told:?}");
        let done = result_of(Reply::Done { call, result: serde_json::json!({ "id": 1 }) }, false);
        assert_eq!(done.ok(), Some(serde_json::json!({ "id": 1 })));
    }
}
