//! The options of `keyward serve`.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::BoolishValueParser;
use reqwest::Url;
use shared::secret::Secret;

use super::{DatabaseArgs, SecretSource, SecretText};
use crate::admin_token::AdminToken;
use crate::http::client_address::{ForwardedHeader, Proxies};
use crate::leaks::github;
use crate::sync::SyncConfig;

/// Options of `serve`. Secrets are better given in files or in the environment: a command line can be seen by others.
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    listening: ListeningArgs,
    #[command(flatten)]
    secrets: SecretArgs,
    #[command(flatten)]
    edges: EdgeArgs,
    #[command(flatten)]
    operations: OperationsArgs,
    #[command(flatten)]
    safety: SafetyArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Listening")]
struct ListeningArgs {
    /// The address to listen on
    #[arg(
        long,
        env = "KEYWARD_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8700"
    )]
    listen: SocketAddr,
    /// Listen on an address that others can reach, since a proxy in front speaks TLS
    ///
    /// A caller's address is then what the proxy says, not the connection's, and /metrics wants an admin token of the
    /// root account unless --metrics-listen gives it an address of its own.
    #[arg(long, env = "KEYWARD_BEHIND_PROXY", value_parser = BoolishValueParser::new())]
    behind_proxy: bool,
    /// How many proxies stand in front, one behind the other, each of which adds the address that it sees
    ///
    /// The caller's address is the entry that the first of them added: with 1 the last one, with 2 (say, a content
    /// network and nginx) the last but one. Only with --behind-proxy.
    #[arg(
        long,
        env = "KEYWARD_TRUSTED_PROXIES",
        value_name = "NUMBER",
        default_value = "1"
    )]
    trusted_proxies: NonZeroU32,
    /// Where the proxies put the caller's address; the other header is not looked at
    #[arg(
        long,
        env = "KEYWARD_FORWARDED_HEADER",
        value_name = "HEADER",
        default_value = "x-forwarded-for"
    )]
    forwarded_header: ForwardedHeader,
    /// The most connections at a time; more wait in the system's queue until one ends
    #[arg(
        long,
        env = "KEYWARD_MAX_CONNECTIONS",
        value_name = "NUMBER",
        default_value = "1024"
    )]
    max_connections: NonZeroU32,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Secrets")]
struct SecretArgs {
    /// Signs the tags in tokens: the same secret as the edge's TAG_SECRET, 16 bytes or more
    #[arg(
        long,
        env = "KEYWARD_TAG_SECRET",
        value_name = "TEXT",
        hide_env_values = true
    )]
    tag_secret: Option<SecretText>,
    /// A file that holds the tag secret, e.g. /run/secrets/keyward-tag
    #[arg(long, env = "KEYWARD_TAG_SECRET_FILE", value_name = "FILE")]
    tag_secret_file: Option<PathBuf>,
    /// Signs what edge and control plane send each other, whsec_ and base64: the same as the edge's PUSH_SECRET
    #[arg(
        long,
        env = "KEYWARD_PUSH_SECRET",
        value_name = "TEXT",
        hide_env_values = true
    )]
    push_secret: Option<SecretText>,
    /// A file that holds the push secret
    #[arg(long, env = "KEYWARD_PUSH_SECRET_FILE", value_name = "FILE")]
    push_secret_file: Option<PathBuf>,
    /// An admin token (kwa_ and 40 letters and digits) that is to be valid
    #[arg(
        long,
        env = "KEYWARD_ADMIN_TOKEN",
        value_name = "TEXT",
        hide_env_values = true
    )]
    admin_token: Option<SecretText>,
    /// A file that holds the admin token
    #[arg(long, env = "KEYWARD_ADMIN_TOKEN_FILE", value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Edges")]
struct EdgeArgs {
    /// Base URLs of the edges, separated by commas, e.g. https://edge.example.com
    #[arg(
        long,
        env = "KEYWARD_EDGE_TARGETS",
        value_name = "URLS",
        value_delimiter = ','
    )]
    edge_targets: Vec<String>,
    /// How long a call that changes something waits for the edges, in milliseconds
    #[arg(
        long,
        env = "KEYWARD_PROPAGATION_WAIT_MS",
        value_name = "MILLISECONDS",
        default_value_t = 2000
    )]
    propagation_wait_ms: u64,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Operations")]
