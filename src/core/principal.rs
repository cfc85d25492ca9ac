//! Who calls. Nothing a client merely says about itself is in here.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id::{AccountId, CredentialId, UserId};

/// Whether a credential is a customer's or the staff's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// A customer, bound to one account.
    Customer,
    /// Staff of the hosting provider.
    Staff,
}

/// How a call came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// MCP over HTTP.
    Mcp,
    /// MCP over standard input and output, by way of the server's own socket.
    Stdio,
    /// The REST API.
    Rest,
    /// The command line on the database itself.
    Cli,
    /// The web console: a person who has signed in.
    Console,
}

impl Via {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Mcp, Self::Stdio, Self::Rest, Self::Cli, Self::Console];

    /// As policies write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mcp => "mcp",
            Self::Stdio => "stdio",
            Self::Rest => "rest",
            Self::Cli => "cli",
            Self::Console => "console",
        }
    }
}

/// An authenticated caller, as the authenticator saw it. The decision looks the credential up again (P8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Customer or staff.
    pub side: Side,
    /// The account it acts for; staff have one of their own.
    pub account: AccountId,
    /// The person behind it.
    pub user: UserId,
    /// The key it came with.
    pub credential: CredentialId,
    /// How it came in.
    pub via: Via,
    /// The real client address, through configured proxies only.
    pub ip: Option<IpAddr>,
    /// The endpoint allows reads only (`/mcp/readonly`).
    pub read_only: bool,
}
