//! `keyward scan`: finds tokens where none should be. Knows no secret: the checksum in every token tells it from other text.

mod files;
mod find;
mod git;
mod report;
mod utf16;

use std::io::{self, Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use report::{Report, Totals};

/// Nothing was found.
const CLEAN: u8 = 0;
/// Something was found.
const FOUND: u8 = 1;
/// Something could not be read, so that nobody knows.
const UNKNOWN: u8 = 2;

/// Options of `scan`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 nothing found, 1 found, 2 something could not be read.")]
pub struct ScanArgs {
    /// Files and folders, `-` for standard input; with --history and --staged: repositories.
    #[arg(default_value = ".")]
    paths: Vec<PathBuf>,
    /// Search the history of git: all that any branch or tag reaches, the messages of commits too.
    #[arg(long, conflicts_with = "staged")]
    history: bool,
    /// Search what is about to be committed; for a pre-commit hook.
    #[arg(long)]
    staged: bool,
    /// Search binary files too.
    #[arg(long)]
    binary: bool,
    /// Search what .gitignore and .ignore leave out, too.
    #[arg(long, conflicts_with_all = ["history", "staged"])]
    no_ignore: bool,
    /// One JSON object a line for each token found.
    #[arg(long)]
    json: bool,
    /// How many threads search; by default as the machine has.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    threads: usize,
}

/// Searches and tells; never writes a whole token.
pub fn run(args: &ScanArgs) -> ExitCode {
    let report = Report::new(args.binary);
    if args.history {
        args.paths
            .iter()
            .for_each(|path| git::history(path, args.threads(), &report));
    } else if args.staged {
        args.paths
            .iter()
            .for_each(|path| git::staged(path, &report));
    } else {
        files::search(&args.paths, !args.no_ignore, args.threads(), &report);
    }
    let (findings, totals) = report.finish();
    let mut out = io::BufWriter::new(stdout().lock());
    let written = findings
        .iter()
        .try_for_each(|finding| {
            if args.json {
                serde_json::to_writer(&mut out, finding)?;
                writeln!(out)
            } else {
                writeln!(out, "{finding}")
            }
        })
        .and_then(|()| out.flush());
    // A reader that is gone has seen enough.
    let is_told = written.is_ok_and(|()| !args.json);
    if is_told {
        eprintln!("{}", totals.describe(findings.len()));
    }
    ExitCode::from(code(findings.len(), &totals))
}

impl ScanArgs {
    fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            given => given,
        }
    }
}

fn code(findings: usize, totals: &Totals) -> u8 {
    match (findings, totals.failed) {
        (0, 0) => CLEAN,
        (0, _) => UNKNOWN,
        _ => FOUND,
    }
}
