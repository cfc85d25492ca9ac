//! What each kind of agent has to be told to come to this server.

use serde_json::{Value, json};

use super::format;

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
    let file = |name, how, document: Value| Client { name, how, text: format::json(&document) };
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
