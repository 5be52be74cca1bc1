//! Which proxy the environment names for a server, as kubectl (Go's `net/http`) reads it.
//!
//! kube 5.0.0 compares `NO_PROXY` with the proxy instead of the server, and would ask a proxy for a server on this machine.

use std::net::IpAddr;

use ipnet::IpNet;

/// The proxy for a server; `variable` reads the environment.
pub(super) fn of(https: bool, host: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let read = |name: &str| {
        [name.to_uppercase(), name.to_owned()]
            .into_iter()
            .find_map(|name| variable(&name).filter(|value| !value.is_empty()))
    };
    let proxy = read(if https { "https_proxy" } else { "http_proxy" })?;
    if is_exempt(host, &read("no_proxy").unwrap_or_default()) {
        return None;
    }
    Some(if proxy.contains("://") {
        proxy
    } else {
        format!("http://{proxy}")
    })
}

/// `NO_PROXY` is a list of `*`, addresses, blocks, and names that stand for what ends in them too. A port is not compared.
fn is_exempt(host: &str, list: &str) -> bool {
    let host = host.trim_matches(['[', ']']).to_lowercase();
    let address = host.parse::<IpAddr>().ok();
    if host == "localhost" || address.is_some_and(|it| it.is_loopback()) {
        return true;
    }
    list.split(',')
        .map(|entry| entry.trim().to_lowercase())
        .any(|entry| {
            if entry == "*" {
                return true;
            }
            if let Some(address) = address {
                return entry.parse::<IpNet>().is_ok_and(|block| block.contains(&address))
                    || entry.parse::<IpAddr>() == Ok(address);
            }
            let name = entry.split(':').next().unwrap_or_default();
            let suffix = name.trim_start_matches('*').trim_start_matches('.');
            // A leading dot leaves the name itself out.
            let itself = name == suffix && host == suffix;
            !suffix.is_empty() && (itself || host.ends_with(&format!(".{suffix}")))
        })
}

#[cfg(test)]
mod tests {
    use super::of;

    fn ask(host: &str, no_proxy: &str) -> Option<String> {
        of(true, host, |name| match name {
            "HTTPS_PROXY" => Some("proxy.corp.example:3128".to_owned()),
            "no_proxy" => Some(no_proxy.to_owned()),
            _ => None,
        })
    }

    #[test]
    fn no_proxy_is_about_the_server_and_not_about_the_proxy() {
        let proxy = Some("http://proxy.corp.example:3128".to_owned());
        assert_eq!(ask("api.cloud.example", ""), proxy);
        assert_eq!(
            ask("api.cloud.example", "proxy.corp.example,.corp.example"),
            proxy
        );
        for exempt in [
            "*",
            "cloud.example",
            ".cloud.example",
            "*.cloud.example",
            "x, API.cloud.example:443",
        ] {
            assert_eq!(ask("api.cloud.example", exempt), None, "{exempt}");
        }
        assert_eq!(ask("cloud.example", ".cloud.example"), proxy);
        assert_eq!(ask("notcloud.example", "cloud.example"), proxy);
    }

    #[test]
    fn addresses_are_compared_as_addresses_and_this_machine_needs_no_proxy() {
        assert_eq!(ask("10.1.2.3", "10.0.0.0/8"), None);
        assert_eq!(ask("[fd00::1]", "fd00:0::1"), None);
        assert!(ask("10.1.2.3", "11.0.0.0/8,1.2.3").is_some());
        for here in ["localhost", "127.0.0.1", "[::1]"] {
            assert_eq!(ask(here, ""), None, "{here}");
        }
        assert_eq!(of(true, "api.example", |_| Some(String::new())), None);
    }
}
