//! The throttle per client address, before anything is authenticated. It guards the look-up of keys, not the limits of
//! an account: those are exact and live in the log (P5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::KeyExtractor;
use tower_governor::{GovernorError, GovernorLayer};

use super::gate::ClientAddress;
use super::problem::Problem;
use super::{Http, Rate};
use crate::core::code::Code;
use crate::core::refusal::Refusal;

/// How often addresses that have been quiet are forgotten.
const SWEEP: Duration = Duration::from_mins(1);

/// Puts the throttle before `routes`.
pub fn guard(routes: Router<Arc<Http>>, rate: Rate) -> Router<Arc<Http>> {
    let mut builder = GovernorConfigBuilder::default().key_extractor(ByAddress);
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

#[derive(Clone, Copy)]
struct ByAddress;

impl KeyExtractor for ByAddress {
    type Key = IpAddr;

    fn extract<T>(&self, request: &Request<T>) -> Result<IpAddr, GovernorError> {
        let address = request.extensions().get::<ClientAddress>().and_then(|address| address.0);
        Ok(address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), network))
    }
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
            let refusal = Refusal::new(Code::RateLimited, "Too many requests from this address.");
            refusal.retry_after(Duration::from_secs((*wait_time).max(1))).into()
        }
        _ => Problem::at(StatusCode::INTERNAL_SERVER_ERROR, Refusal::new(Code::InternalError, "The request cannot be taken.")),
    }
}
