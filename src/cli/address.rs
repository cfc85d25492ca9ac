//! Where to listen, as it is written on the command line, and how that is reached.

use std::net::{IpAddr, SocketAddr};

use super::Context;

/// Reads an address and a port; says what to write if there is only one of them, or a name.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let error = match text.parse() {
        Ok(address) => return Ok(address),
        Err(error) => format!("{error}"),
    };
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Err(format!("it needs a port too, such as {}", SocketAddr::new(ip, 7373)));
    }
    let port = text.trim_start_matches("localhost:").trim_start_matches(':');
    if port.parse::<u16>().is_ok() {
        return Err(format!("it needs an address too: write 127.0.0.1:{port}, or 0.0.0.0:{port} for every network of this host"));
    }
    Err(format!("{error}: write an address and a port, such as 127.0.0.1:7373"))
}

/// How clients reach it: as configured, else where it listens.
pub fn base_url(context: &Context, address: SocketAddr) -> String {
    let public = context.config.public_url.as_ref().map(|url| url.trim_end_matches('/').to_owned());
    public.unwrap_or_else(|| local_url(context, address))
}

/// How it is reached from this machine.
pub fn local_url(context: &Context, address: SocketAddr) -> String {
    let local = if address.is_ipv4() { "127.0.0.1" } else { "[::1]" };
    let host = if address.ip().is_unspecified() { local.to_owned() } else { SocketAddr::new(address.ip(), 0).to_string() };
    let scheme = if context.config.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{}:{}", host.trim_end_matches(":0"), address.port())
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn what_is_missing_is_said() {
        assert_eq!(address("[::1]:7373").map(|at| at.port()), Ok(7373));
        for (text, said) in [
            ("7373", "write 127.0.0.1:7373,"),
            (":7373", "write 127.0.0.1:7373,"),
            ("localhost:7373", "write 127.0.0.1:7373,"),
            ("::1", "such as [::1]:7373"),
            ("10.0.0.1", "such as 10.0.0.1:7373"),
            ("example.com:443", "such as 127.0.0.1:7373"),
        ] {
            let error = address(text).expect_err("it is no address");
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
