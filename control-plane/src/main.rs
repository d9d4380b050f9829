//! The `keyward` program.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use keyward::bootstrap;
use keyward::clock::{Clock, SystemClock};
use keyward::config::{BootstrapArgs, Cli, Command, DatabaseArgs, ServeArgs};
use keyward::logging;
use keyward::server::Server;
use keyward::store::Store;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start();
    let outcome = match cli.command {
        Command::Serve(args) => serve(*args).await,
        Command::Migrate(args) => migrate(args).await,
        Command::Bootstrap(args) => bootstrap(args).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keyward: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let config = args.check()?;
    let mut terminate = signal(SignalKind::terminate()).context("signals can't be watched")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals can't be watched")?;
    let server = Server::bind(config, Arc::new(SystemClock)).await?;
    server
        .run(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await
}

async fn migrate(args: DatabaseArgs) -> anyhow::Result<()> {
    let store = Store::open(&args.database_url).await?;
    store.migrate().await?;
    store.close().await;
    println!("The database is up to date.");
    Ok(())
}

async fn bootstrap(args: BootstrapArgs) -> anyhow::Result<()> {
    let store = Store::open(&args.database.database_url).await?;
    store.migrate().await?;
    let token = bootstrap::first_token(&store, args.force, SystemClock.now()).await?;
    store.close().await;
    // The token alone goes to standard output, so that a script can keep it.
    eprintln!("The first admin token. It is shown this once; keep it safe:");
    println!("{}", token.expose());
    Ok(())
}
