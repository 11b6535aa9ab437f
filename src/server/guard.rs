/*!
Who may ask: the hosts that a request may name, the page that it may come from, and the key.

A page of another site can let its visitor's browser send requests to this machine, also by a name of its own that it lets
point here (DNS rebinding). Such a request has another name in `Host`, or another site in `Origin`.
*/

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, header};

use super::errors::Failure;

/// What a request is checked by.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Names in `Host`, beside those of this machine.
    hosts: Vec<String>,
    /// Whether other machines may ask, so that any address may be in `Host`: an address cannot point elsewhere.
    open: bool,
    key: Option<blake3::Hash>,
}

impl Guard {
    /// A guard of a server at an address, which may be called by these names too.
    pub fn new(address: IpAddr, hosts: &[String], key: Option<&str>) -> Self {
        Guard {
            hosts: hosts.iter().map(|host| host.to_lowercase()).collect(),
            open: !address.is_loopback(),
            key: key.map(|key| blake3::hash(key.as_bytes())),
        }
    }

    /// Checks where a request comes from.
    ///
    /// # Errors
    /// 403 for a foreign `Host` or `Origin`.
    pub fn check_origin(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let foreign = |what: &str| {
            let message = format!("{what} is not this server; --allow-host NAME allows a name");
            Err(Failure::new(StatusCode::FORBIDDEN, message).code("foreign_host"))
        };
        let mut hosts = headers.get_all(header::HOST).iter();
        let (host, None) = (hosts.next(), hosts.next()) else {
            return foreign("Host");
        };
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        if !self.allows(host) {
            return foreign("Host");
        }
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Ok(());
        };
        let origin = origin.to_str().unwrap_or_default();
        let (scheme, authority) = origin.split_once("://").unwrap_or_default();
        match ["http", "https"].contains(&scheme) && authority.eq_ignore_ascii_case(host) {
            true => Ok(()),
            false => foreign("Origin"),
        }
    }

    /// Whether the host and port of a request may be this server's.
    fn allows(&self, authority: &str) -> bool {
        let name = name_of(authority).to_lowercase();
        let address: Option<IpAddr> = name.parse().ok();
        match address {
            Some(address) if address.is_loopback() || self.open => true,
            _ => name == "localhost" || self.hosts.contains(&name),
        }
    }

    /// Checks the key; any is accepted where none was set. The comparison takes the same time for every wrong key.
    ///
    /// # Errors
    /// 401 for a wrong key, or none.
    pub fn check_key(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(key) = &self.key else {
            return Ok(());
        };
        let given = headers.get(header::AUTHORIZATION);
        let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        // Hashes are compared in constant time.
        match given.is_some_and(|given| blake3::hash(given) == *key) {
            true => Ok(()),
            false => {
                let message = "the key is missing or wrong; give that of --api-key as `Authorization: Bearer KEY`";
                Err(Failure::new(StatusCode::UNAUTHORIZED, message).code("invalid_api_key"))
            }
        }
    }
}

/// The host without its port, and without the brackets of an address.
fn name_of(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers<'a> = &'a [(header::HeaderName, &'static str)];

    fn headers(list: Headers) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(name.clone(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn foreign_hosts_and_origins_are_refused() {
        use header::{HOST, ORIGIN};
        let local = Guard::new([127, 0, 0, 1].into(), &["box.lan".to_string()], None);
        let open = Guard::new([0, 0, 0, 0].into(), &[], None);
        let table: [(Headers, bool, bool); 13] = [
            (&[(HOST, "127.0.0.1:8080")], true, true),
            (&[(HOST, "localhost")], true, true),
            (&[(HOST, "LOCALHOST:1")], true, true),
            (&[(HOST, "[::1]:8080")], true, true),
            (&[(HOST, "box.lan:8080")], true, false),
            (&[(HOST, "192.168.1.2:8080")], false, true),
            (&[(HOST, "evil.example")], false, false),
            (&[(HOST, "localhost.evil.example")], false, false),
            (&[], false, false),
            (&[(HOST, "localhost"), (HOST, "evil.example")], false, false),
            (
                &[(HOST, "localhost:8"), (ORIGIN, "http://localhost:8")],
                true,
                true,
            ),
            (
                &[(HOST, "localhost:8"), (ORIGIN, "http://localhost:9")],
                false,
                false,
            ),
            (&[(HOST, "localhost:8"), (ORIGIN, "null")], false, false),
        ];
        for (list, by_local, by_open) in table {
            let headers = headers(list);
            assert_eq!(local.check_origin(&headers).is_ok(), by_local, "{list:?}");
            assert_eq!(open.check_origin(&headers).is_ok(), by_open, "{list:?}");
        }
    }

    #[test]
    fn a_key_is_asked_for_where_one_was_set() {
        let check = |key: Option<&str>, given: Option<&'static str>| {
            let guard = Guard::new([127, 0, 0, 1].into(), &[], key);
            let given = given.map(|given| (header::AUTHORIZATION, given));
            guard.check_key(&headers(given.as_slice())).is_ok()
        };
        assert!(check(None, None) && check(None, Some("Bearer anything")));
        assert!(check(Some("right"), Some("Bearer right")));
        for wrong in [
            None,
            Some("Bearer wrong"),
            Some("right"),
            Some("Bearer "),
            Some("Basic right"),
        ] {
            assert!(!check(Some("right"), wrong), "{wrong:?}");
        }
    }
}
