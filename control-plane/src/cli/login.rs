//! `keyward login` and `keyward logout`.

use std::io::{IsTerminal, Read, Write, stderr, stdin};

use clap::Args;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::client::{Client, Query};
use super::connection::Server;
use super::failure::Failure;
use super::output::note;
use super::settings_file::Settings;
use crate::config::SecretText;

/// No token is longer.
const MAX_TOKEN: u64 = 4096;

/// Options of `login`.
#[derive(Debug, Args)]
#[command(
    after_help = "The token is asked for, or read from standard input. It is kept in \
$XDG_CONFIG_HOME/keyward/config.json (~/.config/keyward/config.json), which only you can read."
)]
pub struct Login {
    #[command(flatten)]
    server: Server,
}

impl Login {
    /// Asks for the token, tries it and keeps it.
    pub async fn run(self) -> Result<(), Failure> {
        let server = self.server.url()?;
        let token = read_secret("Admin token: ")?;
        if token.expose().is_empty() {
            return Err(Failure::Usage("no token was given".to_owned()));
        }
        let client = Client::new(server.clone(), &token)?;
        // Every valid token may read this.
        client.get("presets", &Query::new()).await?;
        let settings = Settings {
            server: server.to_string(),
            token,
        };
        let path = settings.write()?;
        note(&format!(
            "Logged in to {server}; the token is kept in {}.",
            path.display()
        ));
        Ok(())
    }
}

/// `keyward logout`. The token itself stays valid.
pub fn forget() -> Result<(), Failure> {
    note(match Settings::remove()? {
        true => "The token is forgotten here. It is valid still; who is done with it revokes it.",
        false => "Nobody was logged in.",
    });
    Ok(())
}

/// A secret: typed unseen, or read from standard input.
///
/// # Errors
/// When it can't be read.
pub fn read_secret(prompt: &str) -> Result<SecretText, Failure> {
    let mut text = String::new();
    if !stdin().is_terminal() {
        stdin().take(MAX_TOKEN).read_to_string(&mut text)?;
        return Ok(SecretText::new(text));
    }
    let unseen = Unseen::begin()?;
    write!(stderr(), "{prompt}")?;
    stdin().read_line(&mut text)?;
    drop(unseen);
    note("");
    Ok(SecretText::new(text))
}

/// While it lives the terminal does not show what is typed.
struct Unseen(rustix::termios::Termios);

impl Unseen {
    fn begin() -> Result<Self, Failure> {
        let before = tcgetattr(stdin()).map_err(std::io::Error::from)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin(), OptionalActions::Now, &quiet).map_err(std::io::Error::from)?;
        Ok(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}
