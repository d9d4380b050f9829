//! The command line and the environment.

mod secret_text;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand};
use reqwest::Url;
use shared::secret::Secret;

use crate::admin_token::AdminToken;
use crate::leaks::github;
use crate::sync::SyncConfig;
use secret_text::SecretText;

/// Keyward's control plane: owns the API keys and pushes their state to the edge.
#[derive(Debug, Parser)]
#[command(name = "keyward", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server. Brings the database up to date first.
    Serve(Box<ServeArgs>),
    /// Bring the database up to date and end.
    Migrate(DatabaseArgs),
    /// Make the first admin token and print it: it is shown this once.
    Bootstrap(BootstrapArgs),
}

/// Where the database is.
#[derive(Debug, Args)]
pub struct DatabaseArgs {
    /// The database, e.g. sqlite:///var/lib/keyward/keyward.db
    #[arg(
        long,
        env = "KEYWARD_DATABASE_URL",
        default_value = "sqlite://keyward.db",
        hide_env_values = true
    )]
    pub database_url: String,
}

/// Options of `bootstrap`.
#[derive(Debug, Args)]
pub struct BootstrapArgs {
    /// Where the database is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Make another admin token although there is one.
    #[arg(long)]
    pub force: bool,
}

/// Options of `serve`. Secrets are better given in the environment: a command line can be seen by others.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where the database is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The address to listen on.
    #[arg(long, env = "KEYWARD_LISTEN", default_value = "127.0.0.1:8700")]
    pub listen: SocketAddr,
    /// Listen on an address that others can reach, since a proxy in front speaks TLS.
    #[arg(long, env = "KEYWARD_BEHIND_PROXY", value_parser = BoolishValueParser::new())]
    pub behind_proxy: bool,
    /// Signs the tags in tokens: the same secret as the edge's TAG_SECRET.
    #[arg(long, env = "KEYWARD_TAG_SECRET", hide_env_values = true)]
    pub tag_secret: Option<SecretText>,
    /// Signs what edge and control plane send each other, whsec_ and base64: the same as the edge's PUSH_SECRET.
    #[arg(long, env = "KEYWARD_PUSH_SECRET", hide_env_values = true)]
    pub push_secret: Option<SecretText>,
    /// Base URLs of the edges, separated by commas.
    #[arg(long, env = "KEYWARD_EDGE_TARGETS", value_delimiter = ',')]
    pub edge_targets: Vec<String>,
    /// An admin token (kwa_ and 40 letters and digits) that is to be valid.
    #[arg(long, env = "KEYWARD_ADMIN_TOKEN", hide_env_values = true)]
    pub admin_token: Option<SecretText>,
    /// How long a call that changes something waits for the edges, in milliseconds.
    #[arg(long, env = "KEYWARD_PROPAGATION_WAIT_MS", default_value_t = 2000)]
    pub propagation_wait_ms: u64,
    /// Where GitHub publishes the keys that its leak reports are signed with.
    #[arg(long, env = "KEYWARD_GITHUB_KEYS_URL", default_value = github::KEYS_URL)]
    pub github_keys_url: Url,
}

/// What the server needs, checked.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// The database.
    pub database_url: String,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Whether a proxy in front speaks TLS.
    pub behind_proxy: bool,
    /// Signs the tags in tokens.
    pub tag_secret: Secret,
    /// Verifies what the edges send.
    pub push_secret: Secret,
    /// An admin token that is to be valid.
    pub admin_token: Option<AdminToken>,
    /// Delivery to the edges.
    pub sync: SyncConfig,
    /// Where GitHub publishes its keys.
    pub github_keys_url: Url,
}

impl ServeArgs {
    /// Checks the options.
    ///
    /// # Errors
    /// One sentence on what is wrong; it never repeats a secret.
    pub fn check(&self) -> anyhow::Result<ServeConfig> {
        if !self.listen.ip().is_loopback() && !self.behind_proxy {
            bail!(
                "{} can be reached by others and this server speaks plain HTTP: put a proxy with TLS in front of it \
                 and give --behind-proxy, or listen on 127.0.0.1",
                self.listen
            );
        }
        let tag_secret = required(self.tag_secret.as_ref(), "KEYWARD_TAG_SECRET")?;
        let tag_secret = Secret::from_text(tag_secret).context("KEYWARD_TAG_SECRET")?;
        let push_secret = required(self.push_secret.as_ref(), "KEYWARD_PUSH_SECRET")?;
        let push_secret = Secret::from_webhook(push_secret).context("KEYWARD_PUSH_SECRET")?;
        let admin_token = given(self.admin_token.as_ref())
            .map(AdminToken::parse)
            .transpose()
            .context("KEYWARD_ADMIN_TOKEN")?;
        Ok(ServeConfig {
            database_url: self.database.database_url.clone(),
            listen: self.listen,
            behind_proxy: self.behind_proxy,
            tag_secret,
            push_secret: push_secret.clone(),
            admin_token,
            sync: SyncConfig {
                targets: targets(&self.edge_targets)?,
                secret: push_secret,
                wait: Duration::from_millis(self.propagation_wait_ms),
            },
            github_keys_url: self.github_keys_url.clone(),
        })
    }
}

/// A secret that is set to something.
fn given(secret: Option<&SecretText>) -> Option<&str> {
    secret
        .map(SecretText::expose)
        .filter(|text| !text.is_empty())
}

fn required<'a>(secret: Option<&'a SecretText>, name: &str) -> anyhow::Result<&'a str> {
    given(secret).with_context(|| format!("{name} is not set"))
}

/// The edges' base URLs, each once and without a slash at the end.
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

#[cfg(test)]
mod tests;
