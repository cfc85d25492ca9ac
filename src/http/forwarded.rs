//! Whom a trusted proxy speaks for.
//!
//! INVARIANT: what anybody else could have written is not believed. Without a trusted peer no header is read, and of the
//! hops only those are believed that a trusted proxy added: read from the right, the first that is not ours is the client.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};

use super::{Forwarding, Settings};

/// Most names of one hop; RFC 7239 knows four.
const NAMES: usize = 16;

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
    let values = headers.get_all(name).iter();
    match forwarding {
        // Each hop is read by itself: what somebody wrote before a proxy added to it takes nothing away from what that says.
        Forwarding::XForwardedFor => values
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(|hop| address(&String::from_utf8_lossy(hop)))
            .collect(),
        // Nobody can tell the hops of a line apart that is not well written.
        Forwarding::Forwarded => {
            values.flat_map(|value| value.to_str().ok().and_then(elements).unwrap_or_else(|| vec![None])).collect()
        }
    }
}

/// The addresses that the elements of a line name with `for`, as RFC 7239 writes them; none if it is not written so.
fn elements(line: &str) -> Option<Vec<Option<IpAddr>>> {
    let (mut rest, mut found) = (line, Vec::new());
    loop {
        let mut names: Vec<String> = Vec::new();
        let mut client = None;
        loop {
            rest = rest.trim_start_matches([' ', '\t']);
            let length = rest.find(|c| !is_token(c)).unwrap_or(rest.len());
            let (name, after) = rest.split_at(length);
            if name.is_empty() {
                rest = after;
            } else {
                let (value, after) = value(after.strip_prefix('=')?)?;
                let name = name.to_ascii_lowercase();
                if name == "for" {
                    client = address(&value);
                }
                if names.len() == NAMES || names.contains(&name) {
                    return None;
                }
                names.push(name);
                rest = after.trim_start_matches([' ', '\t']);
            }
            match rest.strip_prefix(';') {
                Some(after) => rest = after,
                None => break,
            }
        }
        // An element without anything in it is none.
        if !names.is_empty() {
            found.push(client);
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return rest.is_empty().then_some(found),
        }
    }
}

/// A value, and what follows it: a token, which may have the signs of an address in it, or a quoted text.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let length = text.find(|c| !is_token(c) && !matches!(c, ':' | '[' | ']')).unwrap_or(text.len());
        let (value, after) = text.split_at(length);
        return (!value.is_empty()).then(|| (value.to_owned(), after));
    };
    let (mut value, mut letters) = (String::new(), quoted.chars());
    loop {
        match letters.next()? {
            '"' => return Some((value, letters.as_str())),
            '\\' => value.push(letters.next()?),
            c => value.push(c),
        }
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// An address with or without a port; IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}
