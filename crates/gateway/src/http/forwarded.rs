//! From where a call comes that a proxy passes on. Before the API.

use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use std::net::{IpAddr, SocketAddr};

/// What each proxy adds an address to, the one it was connected from (as nginx, Apache, HAProxy, Envoy and
/// the load balancers of clouds do).
const HEADER: &str = "x-forwarded-for";

/// Calls come from where the configured proxies say; where they do not, from whoever is connected.
pub(super) async fn told(State(proxies): State<u8>, mut request: Request, next: Next) -> Response {
    if let Some(client) = client(request.headers(), proxies) {
        request.extensions_mut().insert(ConnectInfo(client));
    }
    next.run(request).await
}

/// The address that the outermost of so many proxies was connected from. What a client has put there itself
/// stands before it, and is not looked at.
fn client(headers: &HeaderMap, proxies: u8) -> Option<SocketAddr> {
    let before = usize::from(proxies).checked_sub(1)?;
    let lines = headers.get_all(HEADER).iter().rev();
    // In bytes: nothing that stands beside it keeps it from being read.
    let mut told = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    let told = std::str::from_utf8(told.nth(before)?).ok()?.trim();
    let bare = told.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().map(|ip: IpAddr| SocketAddr::new(ip, 0));
    let address = address.or_else(|_| told.parse::<SocketAddr>()).ok()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_where_the_outermost_of_our_proxies_says() {
        for (lines, proxies, expect) in [
            (&["192.0.2.1"][..], 1, Some("192.0.2.1:0")),
            (&["192.0.2.1"], 0, None),
            // What a client says of itself is before what the proxies add.
            (&["10.0.0.9, 192.0.2.1"], 1, Some("192.0.2.1:0")),
            (&["10.0.0.9", "192.0.2.1"], 1, Some("192.0.2.1:0")),
            (&["10.0.0.9,192.0.2.1", "192.0.2.7"], 2, Some("192.0.2.1:0")),
            (&["192.0.2.1"], 2, None),
            (&["192.0.2.1:4711"], 1, Some("192.0.2.1:4711")),
            (&["[2001:db8::1]:4711"], 1, Some("[2001:db8::1]:4711")),
            (&["[2001:db8::1]"], 1, Some("[2001:db8::1]:0")),
            (&["2001:db8::1"], 1, Some("[2001:db8::1]:0")),
            (&["::ffff:192.0.2.1"], 1, Some("192.0.2.1:0")),
            (&["unknown"], 1, None),
            (&["192.0.2.1, "], 1, None),
            (&["192.0.2.1, ü"], 1, None),
            (&["ü, 192.0.2.1"], 1, Some("192.0.2.1:0")),
            (&["ü", "192.0.2.1,192.0.2.7"], 2, Some("192.0.2.1:0")),
            (&[], 1, None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                let value = axum::http::HeaderValue::from_bytes(line.as_bytes()).unwrap();
                headers.append(HEADER, value);
            }
            let found = client(&headers, proxies).map(|address| address.to_string());
            assert_eq!(found.as_deref(), expect, "{lines:?} {proxies}");
        }
    }
}
