//! The command line and the environment.

mod secret_source;
mod secret_text;
mod serve;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::ClientCommand;
use crate::scan::ScanArgs;
pub use secret_source::SecretSource;
pub use secret_text::SecretText;
pub use serve::{NetworkConfig, ServeArgs, ServeConfig};

/// Keyward's control plane: owns the API keys and pushes their state to the edge.
#[derive(Debug, Parser)]
#[command(
    name = "keyward",
    version,
    after_help = "Every option of `serve` can be given in the environment too, under the name that its help shows. \
                  What the command line says wins."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What is logged, and how.
    #[command(flatten)]
    pub log: LogArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Whatever runs a server, or works on its database.
    #[command(flatten)]
    Operate(Operation),
    /// Find tokens in files and in git's history.
    Scan(ScanArgs),
    /// Whatever asks a server.
    #[command(flatten)]
    Client(ClientCommand),
}

/// Whatever runs a server, or works on its database.
#[derive(Debug, Subcommand)]
pub enum Operation {
    /// Run the server. Brings the database up to date first.
    Serve(Box<ServeArgs>),
    /// Check the options of `serve`, the database and the edges, without serving or changing anything.
    ///
    /// Prints one line for each check and ends with 0 when all of them pass, else with 1. Never prints a secret.
    CheckConfig(Box<ServeArgs>),
    /// Bring the database up to date and end.
    Migrate(DatabaseArgs),
    /// Make the first admin token and print it: it is shown this once.
    Bootstrap(BootstrapArgs),
    /// Write the database, an SQLite file, as it is at this moment into a new file. The server goes on meanwhile.
    ///
    /// For PostgreSQL there is pg_dump.
    Backup(BackupArgs),
    /// Put a backup in the place of the database, while no server runs on it.
    ///
    /// Everything in it gets new versions, so that the edges take it although they have seen newer ones, and the server
    /// gives all of it to every edge when it starts. Keys that were made after the backup are still known to the
    /// edges: `keyward sync repair` ends them then.
    Restore(RestoreArgs),
}

const DEFAULT_DATABASE: &str = "sqlite://keyward.db";

/// Where the database is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// The database: a file, e.g. sqlite:///var/lib/keyward/keyward.db, or a server, e.g.
    /// postgres://keyward:password@db.internal/keyward [default: sqlite://keyward.db]
    #[arg(
        long,
        env = "KEYWARD_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    database_url: Option<SecretText>,
    /// A file that holds the database's URL, where it has a password, e.g. /run/secrets/database-url
    #[arg(long, env = "KEYWARD_DATABASE_URL_FILE", value_name = "FILE")]
    database_url_file: Option<PathBuf>,
}

impl DatabaseArgs {
    /// The database's URL.
    ///
    /// # Errors
    /// When it is given twice, or its file can't be read.
    pub fn url(&self) -> anyhow::Result<String> {
        let name = "KEYWARD_DATABASE_URL";
        let file = self.database_url_file.as_deref();
        let url = SecretSource::new(name, self.database_url.as_ref(), file).read()?;
        Ok(url.map_or_else(
            || DEFAULT_DATABASE.to_owned(),
            |url| url.expose().to_owned(),
        ))
    }
}

/// Options of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write; it must not be there.
    pub file: PathBuf,
    /// Where the database is.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// Options of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup.
    #[arg(required_unless_present = "adopt", conflicts_with = "adopt")]
    pub file: Option<PathBuf>,
    /// Put it in the place of a database that is there, which is kept beside it.
    #[arg(long)]
    pub force: bool,
    /// The database is the restored one already, by pg_restore for example: only make the edges accept it.
    #[arg(long)]
    pub adopt: bool,
    /// Where the database is.
    #[command(flatten)]
    pub database: DatabaseArgs,
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

/// What is logged, and how. Logs go to standard error.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// json: an object a line; text: for people; auto: text on a terminal, else json
    #[arg(
        long,
        global = true,
        env = "KEYWARD_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "auto"
    )]
    pub log_format: LogFormat,
    /// The least level that is logged, by module where wanted, e.g. warn or info,keyward::sync=debug
    /// [default: what RUST_LOG says, else info]
    #[arg(long, global = true, env = "KEYWARD_LOG", value_name = "LEVELS")]
    pub log: Option<String>,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// `text` on a terminal, else `json`.
    Auto,
    /// An object a line.
    Json,
    /// For people.
    Text,
}

#[cfg(test)]
mod tests;
