//! The command line client: speaks to a server as any other client of the admin API does.
//!
//! A resource is one file here: its subcommands with their flags, and a [`resource::Resource`] that says how it is listed and
//! found. To add one: the file, a variant of [`ClientCommand`], a line in [`run`].

mod accounts;
mod apis;
mod audit;
mod client;
mod completions;
mod confirm;
mod connection;
mod environments;
mod explain;
mod export;
mod failure;
mod find;
mod import;
mod input;
mod json;
mod keys;
mod login;
mod me;
mod members;
mod output;
mod presets;
mod resource;
mod roles;
mod settings_file;
mod sync;
mod table;
mod tokens;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use connection::{Connection, Session};
use failure::Failure;

/// What asks a server.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// API keys: list, show, create, update, rotate, revoke, reactivate, delete, usage, rotation.
    Keys(Box<Remote<keys::Keys>>),
    /// Accounts: the tree of tenants.
    Accounts(Remote<accounts::Accounts>),
    /// APIs: what is guarded.
    Apis(Remote<apis::Apis>),
    /// Environments of keys and endpoints, and after how long tokens in each are due to be replaced.
    Environments(Remote<environments::Environments>),
    /// The people of accounts: list, show, invite, renew, update, remove.
    Members(Remote<members::Members>),
    /// What members and admin tokens may do.
    Roles(Remote<roles::Roles>),
    /// Admin tokens.
    Tokens(Remote<tokens::Tokens>),
    /// Who the admin token stands for, and what it may do.
    Me(RemoteAlone<me::Me>),
    /// What admins did: list, show, export, verify.
    Audit(Remote<audit::Audit>),
    /// Why a request to the edge passes or is refused, step by step.
    Explain(RemoteAlone<explain::Explain>),
    /// Take keys that were made elsewhere, by the hashes of their tokens.
    Import(Box<RemoteAlone<import::Import>>),
    /// Write every key with its hash, a line of JSON each, as `import` takes them.
    Export(RemoteAlone<export::Export>),
    /// The edges: show, status, repair, resync.
    Sync(Remote<sync::Sync>),
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

const EXIT_CODES: &str = "Exit code: 0 done, 1 refused by the server, 2 wrong usage, 3 the server can't be reached or its answer breaks off.";

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
        ClientCommand::Environments(remote) => ask(&remote.connection, remote.command).await,
        ClientCommand::Members(remote) => ask(&remote.connection, remote.command).await,
        ClientCommand::Roles(remote) => ask(&remote.connection, remote.command).await,
        ClientCommand::Tokens(remote) => ask(&remote.connection, remote.command).await,
        ClientCommand::Me(remote) => ask(&remote.connection, remote.command).await,
        ClientCommand::Audit(remote) => ask(&remote.connection, remote.command).await,
        ClientCommand::Explain(remote) => ask(&remote.connection, remote.command).await,
        ClientCommand::Import(remote) => ask(&remote.connection, remote.command).await,
        ClientCommand::Export(remote) => ask(&remote.connection, remote.command).await,
        ClientCommand::Sync(remote) => ask(&remote.connection, remote.command).await,
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
