//! `keyward export`, and answers of lines that are written as they come.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Run;
use super::accounts::id_of;
use super::client::Query;
use super::connection::Session;
use super::failure::Failure;
use super::find::Care;
use super::json::Lines;
use super::output::note;
use super::resource;

/// Options of `export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Only keys of this account, without the accounts below it.
    #[arg(long)]
    account: Option<String>,
    /// A file that only you can read, instead of standard output. It is there when the export is whole.
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,
}

impl Run for Export {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let account = id_of(session, self.account.as_deref(), Care::Reading).await?;
        let query = resource::given([("account", account)]);
        match &self.output {
            Some(path) => write_file(session, "keys/export", &query, path).await,
            None => write_out(session, "keys/export", &query).await,
        }
    }
}

/// Writes the lines at a path of the API to standard output.
///
/// # Errors
/// As the client's.
pub async fn write_out(session: &Session, path: &str, query: &Query) -> Result<(), Failure> {
    let mut sink = Lines::to(BufWriter::new(stdout()));
    session.client.copy(path, query, &mut sink).await
}

async fn write_file(
    session: &Session,
    path: &str,
    query: &Query,
    file: &Path,
) -> Result<(), Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::Usage(format!("{}: {error}", file.display()));
    match fs::symlink_metadata(file) {
        Ok(about) if !about.is_file() => return Err(failed(&"is no file, and is left alone")),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(&error)),
        _ => {}
    }
    // Beside it and then renamed: under its name there is never half an export, nor one that others may read.
    let mut beside = file.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let sink = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .map_err(|error| failed(&error))?;
    let mut sink = BufWriter::new(sink);
    let copied = session.client.copy(path, query, &mut sink).await;
    let written = copied.and_then(|()| {
        sink.flush()?;
        sink.get_ref().sync_all()?;
        fs::rename(&beside, file).map_err(|error| failed(&error))
    });
    match written {
        Ok(()) => note(&format!("Written to {}.", file.display())),
        Err(failure) => {
            // The failure says enough; what stays behind can be read by nobody else.
            let _ = fs::remove_file(&beside);
            return Err(failure);
        }
    }
    Ok(())
}
