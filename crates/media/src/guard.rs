//! Which hosts may be fetched from: public addresses on ports 80 and 443, after OWASP's SSRF prevention cheat sheet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::{Host, Url};

use crate::{MediaConfig, MediaError};

/// Decides about URLs before they are resolved and about addresses before they are connected to.
#[derive(Debug)]
pub struct Guard {
    nets: Vec<IpNet>,
    hosts: Vec<String>,
    allow: Vec<String>,
    deny: Vec<String>,
}

impl Guard {
    /// Reads the lists of the configuration.
    ///
    /// # Errors
    /// [`MediaError::Config`] when an entry of the allow list is neither an address, a CIDR nor `host:port`.
    pub fn new(config: &MediaConfig) -> Result<Self, MediaError> {
        let (mut nets, mut hosts) = (Vec::new(), Vec::new());
        for entry in &config.allow_private_hosts {
            if let Ok(net) = entry.parse::<IpNet>() {
                nets.push(net);
            } else if let Ok(address) = entry.parse::<IpAddr>() {
                nets.push(address.into());
            } else if entry.rsplit_once(':').is_some_and(|(h, p)| !h.is_empty() && p.parse::<u16>().is_ok()) {
                hosts.push(entry.to_ascii_lowercase());
            } else {
                return Err(MediaError::Config(format!("'{entry}' is neither host:port nor an address nor a CIDR")));
            }
        }
        let domains = |list: &[String]| list.iter().map(|h| h.trim_matches('.').to_ascii_lowercase()).collect();
        Ok(Self { nets, hosts, allow: domains(&config.allow_hosts), deny: domains(&config.deny_hosts) })
    }

    /// Checks everything about a URL that needs no resolving.
    ///
    /// # Errors
    /// [`MediaError::InvalidUrl`].
    pub fn url(&self, url: &Url) -> Result<(), MediaError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(MediaError::InvalidUrl("only http, https and data URLs are accepted."));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(MediaError::InvalidUrl("credentials in URLs are not accepted."));
        }
        let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        let within = |d: &String| host == *d || host.strip_suffix(d).is_some_and(|h| h.ends_with('.'));
        if self.deny.iter().any(within) {
            return Err(REFUSED);
        }
        if self.named(url) {
            return Ok(());
        }
        if !self.allow.is_empty() && !self.allow.iter().any(within) {
            return Err(REFUSED);
        }
        let literal = match url.host() {
            Some(Host::Ipv4(a)) => Some(IpAddr::V4(a)),
            Some(Host::Ipv6(a)) => Some(IpAddr::V6(a)),
            _ => None,
        };
        let listed = literal.is_some_and(|a| self.nets.iter().any(|n| n.contains(&a)));
        if !listed && !matches!(url.port_or_known_default(), Some(80 | 443)) {
            return Err(MediaError::InvalidUrl("only ports 80 and 443 are accepted."));
        }
        match literal {
            Some(address) => self.address(url, address),
            None => Ok(()),
        }
    }

    /// Checks an address that the URL's host resolved to.
    ///
    /// # Errors
    /// [`MediaError::InvalidUrl`], in the same words whatever the reason: an error must not map a network.
    pub fn address(&self, url: &Url, address: IpAddr) -> Result<(), MediaError> {
        let allowed = public(address) || self.named(url) || self.nets.iter().any(|n| n.contains(&address));
        if allowed { Ok(()) } else { Err(REFUSED) }
    }

    fn named(&self, url: &Url) -> bool {
        let port = url.port_or_known_default().unwrap_or_default();
        let name = format!("{}:{port}", url.host_str().unwrap_or_default().to_ascii_lowercase());
        self.hosts.contains(&name)
    }
}

const REFUSED: MediaError = MediaError::InvalidUrl("the host may not be fetched from.");

/// Whether an address is globally reachable (IANA special-purpose registries).
fn public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => public_v4(a),
        IpAddr::V6(a) => public_v6(a),
    }
}

fn public_v4(a: Ipv4Addr) -> bool {
    let [o0, o1, o2, _] = a.octets();
    !(a.is_private()
        || a.is_loopback()
        || a.is_link_local()
        || a.is_multicast()
        || a.is_broadcast()
        || a.is_documentation()
        || o0 == 0
        || o0 >= 240
        || (o0 == 100 && (64..128).contains(&o1))
        || (o0 == 198 && (o1 == 18 || o1 == 19))
        || (o0 == 192 && o1 == 0 && o2 == 0)
        || (o0 == 192 && o1 == 88 && o2 == 99))
}

