//! Where to listen, as it is written on the command line.

use std::net::{IpAddr, SocketAddr};

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
