//! The throttle per client address, before anything is authenticated. It guards the look-up of keys, not the limits of
//! an account: those are exact and live in the log (P5).
//!
//! INVARIANT: each live key has its own bucket, from whatever address, and a second one for stops, so that calls never use up
//! a stop (P15). A request without a live key counts in its address's bucket.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri};
use axum::response::IntoResponse;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::KeyExtractor;
use tower_governor::{GovernorError, GovernorLayer};

use super::bearer::bearer;
use super::ingress::ClientAddress;
use super::problem::Problem;
use super::{Http, Rate};
use crate::auth::key::ApiKey;
use crate::core::code::Code;
use crate::core::id::CredentialId;
use crate::core::refusal::Refusal;
use crate::log::fence::Fence;
use crate::tools;

/// How often addresses that have been quiet are forgotten.
const SWEEP: Duration = Duration::from_mins(1);

/// Puts the throttle before `routes`.
pub fn guard(routes: Router<Arc<Http>>, rate: Rate, fence: Arc<Fence>) -> Router<Arc<Http>> {
    let mut builder = GovernorConfigBuilder::default().key_extractor(ByCaller(fence));
    builder.period(Duration::from_secs(1) / rate.per_second.get()).burst_size(rate.burst.get());
    // Neither number can be zero, which is the only way for there to be no configuration.
    let Some(config) = builder.finish() else { return routes };
    let limiter = Arc::downgrade(config.limiter());
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(SWEEP).await;
            let Some(limiter) = limiter.upgrade() else { return };
            limiter.retain_recent();
        }
    });
    routes.layer(GovernorLayer::new(config).error_handler(|error| slow_down(&error).into_response()))
}

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Bucket {
    network: IpAddr,
    /// The live key that it came with.
    key: Option<CredentialId>,
    /// It stops something.
    stops: bool,
}

#[derive(Clone)]
struct ByCaller(Arc<Fence>);

/// Hides the fence.
impl fmt::Debug for ByCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByCaller")
    }
}

impl KeyExtractor for ByCaller {
    type Key = Bucket;

    fn extract<T>(&self, request: &Request<T>) -> Result<Bucket, GovernorError> {
        let address = request.extensions().get::<ClientAddress>().and_then(|address| address.0);
        let network = address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), network);
        let key = self.live_key(request);
        let stops = key.is_some() && stops(request.method(), request.uri(), request.headers());
        Ok(Bucket { network, key, stops })
    }
}

impl ByCaller {
    fn live_key<T>(&self, request: &Request<T>) -> Option<CredentialId> {
        let key = ApiKey::parse(bearer(request.headers()).ok()?)?;
        let state = self.0.state();
        let row = state.key_hashed(&key.hash())?;
        row.revoked_at.is_none().then(|| row.created.credential.clone())
    }
}

/// Whether a request says in its head that it stops something. A client of MCP that says the tool in the body alone does not.
pub fn stops(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    // A slash at the end changes nothing.
    let path = uri.path().trim_end_matches('/');
    let named = path.strip_prefix("/api/v1/tools/").or_else(|| headers.get("mcp-name")?.to_str().ok());
    let at = path.strip_prefix("/api/v1").is_some_and(|path| tools::halts_at(method.as_str(), path));
    at || named.is_some_and(tools::halts)
}

/// One subscriber has a whole /64 of IPv6.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

fn slow_down(error: &GovernorError) -> Problem {
    match error {
        GovernorError::TooManyRequests { wait_time, .. } => {
            let refusal = Refusal::new(Code::RateLimited, "Too many requests from this address, or with this key.");
            refusal.retry_after(Duration::from_secs((*wait_time).max(1))).into()
        }
        _ => Problem::at(StatusCode::INTERNAL_SERVER_ERROR, Refusal::new(Code::InternalError, "The request cannot be taken.")),
    }
}
