//! From a request to a principal: the bearer token of the `Authorization` header, and nothing else.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::Http;
use super::gate::ClientAddress;
use super::problem::Problem;
use crate::auth::AuthError;
use crate::core::code::Code;
use crate::core::principal::{Principal, Via};
use crate::core::refusal::Refusal;

/// An authenticated caller of the REST API.
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// What the client says it is.
    pub user_agent: Option<String>,
}

impl FromRequestParts<Arc<Http>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, http: &Arc<Http>) -> Result<Self, Problem> {
        let principal = authenticate(http, parts, Via::Rest, false).await?;
        Ok(Self { principal, user_agent: user_agent(&parts.headers) })
    }
}

/// The principal behind a request.
pub async fn authenticate(http: &Http, parts: &Parts, via: Via, read_only: bool) -> Result<Principal, Problem> {
    let found = match bearer(&parts.headers) {
        Ok(token) => http.authenticator.authenticate(token, via, address(parts), read_only).await,
        Err(problem) => {
            http.door.counts().unauthenticated();
            return Err(problem);
        }
    };
    found.map_err(|error| match error {
        AuthError::Unauthenticated => {
            http.door.counts().unauthenticated();
            Problem::unauthenticated("The key is not known.").challenged("Bearer error=\"invalid_token\"".into())
        }
        AuthError::Unavailable(_) | AuthError::Unreadable(_) => {
            tracing::error!(%error, "a key could not be looked up");
            Refusal::new(Code::AuditUnavailable, "The key cannot be looked up now.").into()
        }
    })
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or_else(|| Problem::unauthenticated("No key was given."))?;
    if values.next().is_some() {
        return Err(Problem::unauthenticated("More than one key was given."));
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim())
    } else {
        Err(Problem::unauthenticated("That is not a bearer key."))
    }
}

fn address(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ClientAddress>().and_then(|address| address.0)
}

/// What the client says it is; never used to decide.
pub fn user_agent(headers: &HeaderMap) -> Option<String> {
    headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