/// Only 2000::/3 is handed out; of that not Teredo and the other protocol assignments (2001::/23), documentation
/// (2001:db8::/32, 3fff::/20) and 6to4 (2002::/16). IPv4-mapped and NAT64 lie outside it.
fn public_v6(a: Ipv6Addr) -> bool {
    let [s0, s1, ..] = a.segments();
    let special = (s0 == 0x2001 && (s1 < 0x200 || s1 == 0xdb8)) || s0 == 0x2002 || (s0 == 0x3fff && s1 < 0x1000);
    s0 & 0xe000 == 0x2000 && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(allow: &[&str], url: &str) -> bool {
        let config = MediaConfig {
            allow_private_hosts: allow.iter().map(|s| (*s).to_owned()).collect(),
            deny_hosts: vec!["evil.example".into()],
            ..MediaConfig::default()
        };
        Url::parse(url).is_ok_and(|u| Guard::new(&config).unwrap().url(&u).is_ok())
    }

    #[test]
    fn private_addresses_in_every_disguise_are_refused() {
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://017700000001/",
            "http://10.0.0.1/",
            "http://172.16.0.1/",
            "http://192.168.1.1/",
            "http://169.254.169.254/",
            "http://100.64.0.1/",
            "http://0.0.0.0/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
            "http://198.18.0.1/",
            "http://192.0.2.1/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:8.8.8.8]/",
            "http://[fe80::1]/",
            "http://[fc00::1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[64:ff9b:1::1]/",
            "http://[2002:7f00:1::]/",
            "http://[2001:db8::1]/",
            "http://[2001::1]/",
            "http://[ff02::1]/",
            "ftp://8.8.8.8/",
            "file:///etc/passwd",
            "http://8.8.8.8:22/",
            "http://user@8.8.8.8/",
            "http://evil.example/",
            "http://a.evil.example./",
            "gopher://x/",
        ] {
            assert!(!verdict(&[], url), "{url}");
        }
        for url in
            ["http://8.8.8.8/", "https://example.com/a.png", "http://[2606:4700::1111]/", "http://notevil.example/"]
        {
            assert!(verdict(&[], url), "{url}");
        }
    }

    #[test]
    fn with_a_list_of_domains_only_those_are_fetched_from() {
        let config = MediaConfig {
            allow_hosts: vec!["Pictures.example".into(), ".cdn.example".into()],
            deny_hosts: vec!["bad.pictures.example".into()],
            allow_private_hosts: vec!["10.0.0.7:9000".into()],
            ..MediaConfig::default()
        };
        let guard = Guard::new(&config).unwrap();
        let verdict = |url: &str| guard.url(&Url::parse(url).unwrap()).is_ok();
        for url in [
            "http://pictures.example/",
            "https://a.PICTURES.example./x",
            "http://cdn.example/",
            "http://10.0.0.7:9000/",
        ] {
            assert!(verdict(url), "{url}");
        }
        for url in [
            "http://other.example/",
            "http://notpictures.example/",
            "http://bad.pictures.example/",
            "http://8.8.8.8/",
            "http://pictures.example.evil/",
        ] {
            assert!(!verdict(url), "{url}");
        }
        // Its name is on the list, its address must still be public.
        assert!(guard.address(&Url::parse("http://pictures.example/").unwrap(), [127, 0, 0, 1].into()).is_err());
    }

    #[test]
    fn the_allow_list_opens_only_what_it_names() {
        assert!(verdict(&["127.0.0.1:9000"], "http://127.0.0.1:9000/x"));
        assert!(!verdict(&["127.0.0.1:9000"], "http://127.0.0.1:9001/x"));
        assert!(verdict(&["10.0.0.0/8"], "http://10.1.2.3:8080/x"));
        assert!(!verdict(&["10.0.0.0/8"], "http://11.1.2.3:8080/x"));
        let wrong = MediaConfig { allow_private_hosts: vec!["what".into()], ..MediaConfig::default() };
        assert!(Guard::new(&wrong).is_err());
    }
}
