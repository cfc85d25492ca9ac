//! One issuer as we meet it: what it publishes, where it sends people, and what it says of them.
//!
//! INVARIANT: what it says is believed only in a token that it signed for us, now, and for this attempt; and that it does not
//! answer keeps nobody from anything but signing in with it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use openidconnect::core::{CoreAuthenticationFlow, CoreClientAuthMethod, CoreGenderClaim};
use openidconnect::{
    AccessToken, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, IdTokenVerifier,
    IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    SignatureVerificationError, TokenResponse, UserInfoClaims,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use super::attempt::{Attempt, HOLDS};
use super::outward::Outward;
use super::settings::Settings;
use super::shapes::{Client, IdToken, More, Published, SIGNATURES, Verified};
use crate::core::time::{Clock, Micros};

/// How long what it publishes is taken for current.
const CURRENT: Duration = Duration::from_hours(1);

/// How long it is left alone after it did not answer.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// How far its clock may be from ours.
const SKEW: Duration = Duration::from_mins(1);

/// An issuer that is of no use now.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// It cannot be asked, or answers what nobody can use.
    #[error("{0}")]
    Unavailable(String),
    /// It did not give a token for the code.
    #[error("{0}")]
    NoToken(String),
    /// What it gave is not to be believed.
    #[error("{0}")]
    Untrue(String),
}

/// What an issuer says of a person, after everything was verified.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// What it calls them, for ever.
    pub subject: String,
    /// Their e-mail address.
    pub email: Option<String>,
    /// Whether it has made sure that it is theirs.
    pub is_verified: bool,
    /// What the claim for roles says.
    pub groups: Vec<String>,
}

/// An issuer that people may sign in with.
pub struct Issuer {
    /// What addresses and events call it.
    pub name: String,
    /// What the operator wrote of it.
    pub settings: Settings,
    secret: Option<SecretString>,
    redirect: RedirectUrl,
    outward: Outward,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

/// What it published when it was last asked.
#[derive(Default)]
struct Known {
    published: Option<(Duration, Arc<Published>)>,
    failed: Option<Duration>,
}

impl Issuer {
    /// An issuer that sends people back to `redirect`. Nothing is asked of it yet.
    #[must_use]
    pub fn new(
        name: &str,
        (settings, secret): (Settings, Option<SecretString>),
        redirect: RedirectUrl,
        outward: &Outward,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let outward = outward.clear(settings.is_clear());
        Self { name: name.to_owned(), settings, secret, redirect, outward, clock, known: Mutex::default() }
    }

    /// Where to send a browser for this attempt.
    pub async fn door(&self, attempt: &Attempt) -> Result<Url, IssuerError> {
        let published = self.published(false).await?;
        let client = self.client(&published);
        let (state, nonce) = (attempt.state.clone(), attempt.nonce.clone());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(attempt.verifier.clone()));
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let asked = client.authorize_url(flow, move || CsrfToken::new(state), move || Nonce::new(nonce));
        let scopes = ["email".to_owned()].into_iter().chain(self.settings.scopes.iter().cloned()).map(Scope::new);
        Ok(asked.set_pkce_challenge(challenge).add_scopes(scopes).url().0)
    }

    /// What it says of whoever came back with a code. `iss` is who sent them back, if that was said.
    pub async fn redeem(&self, code: &str, iss: Option<&str>, attempt: &Attempt, now: Micros) -> Result<Claims, IssuerError> {
        let published = self.published(false).await?;
        let named = published.additional_metadata().authorization_response_iss_parameter_supported;
        if iss.map_or(named, |iss| iss != published.issuer().as_str()) {
            return Err(IssuerError::Untrue("somebody else sent the browser back".into()));
        }
        let client = self.client(&published);
        let asked = client.exchange_code(AuthorizationCode::new(code.to_owned())).map_err(|error| unavailable(&error))?;
        let proof = PkceCodeVerifier::new(attempt.verifier.clone());
        let answer = asked.set_pkce_verifier(proof).request_async(&self.outward).await.map_err(|error| match error {
            RequestTokenError::Request(error) => unavailable(&error),
            other => IssuerError::NoToken(told(&other)),
        })?;
        let token = answer.id_token().ok_or_else(|| IssuerError::NoToken("there is no ID token".into()))?;
        let verified = self.verified(token, &published, attempt, now).await?;
        if verified.authorized_party().is_some_and(|party| party.as_str() != self.settings.client_id) {
            return Err(IssuerError::Untrue("the token is for another client".into()));
        }
        self.claims(&client, &verified, answer.access_token()).await
    }

