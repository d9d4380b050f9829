//! `keyward import`: keys that were made elsewhere.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::{IsTerminal, Write, stderr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Body;
use serde_json::Value;
use tokio::time::sleep;

use super::Run;
use super::accounts::id_of;
use super::client::Query;
use super::connection::Session;
use super::export::write_out;
use super::failure::Failure;
use super::find::Care;
use super::input::Input;
use super::output::note;
use super::resource::{self, Paging, Resource, Which, rows_of};
use super::table::Column;
use crate::terminal::clean;

/// How often it is asked how far an import has come.
const PAUSE: Duration = Duration::from_millis(500);

const IMPORTS: Resource = Resource {
    path: "imports",
    noun: "import",
    field: "import",
    id_prefix: "imp_",
    id_length: 20,
    search: None,
    columns: &[
        Column::id("ID", "/id"),
        Column::text("STATE", "/state"),
        Column::text("LINES", "/lines"),
        Column::text("CREATED", "/created"),
        Column::text("EXISTING", "/existing"),
        Column::text("REFUSED", "/refused"),
        Column::time("STARTED", "/startedAt"),
        Column::id("ACCOUNT", "/accountId").if_wide(),
    ],
};

/// Options of `import`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "A line of the file is a key: {\"hash\": \"SHA-256 of its token\", \"name\": \"...\"}, and what `keyward export` writes.\n\
If it breaks off, what was taken stays, and the same file can be sent again."
)]
pub struct Import {
    #[command(subcommand)]
    command: Option<Look>,
    /// A file of lines of JSON, `-` for standard input.
    #[arg(value_name = "PATH", required = true)]
    file: Option<PathBuf>,
    /// The account whose keys they become; by default that of the admin token.
    #[arg(long)]
    account: Option<String>,
}

/// What can be seen of imports.
#[derive(Debug, Subcommand)]
pub enum Look {
    /// Write what became of each line that was created or refused, a line of JSON each.
    Report(Which),
    /// List imports, the newest first.
    List(Paging),
}

impl Run for Import {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match (self.command, self.file) {
            (Some(Look::Report(which)), _) => {
                let id = which.to_read(session, &IMPORTS).await?;
                write_out(session, &format!("imports/{id}/report"), &Query::new()).await
            }
            (Some(Look::List(paging)), _) => {
                resource::list(session, &IMPORTS, Query::new(), paging).await
            }
            (None, Some(file)) => {
                let account = id_of(session, self.account.as_deref(), Care::Changing).await?;
                send(session, Input::open(&file)?, account).await
            }
            (None, None) => Err(Failure::Usage("no file was given".to_owned())),
        }
    }
}

async fn send(session: &Session, input: Input, account: Option<String>) -> Result<(), Failure> {
    let query = resource::given([("account", account)]);
    let body = Body::wrap(input);
    let sending = session.client.upload("imports", &query, body);
    let import = if stderr().is_terminal() {
        // It may be that this token can't read: then nothing is shown meanwhile.
        let before = ids(&newest(session).await.unwrap_or_default());
        let sent = tokio::select! {
            sent = sending => sent,
            never = show_progress(session, &before) => match never {},
        };
        clear_line();
        sent
    } else {
        sending.await
    };
    let import = import.inspect_err(|failure| {
        if matches!(failure, Failure::Unreachable(_)) {
            note("It broke off. What was taken stays; the same lines can be sent again.");
        }
    })?;
    session.output.value(&import)?;
    let id = import.get("id").and_then(Value::as_str).unwrap_or_default();
    if !session.output.is_json() {
        note(&format!(
            "What became of each line: keyward import report {}",
            clean(id)
        ));
    }
    Ok(())
}

/// Shows on the terminal, again and again, how far it has come. Its id is known only when it is done: it is the one that was
/// not there before, as long as there is but one such.
async fn show_progress(session: &Session, before: &BTreeSet<String>) -> Infallible {
    loop {
        sleep(PAUSE).await;
        let page = newest(session).await.unwrap_or_default();
        let is_new = |import: &&Value| {
            let id = import.get("id").and_then(Value::as_str);
            id.is_some_and(|id| !before.contains(id))
        };
        let new: Vec<&Value> = rows_of(&page).iter().filter(is_new).collect();
        if let [import] = new.as_slice() {
            let count = |field| import.get(field).and_then(Value::as_u64).unwrap_or(0);
            // Nobody has to see it.
            let _ = write!(
                stderr(),
                "\r\u{1b}[K{} lines: {} created, {} existing, {} refused",
                count("lines"),
                count("created"),
                count("existing"),
                count("refused"),
            );
        }
    }
}

fn clear_line() {
    let _ = write!(stderr(), "\r\u{1b}[K");
}

async fn newest(session: &Session) -> Result<Value, Failure> {
    session.client.get(IMPORTS.path, &Query::new()).await
}

fn ids(page: &Value) -> BTreeSet<String> {
    let ids = rows_of(page).iter().filter_map(|row| row.get("id"));
    ids.filter_map(Value::as_str).map(str::to_owned).collect()
}
