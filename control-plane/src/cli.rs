//! The command line client: speaks to a server as any other client of the admin API does.
//!
//! A resource is one file here: its subcommands with their flags, and a [`resource::Resource`] that says how it is listed and
//! found. To add one: the file, a variant of [`ClientCommand`], a line in [`run`].

mod accounts;
mod apis;
mod client;
mod completions;
mod confirm;
mod connection;
mod failure;
mod find;
mod json;
mod keys;
mod login;
mod output;
mod presets;
mod resource;
mod settings_file;
mod table;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use connection::{Connection, Session};
use failure::Failure;

/// What asks a server.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// API keys: list, show, create, update, rotate, revoke, reactivate, delete, usage.
    Keys(Box<Remote<keys::Keys>>),
    /// Accounts: the tree of tenants.
    Accounts(Remote<accounts::Accounts>),
    /// APIs: what is guarded.
    Apis(Remote<apis::Apis>),
    /// Limits that go by a name.
    Presets(RemoteAlone<presets::Presets>),
    /// Keep a server's address and an admin token for later calls.
    Login(login::Login),
    /// Forget them.
    Logout,
    /// Write what a shell needs to complete commands.
    Completions(completions::Completions),
}

/// A command with subcommands that asks a server.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct Remote<C: Subcommand> {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: C,
}

/// A command without subcommands that asks a server.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct RemoteAlone<C: Args> {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    command: C,
}

const EXIT_CODES: &str =
    "Exit code: 0 done, 1 refused by the server, 2 wrong usage, 3 the server can't be reached.";

/// What a command does once it is known whom to ask.
trait Run {
    async fn run(self, session: &Session) -> Result<(), Failure>;
}

/// Runs a command and tells how it ended.
pub async fn run(command: ClientCommand) -> ExitCode {
    let outcome = match command {
        ClientCommand::Keys(remote) => ask(&remote.connection, remote.command).await,
        ClientCommand::Accounts(remote) => ask(&remote.connection, remote.command).await,
        ClientCommand::Apis(remote) => ask(&remote.connection, remote.command).await,
        ClientCommand::Presets(remote) => ask(&remote.connection, remote.command).await,
        ClientCommand::Login(login) => login.run().await,
        ClientCommand::Logout => login::forget(),
        ClientCommand::Completions(completions) => completions.write(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

async fn ask(connection: &Connection, command: impl Run) -> Result<(), Failure> {
    let session = connection.open()?;
    command.run(&session).await
}
