//! The nodes, and how far each obeys: the newest epoch of control state whose earlier sections it has left.

use askama::Template;

use super::format::format_approximate;
use super::page_error::PageError;
use super::request::SignedInRequest;
use crate::core::code::Code;
use crate::core::refusal::Refusal;
use crate::log::peers::Peer;

/// The nodes as a table.
#[derive(Template)]
#[template(path = "nodes.html")]
pub struct Nodes {
    /// The newest epoch that this node knows.
    epoch: i64,
    rows: Vec<Node>,
}

/// Rendered with everything escaped, so a page takes it as it is.
impl askama::filters::HtmlSafe for Nodes {}

/// A node, and whether it obeys.
struct Node {
    id: String,
    obeys: bool,
    is_gone: bool,
    epoch: i64,
    seen: String,
}

/// Every node that has not ended in order. The switches are in the epoch that this node knows.
pub async fn nodes(request: &SignedInRequest) -> Result<Nodes, PageError> {
    let ports = &request.http.gateway.control().ports;
    let epoch = ports.fence().state().epoch;
    let peers = ports.fence().peers().observe(&*ports.reader.store).await.map_err(|error| {
        tracing::error!(%error, "the nodes cannot be read");
        PageError::from(Refusal::new(Code::AuditUnavailable, "The nodes cannot be read now."))
    })?;
    let node = |peer: &Peer| {
        let is_own = peer.node.id == ports.node;
        let confirmed = if is_own { ports.fence().confirmed() } else { peer.node.confirmed };
        let (obeys, is_gone) = (confirmed >= epoch, peer.dead);
        Node { id: peer.node.id.to_string(), obeys, is_gone, epoch: confirmed.0, seen: format_approximate(peer.still) }
    };
    Ok(Nodes { epoch: epoch.0, rows: peers.iter().filter(|peer| !peer.ended).map(node).collect() })
}
