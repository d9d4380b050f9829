//! The `keyward` program.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use keyward::clock::{Clock, SystemClock};
use keyward::config::{
    BackupArgs, BootstrapArgs, Cli, Command, DatabaseArgs, LogArgs, Operation, RestoreArgs,
    ServeArgs,
};
use keyward::logging;
use keyward::server::Server;
use keyward::store::Store;
use keyward::{backup, bootstrap, check_config, cli, scan};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let asked = Cli::parse();
    // What people ask for themselves is answered on the terminal, not in a log.
    let outcome = match asked.command {
        Command::Scan(args) => return scan::run(&args),
        Command::Client(command) => return cli::run(command).await,
        Command::Operate(command) => operate(command, &asked.log).await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("keyward: {error:#}");
        ExitCode::FAILURE
    })
}

async fn operate(command: Operation, log: &LogArgs) -> anyhow::Result<ExitCode> {
    let collector = match &command {
        Operation::Serve(args) => args.traces()?,
        _ => None,
    };
    let traces = logging::start(log, collector.as_ref())?;
    let outcome = match command {
        Operation::Serve(args) => serve(&args).await,
        Operation::CheckConfig(args) => return Ok(check_config(&args).await),
        Operation::Migrate(args) => migrate(args).await,
        Operation::Bootstrap(args) => bootstrap(args).await,
        Operation::Backup(args) => backup(args).await,
        Operation::Restore(args) => restore(args).await,
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

async fn backup(args: BackupArgs) -> anyhow::Result<()> {
    backup::backup(&args.database.url()?, &args.file).await?;
    println!("The backup is {}.", args.file.display());
    Ok(())
}

async fn restore(args: RestoreArgs) -> anyhow::Result<()> {
    let url = args.database.url()?;
    let now = SystemClock.now();
    let Some(file) = &args.file else {
        let store = Store::open(&url).await?;
        store.migrate().await?;
        backup::adopt(&store, now, 0).await?;
        store.close().await;
        println!(
            "The edges will be given everything when the server starts; run `keyward sync repair` then."
        );
        return Ok(());
    };
    if let Some(kept) = backup::restore(&url, file, args.force, now).await? {
        println!("What was there is kept as {}.", kept.display());
    }
    println!(
        "Restored. The edges will be given everything when the server starts; run `keyward sync repair` then."
    );
    Ok(())
}
