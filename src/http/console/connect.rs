//! `/console/connect`: how each kind of agent is told where this server is, and whether it has come.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;

use super::clients::{Client, clients};
use super::format::DisplayTime;
use super::frame::{Frame, page};
use super::keys::last_use;
use super::page_error::PageError;
use super::request::SignedInRequest;

/// Where the key goes if it is not known.
const PLACE: &str = "YOUR_KEY";

#[derive(Template)]
#[template(path = "connect.html")]
struct Connect {
    frame: Frame,
    mcp_url: String,
    place: &'static str,
    clients: Vec<Client>,
}

/// How to connect, without a key.
pub async fn show(request: SignedInRequest) -> Result<Response, PageError> {
    if request.is_staff() {
        return Err(PageError::NotFound);
    }
    let mcp_url = request.mcp_url();
    let frame = Frame::of("Connect an agent", "/console/keys", &request).await;
    Ok(page(&Connect { frame, clients: clients(&mcp_url, PLACE), mcp_url, place: PLACE }))
}

#[derive(Template)]
#[template(path = "shared/connected.html")]
struct Connected {
    id: String,
    connected: Option<DisplayTime>,
}

#[derive(Template)]
#[template(path = "connect/connected.html")]
struct ConnectedPage {
    frame: Frame,
    id: String,
    connected: Option<DisplayTime>,
}

/// Whether a key was used: a part of a page for the script that asks again, a page for everybody else.
pub async fn connected(
    request: SignedInRequest,
    Path(id): Path<String>,
    headers: axum::http::HeaderMap,
) -> Result<Response, PageError> {
    let connected = last_use(&request, &id).await?;
    if headers.contains_key("hx-request") {
        return Ok(page(&Connected { id, connected }));
    }
    let frame = Frame::of("Waiting for the first call", "/console/keys", &request).await;
    Ok(page(&ConnectedPage { frame, id, connected }))
}
