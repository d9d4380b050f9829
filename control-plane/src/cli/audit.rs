//! `keyward audit`: what admins did.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Run;
use super::accounts::id_of;
use super::client::Query;
use super::connection::Session;
use super::export::write_out;
use super::failure::Failure;
use super::find::Care;
use super::resource::{self, Paging, Resource, Which};
use super::table::Column;

const ENTRIES: Resource = Resource {
    path: "audit-log",
    noun: "audit entry",
    field: "entry",
    id_prefix: "aud_",
    id_length: 24,
    search: None,
    columns: &[
        Column::time("TIME", "/time"),
        Column::made("ACTOR", actor),
        Column::text("ACTION", "/action"),
        Column::id("TARGET", "/target/id"),
        Column::text("NAME", "/target/name"),
        Column::text("FROM", "/clientAddress").if_wide(),
        Column::id("ID", "/id").if_wide(),
    ],
};

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List its entries, the newest first.
    List(List),
    /// Show one, with what was there before and after.
    Show(Which),
    /// Write all to standard output, a line of JSON each, the oldest first.
    Export(Filters),
    /// Check that nobody changed or removed an entry; exit code 1 if somebody did. Only for the root account.
    Verify,
}

/// Options of `list`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    paging: Paging,
}

/// Which entries.
#[derive(Debug, Args)]
pub struct Filters {
    /// Only those of this account, without the accounts below it.
    #[arg(long)]
    account: Option<String>,
    /// Only by this admin token (id or name), this member (id), or system, github, holder.
    #[arg(long)]
    actor: Option<String>,
    /// Only actions that begin with this: key., key.rotate.
    #[arg(long)]
    action: Option<String>,
    /// Only about what has this id.
    #[arg(long, value_name = "ID")]
    target: Option<String>,
    /// Only at this time, as 2027-01-31T09:30:00Z, or later.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

impl Run for Audit {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List(list) => {
                let query = list.filters.query(session).await?;
                resource::list(session, &ENTRIES, query, list.paging).await
            }
            Self::Show(which) => resource::show(session, &ENTRIES, &which).await,
            Self::Export(filters) => {
                let query = filters.query(session).await?;
                write_out(session, "audit-log/export", &query).await
            }
            Self::Verify => verify(session).await,
        }
    }
}

impl Filters {
    async fn query(self, session: &Session) -> Result<Query, Failure> {
        let account = id_of(session, self.account.as_deref(), Care::Reading).await?;
        Ok(resource::given([
            ("account", account),
            ("actor", self.actor),
            ("action", self.action),
            ("target", self.target),
            ("from", self.from),
            ("to", self.to),
        ]))
    }
}

async fn verify(session: &Session) -> Result<(), Failure> {
    let query = Query::new();
    let told = session.client.get("audit-log/verify", &query).await?;
    session.output.value(&told)?;
    match told.get("valid") {
        Some(Value::Bool(true)) => Ok(()),
        _ => Err(Failure::Told),
    }
}

/// The token's name; where no token acted, what did.
fn actor(entry: &Value) -> String {
    let text = |path: &str| entry.pointer(path).and_then(Value::as_str);
    let name = text("/actor/tokenName").filter(|name| !name.is_empty());
    let kind = || text("/actor/kind");
    name.or_else(kind).unwrap_or_default().to_owned()
}