    /// What is in a token, if it is to be believed. If it was signed with a key that nobody has heard of, the keys are read
    /// again, once.
    async fn verified(
        &self,
        token: &IdToken,
        published: &Published,
        attempt: &Attempt,
        now: Micros,
    ) -> Result<Verified, IssuerError> {
        let nonce = Nonce::new(attempt.nonce.clone());
        let first = token.claims(&self.verifier(published, now), &nonce).cloned();
        let unheard = ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey);
        let believed = match first {
            Err(error) if error == unheard => {
                let again = self.published(true).await?;
                token.claims(&self.verifier(&again, now), &nonce).cloned()
            }
            other => other,
        };
        believed.map_err(|error| IssuerError::Untrue(told(&error)))
    }

    fn verifier(&self, published: &Published, now: Micros) -> IdTokenVerifier<'static, openidconnect::core::CoreJsonWebKey> {
        let (us, issuer) = (ClientId::new(self.settings.client_id.clone()), published.issuer().clone());
        let lately = move |at: DateTime<Utc>| {
            let at = Micros(at.timestamp_micros());
            let is_now = at <= now.plus(SKEW) && now <= at.plus(HOLDS).plus(SKEW);
            if is_now { Ok(()) } else { Err("it was not issued for this attempt".to_owned()) }
        };
        IdTokenVerifier::new_public_client(us, issuer, published.jwks().clone())
            .set_allowed_algs(SIGNATURES)
            .set_time_fn(move || DateTime::from_timestamp_micros(now.0).unwrap_or(DateTime::<Utc>::MAX_UTC))
            .set_issue_time_verifier_fn(lately)
    }

    /// Some issuers say in the token who it is and all else on being asked.
    async fn claims(&self, client: &Client, verified: &Verified, access: &AccessToken) -> Result<Claims, IssuerError> {
        let subject = verified.subject().clone();
        let named = self.groups(&verified.additional_claims().claims);
        let email = |email: Option<&openidconnect::EndUserEmail>| email.map(|email| email.as_str().to_owned());
        let is_enough = verified.email().is_some() && (named.is_some() || self.settings.roles.is_empty());
        let more: Option<UserInfoClaims<More, CoreGenderClaim>> = match client.user_info(access.clone(), Some(subject.clone())) {
            Ok(asked) if !is_enough => Some(asked.request_async(&self.outward).await.map_err(|error| unavailable(&error))?),
            _ => None,
        };
        let told = more.as_ref().and_then(|more| self.groups(&more.additional_claims().claims));
        // Address and proof are of the same document, never one of each.
        let (email, is_verified) = match (&more, verified.email()) {
            (Some(more), None) => (email(more.email()), more.email_verified()),
            (_, own) => (email(own), verified.email_verified()),
        };
        let groups = named.or(told).unwrap_or_default();
        Ok(Claims { subject: subject.to_string(), email, is_verified: is_verified == Some(true), groups })
    }

    fn groups(&self, claims: &serde_json::Map<String, Value>) -> Option<Vec<String>> {
        match claims.get(&self.settings.groups_claim)? {
            Value::String(one) => Some(vec![one.clone()]),
            Value::Array(all) => Some(all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()),
            _ => None,
        }
    }

    fn client(&self, published: &Published) -> Client {
        let secret = self.secret.as_ref().map(|secret| ClientSecret::new(secret.expose_secret().to_owned()));
        let client = Client::from_provider_metadata(published.clone(), ClientId::new(self.settings.client_id.clone()), secret);
        let methods = published.token_endpoint_auth_methods_supported();
        let by_header = methods.is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let way = if by_header { AuthType::BasicAuth } else { AuthType::RequestBody };
        client.set_redirect_uri(self.redirect.clone()).set_auth_type(way)
    }

    /// What it publishes, asked at first use and then now and again. Whoever asks meanwhile waits for the same answer.
    async fn published(&self, again: bool) -> Result<Arc<Published>, IssuerError> {
        let mut known = self.known.lock().await;
        let now = self.clock.elapsed();
        let lately = |at: Duration, lasts: Duration| now.saturating_sub(at) < lasts;
        if let Some((_, published)) = known.published.as_ref().filter(|(at, _)| !again && lately(*at, CURRENT)) {
            return Ok(Arc::clone(published));
        }
        let old = known.published.as_ref().map(|(_, published)| Arc::clone(published)).filter(|_| !again);
        if known.failed.is_some_and(|at| lately(at, LEFT_ALONE)) {
            return old.ok_or_else(|| IssuerError::Unavailable("it did not answer a moment ago".into()));
        }
        match self.discover().await {
            Ok(published) => {
                let published = Arc::new(published);
                *known = Known { published: Some((now, Arc::clone(&published))), failed: None };
                Ok(published)
            }
            Err(error) => {
                tracing::warn!(issuer = self.name, %error, "an issuer cannot be asked");
                known.failed = Some(now);
                old.ok_or(error)
            }
        }
    }

    async fn discover(&self) -> Result<Published, IssuerError> {
        let issuer = IssuerUrl::new(self.settings.issuer.clone()).map_err(|error| unavailable(&error))?;
        let published = Published::discover_async(issuer, &self.outward).await.map_err(|error| unavailable(&error))?;
        if !self.outward.leads_to(published.authorization_endpoint().url()) {
            return Err(IssuerError::Unavailable("it sends people where nobody should go".into()));
        }
        Ok(published)
    }
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> IssuerError {
    IssuerError::Unavailable(told(error))
}

/// An error with what it comes from.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
