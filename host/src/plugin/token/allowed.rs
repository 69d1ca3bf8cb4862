//! To which servers the service principal's secret may be sent.

use lakefeed_plugin_api::{Category, PluginError};
use url::{Host, Url};

/// The server of a question, if it is one of the hosts. Plain http is for loopback alone.
pub(super) fn server(text: &str, hosts: &[String]) -> Result<Url, PluginError> {
    let url = Url::parse(text).map_err(|_| refused("the server of a token is not a URL"))?;
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Err(refused(
            "a token is asked for over https only, and over http on loopback",
        ));
    }
    if is_listed(&url, hosts) {
        return Ok(url);
    }
    Err(refused(format!(
        "`{}` is not among the hosts that the service principal's secret may be sent to",
        authority(&url)
    )))
}

/// Whether the host and port of a URL are one of the list: `host`, `host:port` or a URL.
pub(super) fn is_listed(url: &Url, hosts: &[String]) -> bool {
    hosts.iter().any(|listed| {
        let listed = if listed.contains("://") {
            listed.clone()
        } else {
            format!("{}://{listed}", url.scheme())
        };
        Url::parse(&listed).is_ok_and(|listed| {
            listed.host() == url.host()
                && listed.port_or_known_default() == url.port_or_known_default()
                && listed.scheme() == url.scheme()
        })
    })
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn refused(message: impl Into<String>) -> PluginError {
    PluginError::new(Category::ConfigInvalid, "TOKEN-001", message)
        .hint("add the workspace to `[access] databricks_hosts`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_goes_to_listed_hosts_alone() {
        let hosts = [
            "dbc-1.cloud.databricks.com",
            "https://b.example:8443",
            "127.0.0.1:9000",
        ]
        .map(str::to_owned);
        for good in [
            "https://dbc-1.cloud.databricks.com",
            "https://DBC-1.cloud.databricks.com/",
            "https://b.example:8443",
            "http://127.0.0.1:9000",
        ] {
            assert!(server(good, &hosts).is_ok(), "{good}");
        }
        for bad in [
            "https://dbc-2.cloud.databricks.com",
            "https://dbc-1.cloud.databricks.com.evil.example",
            "https://dbc-1.cloud.databricks.com@evil.example",
            "https://dbc-1.cloud.databricks.com:8443",
            "http://dbc-1.cloud.databricks.com",
            "https://b.example",
            "http://127.0.0.1:9001",
            "ftp://127.0.0.1:9000",
            "dbc-1",
        ] {
            assert!(server(bad, &hosts).is_err(), "{bad}");
        }
    }
}
