//! Whom a trusted proxy speaks for.
//!
//! INVARIANT: what anybody else could have written is not believed. Without a trusted peer no header is read, and of the
//! hops only those are believed that a trusted proxy added: read from the right, the first that is not ours is the client.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};

use super::{Forwarding, Settings};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The nearest address that is not one of our proxies.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, settings: &Settings) -> IpAddr {
    let trusted = |address: &IpAddr| settings.trusted_proxies.iter().any(|network| network.contains(address));
    if !trusted(&peer) {
        return peer;
    }
    let mut nearest = peer;
    for hop in hops(headers, settings.forwarding).iter().rev() {
        // Nobody can say who is behind a hop that is not an address, so the proxy itself is the client.
        let Some(address) = hop else { return nearest };
        nearest = address.to_canonical();
        if !trusted(&nearest) {
            return nearest;
        }
    }
    nearest
}

/// Every hop in order, the client's end first; none for what is not an address.
fn hops(headers: &HeaderMap, forwarding: Forwarding) -> Vec<Option<IpAddr>> {
    let name = match forwarding {
        Forwarding::XForwardedFor => X_FORWARDED_FOR,
        Forwarding::Forwarded => header::FORWARDED,
    };
    // Each hop is read by itself: what somebody wrote before a proxy added to it takes nothing away from what that says.
    let hops = headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    hops.map(|hop| {
        let text = String::from_utf8_lossy(hop);
        match forwarding {
            Forwarding::XForwardedFor => address(&text),
            Forwarding::Forwarded => text.split(';').find_map(for_pair).and_then(address),
        }
    })
    .collect()
}

/// The value of the pair `for=…`, without its quotes.
fn for_pair(pair: &str) -> Option<&str> {
    let (name, value) = pair.trim().split_once('=')?;
    name.eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
}

/// An address with or without a port; IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}
