//! `keyward apis`. An API is too much for flags: it is given as JSON, in the form that `apis show --json` writes.

use std::fs::File;
use std::io::{Read, stdin};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Run;
use super::accounts::id_of;
use super::client::Query;
use super::connection::Session;
use super::failure::Failure;
use super::find::Care;
use super::resource::{self, Paging, Resource, Which, put};
use super::table::Column;

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 16 * 1024 * 1024;
/// What only the server says of an API.
const READ_ONLY: [&str; 4] = ["id", "createdAt", "updatedAt", "version"];

const APIS: Resource = Resource {
    path: "apis",
    noun: "API",
    field: "api",
    id_prefix: "api_",
    id_length: 20,
    search: None,
    columns: &[
        Column::id("ID", "/id"),
        Column::text("NAME", "/name"),
        Column::made("HOSTS", hosts),
        Column::text("UPSTREAM", "/upstream"),
        Column::made("ROUTES", routes),
        Column::id("ACCOUNT", "/accountId").if_wide(),
    ],
};

/// What can be done with APIs.
#[derive(Debug, Subcommand)]
pub enum Apis {
    /// List them.
    List(List),
    /// Show one.
    Show(Which),
    /// Make one of a JSON file.
    Create(Create),
    /// Change one: each field of the file replaces what there was.
    Update(Update),
    /// Delete one: its hosts are guarded no longer, and answered by nobody.
    Delete(Which),
}

/// Options of `list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only those of this account.
    #[arg(long)]
    account: Option<String>,
    #[command(flatten)]
    paging: Paging,
}

/// Options of `create`.
#[derive(Debug, Args)]
pub struct Create {
    /// A file of JSON, `-` for standard input.
    #[arg(long, value_name = "PATH")]
    file: PathBuf,
    /// The account that it belongs to; by default the file's `accountId`, else that of the admin token.
    #[arg(long)]
    account: Option<String>,
}

/// Options of `update`.
#[derive(Debug, Args)]
pub struct Update {
    #[command(flatten)]
    which: Which,
    /// A file of JSON, `-` for standard input.
    #[arg(long, value_name = "PATH")]
    file: PathBuf,
}

impl Run for Apis {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List(list) => {
                let account = id_of(session, list.account.as_deref(), Care::Reading).await?;
                let query: Query = account.map(|id| ("account", id)).into_iter().collect();
                resource::list(session, &APIS, query, list.paging).await
            }
            Self::Show(which) => resource::show(session, &APIS, &which).await,
            Self::Create(create) => {
                let mut body = read(&create.file, &READ_ONLY)?;
                let account = id_of(session, create.account.as_deref(), Care::Changing).await?;
                put(&mut body, "accountId", account);
                resource::create(session, &APIS, &body).await
            }
            Self::Update(update) => {
                let mut body = read(&update.file, &READ_ONLY)?;
                // It stays where it is.
                remove(&mut body, "accountId");
                resource::update(session, &APIS, &update.which, &body).await
            }
            Self::Delete(which) => resource::delete(session, &APIS, &which).await,
        }
    }
}

/// Reads a JSON object, without fields that can't be set.
fn read(path: &Path, without: &[&str]) -> Result<Value, Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::Usage(format!("{}: {why}", path.display()));
    let input: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(stdin()),
        false => Box::new(File::open(path).map_err(|error| failed(&error))?),
    };
    let mut text = String::new();
    let read = input.take(MAX_FILE + 1).read_to_string(&mut text);
    if read.map_err(|error| failed(&error))? as u64 > MAX_FILE {
        return Err(failed(&format!("larger than {MAX_FILE} bytes")));
    }
    let mut body: Value = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    if !body.is_object() {
        return Err(failed(&"not a JSON object"));
    }
    without.iter().for_each(|field| remove(&mut body, field));
    Ok(body)
}

fn remove(body: &mut Value, field: &str) {
    if let Some(fields) = body.as_object_mut() {
        fields.remove(field);
    }
}

fn hosts(api: &Value) -> String {
    let endpoints = api.get("endpoints").and_then(Value::as_array);
    let hosts = endpoints.into_iter().flatten().map(|endpoint| {
        let text = |field| endpoint.get(field).and_then(Value::as_str);
        let (host, environment) = (text("host"), text("environment"));
        format!("{} ({})", host.unwrap_or("?"), environment.unwrap_or("?"))
    });
    hosts.collect::<Vec<_>>().join(", ")
}

fn routes(api: &Value) -> String {
    let routes = api.get("routes").and_then(Value::as_array);
    routes.map_or(0, Vec::len).to_string()
}
