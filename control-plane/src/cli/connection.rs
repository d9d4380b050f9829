//! Whom a command asks, as whom, and how it tells.

use std::net::IpAddr;

use clap::Args;
use reqwest::Url;

use super::client::Client;
use super::failure::Failure;
use super::output::Output;
use super::settings_file::Settings;
use crate::config::SecretText;

/// Where a server on this machine is, if nothing else is said.
const DEFAULT_SERVER: &str = "http://127.0.0.1:8700";

/// Flags that every command has.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server and output")]
pub struct Connection {
    #[command(flatten)]
    server: Server,
    /// An admin token; by default that of `keyward login`. Others on this machine can read it here: the environment is better.
    #[arg(long, env = "KEYWARD_TOKEN", hide_env_values = true, global = true)]
    token: Option<SecretText>,
    /// JSON instead of tables, for scripts.
    #[arg(long, global = true)]
    json: bool,
    /// Do not ask before something ends.
    #[arg(long, short, global = true)]
    yes: bool,
}

/// Which server.
#[derive(Debug, Args)]
pub struct Server {
    /// The server's address, e.g. https://keys.example.com; by default that of `keyward login`.
    #[arg(long, env = "KEYWARD_SERVER", global = true, value_name = "URL")]
    server: Option<String>,
    /// Send the admin token to another machine without TLS, where everybody on the way can read it.
    #[arg(long, global = true)]
    plain_http: bool,
}

/// All that a command needs to run.
pub struct Session {
    /// The server.
    pub client: Client,
    /// How to tell.
    pub output: Output,
    /// Whether the person said yes beforehand.
    pub yes: bool,
}

impl Connection {
    /// Finds server and token: flags and environment, then what `keyward login` kept.
    ///
    /// # Errors
    /// When there is no token, or the server's address can't be accepted.
    pub fn open(&self) -> Result<Session, Failure> {
        let kept = Settings::read()?;
        let given = self.server.given();
        let base = match (given, &kept) {
            (Some(given), _) => self.server.check(given)?,
            (None, Some(kept)) => self.server.check(&kept.server)?,
            (None, None) => self.server.check(DEFAULT_SERVER)?,
        };
        let given = self
            .token
            .as_ref()
            .filter(|token| !token.expose().is_empty());
        // A kept token is for the server that it was kept with.
        let kept = kept.filter(|kept| Url::parse(&kept.server).is_ok_and(|server| server == base));
        let kept = kept.map(|kept| kept.token);
        let token = given.or(kept.as_ref()).ok_or_else(|| {
            Failure::Usage(format!(
                "no admin token for {base}: run `keyward login --server {base}`, or set KEYWARD_TOKEN"
            ))
        })?;
        Ok(Session {
            client: Client::new(base, token)?,
            output: Output::new(self.json),
            yes: self.yes,
        })
    }
}

impl Server {
    /// The address that was given, if any.
    pub fn given(&self) -> Option<&str> {
        let given = self.server.as_deref().map(str::trim);
        given.filter(|text| !text.is_empty())
    }

    /// The address that was given, else that of a server on this machine, checked.
    ///
    /// # Errors
    /// As [`Server::check`].
    pub fn url(&self) -> Result<Url, Failure> {
        self.check(self.given().unwrap_or(DEFAULT_SERVER))
    }

    /// Checks an address. The text itself is not repeated: a password may be in it.
    fn check(&self, text: &str) -> Result<Url, Failure> {
        let url = Url::parse(text).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        let Some(url) = url else {
            let detail =
                "a server is an http or https URL without user, password, query and fragment";
            return Err(Failure::Usage(detail.to_owned()));
        };
        if url.scheme() == "http" && !is_loopback(&url) && !self.plain_http {
            return Err(Failure::Usage(format!(
                "{url} is not encrypted: everybody on the way could read the admin token; use https, or give --plain-http"
            )));
        }
        Ok(url)
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, plain_http: bool) -> Result<Url, Failure> {
        let server = Server {
            server: Some(text.to_owned()),
            plain_http,
        };
        server.url()
    }

    #[test]
    fn a_token_goes_unencrypted_to_this_machine_only() {
        for text in [
            "https://keys.example.com",
            "http://127.0.0.1:8700",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(check(text, false).is_ok(), "{text}");
        }
        for text in [
            "http://keys.example.com",
            "http://10.0.0.1",
            "http://127.0.0.1.example.com",
        ] {
            assert!(
                matches!(check(text, false), Err(Failure::Usage(_))),
                "{text}"
            );
            assert!(check(text, true).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        for text in [
            "keys.example.com",
            "ftp://a",
            "https://u:secret@a",
            "https://a/?q=secret",
            "https://a/#x",
        ] {
            let Err(Failure::Usage(told)) = check(text, true) else {
                panic!("{text}");
            };
            assert!(!told.contains("secret"));
        }
    }
}
