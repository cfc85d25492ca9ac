//! `/console/connect`: how each kind of agent is told where this server is, and whether it has come.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use serde_json::{Value, json};

use super::fault::Fault;
use super::frame::{Frame, page};
use super::keys::last_use;
use super::shown::When;
use super::visit::Visit;

/// Where the key goes if it is not known.
const PLACE: &str = "YOUR_KEY";

/// A kind of agent.
pub struct Client {
    /// Its name.
    pub name: &'static str,
    /// What to do with the text.
    pub how: &'static str,
    /// A command, or a file's content.
    pub text: String,
}

/// What each client has to be told.
pub fn clients(url: &str, key: &str) -> Vec<Client> {
    let bearer = format!("Bearer {key}");
    let headers = json!({ "Authorization": bearer });
    let file = |name, how, document: Value| Client { name, how, text: super::shown::json(&document) };
    vec![
        Client {
            name: "Claude Code",
            how: "Run this in a terminal.",
            text: format!("claude mcp add --transport http forelog {url} --header 'Authorization: {bearer}'"),
        },
        file(
            "Claude Desktop",
            "Add this to claude_desktop_config.json (Settings, Developer, Edit Config). It needs Node.js.",
            json!({ "mcpServers": { "forelog": {
                "command": "npx",
                "args": ["-y", "mcp-remote", url, "--header", "Authorization:${AUTHORIZATION}"],
                "env": { "AUTHORIZATION": bearer },
            } } }),
        ),
        file(
            "Cursor",
            "Add this to ~/.cursor/mcp.json.",
            json!({ "mcpServers": { "forelog": { "url": url, "headers": headers } } }),
        ),
        file(
            "Windsurf",
            "Add this to ~/.codeium/windsurf/mcp_config.json.",
            json!({ "mcpServers": { "forelog": { "serverUrl": url, "headers": headers } } }),
        ),
        file(
            "VS Code",
            "Add this to .vscode/mcp.json.",
            json!({ "servers": { "forelog": { "type": "http", "url": url, "headers": headers } } }),
        ),
        file(
            "Zed",
            "Add this to settings.json.",
            json!({ "context_servers": { "forelog": { "url": url, "headers": headers } } }),
        ),
        Client {
            name: "Continue",
            how: "Add this to ~/.continue/config.yaml.",
            text: format!(
                "mcpServers:\n  - name: forelog\n    type: streamable-http\n    url: {url}\n    requestOptions:\n      headers:\n        Authorization: {bearer}"
            ),
        },
        file(
            "OpenCode",
            "Add this to opencode.json.",
            json!({ "mcp": { "forelog": { "type": "remote", "url": url, "enabled": true, "headers": headers } } }),
        ),
        Client {
            name: "Hermes",
            how: "Run this in a terminal, and give the second line when it asks for the header.",
            text: format!("hermes mcp add forelog --url {url} --auth header\nAuthorization: {bearer}"),
        },
    ]
}

#[derive(Template)]
#[template(path = "connect.html")]
struct Connect {
    frame: Frame,
    mcp_url: String,
    place: &'static str,
    clients: Vec<Client>,
}

/// How to connect, without a key.
pub async fn show(visit: Visit) -> Result<Response, Fault> {
    if visit.is_staff() {
        return Err(Fault::NotFound);
    }
    let mcp_url = visit.mcp_url();
    let frame = Frame::of("Connect an agent", "/console/keys", &visit).await;
    Ok(page(&Connect { frame, clients: clients(&mcp_url, PLACE), mcp_url, place: PLACE }))
}

#[derive(Template)]
#[template(path = "shared/connected.html")]
struct Connected {
    id: String,
    connected: Option<When>,
}

#[derive(Template)]
#[template(path = "connect/connected.html")]
struct ConnectedPage {
    frame: Frame,
    id: String,
    connected: Option<When>,
}

/// Whether a key was used: a part of a page for the script that asks again, a page for everybody else.
pub async fn connected(visit: Visit, Path(id): Path<String>, headers: axum::http::HeaderMap) -> Result<Response, Fault> {
    let connected = last_use(&visit, &id).await?;
    if headers.contains_key("hx-request") {
        return Ok(page(&Connected { id, connected }));
    }
    let frame = Frame::of("Waiting for the first call", "/console/keys", &visit).await;
    Ok(page(&ConnectedPage { frame, id, connected }))
}
