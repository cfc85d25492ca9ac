//! Whether anybody works on the data, by what is seen in the log.

use std::sync::Arc;
use std::time::Duration;

use super::local_admin::{LocalAdmin, LocalAdminError};
use super::rooms::{RoomError, Rooms};
use crate::config::Config;
use crate::core::id::NodeId;
use crate::core::time::{Clock, Entropy};
use crate::log::fence::Fence;

/// How often the nodes are looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Whether limits and policies are in force on the data: those that a server recorded at its first start, or somebody who sits
/// before the data.
pub async fn is_in_force(config: &Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<bool, LocalAdminError> {
    let local_admin = LocalAdmin::open(config, clock, entropy).await?;
    let state = local_admin.state().await;
    local_admin.close().await;
    state.map(|state| state.terms.is_some() && state.policy.is_some())
}

/// A node that is seen to beat; none once all have stood still for their leases, by this machine's measure of time.
pub async fn living(
    config: &Config,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Option<NodeId>, LocalAdminError> {
    let rooms = Rooms::open(config, Arc::clone(entropy)).await?;
    let fence = Fence::new(Arc::clone(clock), rooms.vault.root_key());
    let found = loop {
        let seen = match fence.peers().observe(&*rooms.store).await {
            Ok(seen) => seen,
            Err(error) => break Err(RoomError::Log(error).into()),
        };
        if let Some(peer) = seen.iter().find(|peer| peer.moved && !peer.dead) {
            break Ok(Some(peer.node.id.clone()));
        }
        if seen.iter().all(|peer| peer.dead) {
            break Ok(None);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    };
    rooms.store.database().close().await;
    rooms.vault.database().close().await;
    found
}