struct OperationsArgs {
    /// Serve /metrics on this address and nowhere else, without any credential, e.g. 10.0.0.5:9464
    ///
    /// Without it /metrics is served on the address of --listen: to everybody who can reach it, or, with
    /// --behind-proxy, to admins of the root account. Metrics hold counts, times and the edges' URLs: no key, no
    /// account, no path.
    #[arg(long, env = "KEYWARD_METRICS_LISTEN", value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,
    /// Send traces to this OpenTelemetry collector (OTLP, http/protobuf), e.g. http://127.0.0.1:4318
    ///
    /// /v1/traces is added to the URL. Headers, e.g. a credential, are taken from OTEL_EXPORTER_OTLP_HEADERS. Without
    /// it no traces are made.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_name = "URL",
        hide_env_values = true
    )]
    otlp_endpoint: Option<String>,
    /// When told to stop: how long /readyz says 503 before the port closes, in milliseconds
    ///
    /// Give a load balancer time to look away: a little more than the time between two of its probes.
    #[arg(
        long,
        env = "KEYWARD_DRAIN_MS",
        value_name = "MILLISECONDS",
        default_value_t = 500
    )]
    drain_ms: u64,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Safety")]
struct SafetyArgs {
    /// After how many admin tokens that are not valid a client (an address; of IPv6, its /64) waits; also how many
    /// more it may try each minute
    ///
    /// All clients together may try 20 times as many. A token that was valid within the last hour is never held up.
    #[arg(
        long,
        env = "KEYWARD_FAILED_LOGINS_PER_MINUTE",
        value_name = "NUMBER",
        default_value = "20"
    )]
    failed_logins_per_minute: NonZeroU32,
    /// Let checks of upstreams reach loopback, private and other addresses that are not public: for development
    #[arg(
        long,
        env = "KEYWARD_ALLOW_PRIVATE_DESTINATIONS",
        value_parser = BoolishValueParser::new()
    )]
    allow_private_destinations: bool,
    /// Where GitHub publishes the keys that its leak reports are signed with
    #[arg(
        long,
        env = "KEYWARD_GITHUB_KEYS_URL",
        value_name = "URL",
        default_value = github::KEYS_URL
    )]
    github_keys_url: Url,
}

/// What the server needs, checked.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// The database.
    pub database_url: String,
    /// Signs the tags in tokens.
    pub tag_secret: Secret,
    /// Verifies what the edges send.
    pub push_secret: Secret,
    /// An admin token that is to be valid.
    pub admin_token: Option<AdminToken>,
    /// Delivery to the edges.
    pub sync: SyncConfig,
    /// Connections, inbound and outbound.
    pub network: NetworkConfig,
    /// How many invalid admin tokens a client may try each minute.
    pub failed_logins_per_minute: NonZeroU32,
    /// Where GitHub publishes its keys.
    pub github_keys_url: Url,
}

/// Connections, inbound and outbound.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// What stands in front.
    pub proxies: Proxies,
    /// The address of the metrics, if they have one of their own.
    pub metrics_listen: Option<SocketAddr>,
    /// The most connections at a time.
    pub max_connections: NonZeroU32,
    /// How long `/readyz` says 503 before the port closes.
    pub drain: Duration,
    /// Whether addresses that are not public may be called on behalf of admins.
    pub allow_private_destinations: bool,
}

impl ServeArgs {
    /// Checks the options.
    ///
    /// # Errors
    /// One sentence on what is wrong; it never repeats a secret.
    pub fn check(&self) -> anyhow::Result<ServeConfig> {
        let network = self.network()?;
        let push_secret = self.push_secret()?;
        Ok(ServeConfig {
            database_url: self.database.url()?,
            tag_secret: self.tag_secret()?,
            admin_token: self.admin_token()?,
            sync: SyncConfig {
                targets: self.targets()?,
                secret: push_secret.clone(),
                wait: Duration::from_millis(self.edges.propagation_wait_ms),
            },
            push_secret,
            network,
            failed_logins_per_minute: self.safety.failed_logins_per_minute,
            github_keys_url: self.safety.github_keys_url.clone(),
        })
    }

