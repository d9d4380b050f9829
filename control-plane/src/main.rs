//! The `keyward` program.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use keyward::clock::{Clock, SystemClock};
use keyward::config::{BootstrapArgs, Cli, Command, DatabaseArgs, ServeArgs};
use keyward::logging;
use keyward::server::Server;
use keyward::store::Store;
use keyward::{bootstrap, check_config};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    run(Cli::parse()).await.unwrap_or_else(|error| {
        eprintln!("keyward: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let collector = match &cli.command {
        Command::Serve(args) => args.traces()?,
        _ => None,
    };
    let traces = logging::start(&cli.log, collector.as_ref())?;
    let outcome = match cli.command {
        Command::Serve(args) => serve(&args).await,
        Command::CheckConfig(args) => return Ok(check_config(&args).await),
        Command::Migrate(args) => migrate(args).await,
        Command::Bootstrap(args) => bootstrap(args).await,
    };
    traces.flush().await;
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let config = args.check()?;
    let mut terminate = signal(SignalKind::terminate()).context("signals can't be watched")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals can't be watched")?;
    let server = Server::bind(config, Arc::new(SystemClock)).await?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    server.run(stop).await;
    Ok(())
}

async fn check_config(args: &ServeArgs) -> ExitCode {
    let findings = check_config::check(args, SystemClock.now()).await;
    print!("{findings}");
    if findings.are_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn migrate(args: DatabaseArgs) -> anyhow::Result<()> {
    let store = Store::open(&args.url()?).await?;
    store.migrate().await?;
    store.close().await;
    println!("The database is up to date.");
    Ok(())
}

async fn bootstrap(args: BootstrapArgs) -> anyhow::Result<()> {
    let store = Store::open(&args.database.url()?).await?;
    store.migrate().await?;
    let token = bootstrap::first_token(&store, args.force, SystemClock.now()).await?;
    store.close().await;
    // The token alone goes to standard output, so that a script can keep it.
    eprintln!("The first admin token. It is shown this once; keep it safe:");
    println!("{}", token.expose());
    Ok(())
}
