//! A page between a link and something that cannot be taken back at once: it names the object and the effect.

use askama::Template;
use axum::response::{IntoResponse, Response};

use super::form_state::FormState;
use super::frame::{Frame, page};
use super::request::SignedInRequest;

/// What is asked.
pub struct Confirm {
    heading: String,
    effect: &'static str,
    back: String,
    button: &'static str,
    needs_reason: bool,
    draft: FormState,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct Page {
    frame: Frame,
    confirm: Confirm,
    action: String,
}

impl Confirm {
    /// Whether to do what `heading` says, with this effect.
    pub fn new(heading: String, effect: &'static str, back: &str) -> Self {
        Self { heading, effect, back: back.to_owned(), button: "Do it", needs_reason: false, draft: FormState::default() }
    }

    /// What its button says.
    pub fn danger(self, button: &'static str) -> Self {
        Self { button, ..self }
    }

    /// It asks why, too; again, if what was typed was refused.
    pub fn with_reason(self, draft: FormState) -> Self {
        Self { needs_reason: true, draft, ..self }
    }

    /// The page, whose form goes to `action`.
    pub async fn page(self, request: &SignedInRequest, action: &str) -> Response {
        let frame = Frame::of(self.heading.clone(), "/console/search", request).await;
        let status = self.draft.status();
        (status, page(&Page { frame, confirm: self, action: action.to_owned() })).into_response()
    }
}