    /// The addresses and bounds of connections.
    ///
    /// # Errors
    /// When others could reach an address that speaks plain HTTP.
    pub(crate) fn network(&self) -> anyhow::Result<NetworkConfig> {
        let listening = &self.listening;
        if !listening.listen.ip().is_loopback() && !listening.behind_proxy {
            bail!(
                "{} can be reached by others and this server speaks plain HTTP: put a proxy with TLS in front of it \
                 and give --behind-proxy, or listen on 127.0.0.1",
                listening.listen
            );
        }
        let proxies = if listening.behind_proxy {
            Proxies::Trusted {
                number: listening.trusted_proxies,
                header: listening.forwarded_header,
            }
        } else {
            Proxies::None
        };
        Ok(NetworkConfig {
            listen: listening.listen,
            proxies,
            metrics_listen: self.operations.metrics_listen,
            max_connections: listening.max_connections,
            drain: Duration::from_millis(self.operations.drain_ms),
            allow_private_destinations: self.safety.allow_private_destinations,
        })
    }

    /// The tag secret.
    ///
    /// # Errors
    /// When it is missing or too short.
    pub(crate) fn tag_secret(&self) -> anyhow::Result<Secret> {
        let name = "KEYWARD_TAG_SECRET";
        let file = self.secrets.tag_secret_file.as_deref();
        let text = SecretSource::new(name, self.secrets.tag_secret.as_ref(), file).required()?;
        Secret::from_text(text.expose()).context(name)
    }

    /// The push secret.
    ///
    /// # Errors
    /// When it is missing, too short or not written as one.
    pub(crate) fn push_secret(&self) -> anyhow::Result<Secret> {
        let name = "KEYWARD_PUSH_SECRET";
        let file = self.secrets.push_secret_file.as_deref();
        let text = SecretSource::new(name, self.secrets.push_secret.as_ref(), file).required()?;
        Secret::from_webhook(text.expose()).context(name)
    }

    /// The admin token that is to be valid, if one is given.
    ///
    /// # Errors
    /// When it is not written as one.
    pub(crate) fn admin_token(&self) -> anyhow::Result<Option<AdminToken>> {
        let name = "KEYWARD_ADMIN_TOKEN";
        let file = self.secrets.admin_token_file.as_deref();
        let text = SecretSource::new(name, self.secrets.admin_token.as_ref(), file).read()?;
        text.map(|text| AdminToken::parse(text.expose()))
            .transpose()
            .context(name)
    }

    /// The edges' base URLs, each once and without a slash at the end.
    ///
    /// # Errors
    /// When one can't be a base URL.
    pub(crate) fn targets(&self) -> anyhow::Result<Vec<String>> {
        targets(&self.edges.edge_targets)
    }

    /// The URL that traces are sent to, if they are.
    ///
    /// # Errors
    /// When it is no http or https URL.
    pub fn traces(&self) -> anyhow::Result<Option<Url>> {
        let given = self.operations.otlp_endpoint.as_deref().unwrap_or_default();
        if given.trim().is_empty() {
            return Ok(None);
        }
        // The text itself is not repeated: credentials may be in it.
        let wrong = "OTEL_EXPORTER_OTLP_ENDPOINT is no http or https URL";
        let mut url = Url::parse(given.trim()).context(wrong)?;
        if !matches!(url.scheme(), "http" | "https") {
            bail!(wrong);
        }
        let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Some(url))
    }
}

fn targets(texts: &[String]) -> anyhow::Result<Vec<String>> {
    let mut targets = Vec::new();
    for text in texts.iter().map(|t| t.trim()).filter(|t| !t.is_empty()) {
        // The text itself is not repeated: credentials may be in it.
        let url = Url::parse(text).context("KEYWARD_EDGE_TARGETS has an entry that is no URL")?;
        let is_base = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_base {
            bail!(
                "KEYWARD_EDGE_TARGETS: an edge is an http or https URL without user, password, query and fragment"
            );
        }
        let target = url.as_str().trim_end_matches('/').to_owned();
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    Ok(targets)
}
