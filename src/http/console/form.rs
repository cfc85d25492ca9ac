//! Forms. INVARIANT: nobody reads a field of a form before its token was found to be of the session that sent it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Form, FromRequest, Request};
use axum::http::header::CONTENT_TYPE;

use super::page_error::PageError;
use super::request::SignedInRequest;
use crate::core::code::Code;
use crate::http::Http;
use crate::http::body::read_within;
use crate::http::body_budget::{BodyOwner, BufferedBody};
use crate::http::url_text::is_legible;

/// The largest form, and most fields of one: a key may name a thousand VMs. To take a form apart costs a
/// hundred times what it costs to send it, and nobody has to be known for that.
const LARGEST: usize = 64 * 1024;
const FIELDS: usize = 1_200;

/// The fields of a form, which may have the same name.
#[derive(Clone)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// A field's text without space around it; empty if it is not there.
    pub fn text(&self, name: &str) -> &str {
        self.given(name).trim()
    }

    /// A field as it was given, as a password has to be.
    pub fn given(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// A whole number that somebody typed; none if nothing was typed. What cannot be read as one is said, never left out.
    pub fn number(&self, name: &str, within: RangeInclusive<u64>, fault: &'static str) -> Result<Option<u64>, PageError> {
        let typed = self.text(name);
        if typed.is_empty() {
            return Ok(None);
        }
        let number = typed.bytes().all(|byte| byte.is_ascii_digit()).then(|| typed.parse().ok()).flatten();
        number.filter(|number| within.contains(number)).map(Some).ok_or(PageError::Unreadable(fault))
    }

    /// What was chosen of a field; the first of `known` if nothing was.
    pub fn choice(&self, name: &str, known: &[&'static str]) -> Result<&'static str, PageError> {
        let chosen = self.text(name);
        let found = if chosen.is_empty() { known.first() } else { known.iter().find(|known| **known == chosen) };
        found.copied().ok_or(PageError::Unreadable("A choice of the form is none of those that it offers."))
    }

    /// Every value of a field that may be chosen several times.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(field, value)| field == name && !value.is_empty()).map(|(_, value)| value.as_str()).collect()
    }
}

/// A form of somebody who is not signed in: only where it was sent from is checked (`page_security.rs`).
impl FromRequest<Arc<Http>> for Fields {
    type Rejection = PageError;

    async fn from_request(request: Request, http: &Arc<Http>) -> Result<Self, PageError> {
        let (parts, body) = request.into_parts();
        let limit = LARGEST.min(http.settings.body_limit);
        let whole = read_within(body, http, &BodyOwner::of(&parts), limit).await;
        let BufferedBody { bytes, held: _held } = whole.map_err(|problem| match problem.refusal().code {
            Code::Overloaded => PageError::Refused(problem.refusal().clone()),
            Code::TooLarge => PageError::Unreadable("The form is larger than any of this console."),
            _ => PageError::Unreadable("The form did not arrive."),
        })?;
        if bytes.split(|byte| *byte == b'&').count() > FIELDS {
            return Err(PageError::Unreadable("The form has more fields than any of this console."));
        }
        if !is_legible(&bytes) {
            return Err(PageError::Unreadable("The form holds a NUL, or text that is not UTF-8."));
        }
        let mut copy = Request::new(Body::from(bytes));
        *copy.method_mut() = parts.method;
        if let Some(kind) = parts.headers.get(CONTENT_TYPE) {
            copy.headers_mut().insert(CONTENT_TYPE, kind.clone());
        }
        let read = Form::<Vec<(String, String)>>::from_request(copy, &()).await;
        read.map(|Form(fields)| Self(fields)).map_err(|_| PageError::Unreadable("The form cannot be read."))
    }
}

/// A form of somebody who is signed in.
pub struct Posted {
    /// Who sent it.
    pub request: SignedInRequest,
    /// What it says.
    pub fields: Fields,
}

impl FromRequest<Arc<Http>> for Posted {
    type Rejection = PageError;

    async fn from_request(request: Request, http: &Arc<Http>) -> Result<Self, PageError> {
        use axum::extract::FromRequestParts;
        let (mut parts, body) = request.into_parts();
        let request = SignedInRequest::from_request_parts(&mut parts, http).await?;
        parts.extensions.insert(BodyOwner::known(&request.principal, &parts));
        let fields = Fields::from_request(Request::from_parts(parts, body), http).await?;
        if request.signed_in.token.is_of_form(fields.given("form_token")) {
            Ok(Self { request, fields })
        } else {
            Err(PageError::OtherOrigin)
        }
    }
}
