//! `keyward environments`.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Run;
use super::accounts;
use super::connection::Session;
use super::failure::Failure;
use super::find::Care;
use super::resource::{self, Paging, Resource, Which, put};
use super::table::Column;

const ENVIRONMENTS: Resource = Resource {
    path: "environments",
    noun: "environment",
    field: "environment",
    id_prefix: "env_",
    id_length: 20,
    search: None,
    columns: &[
        Column::id("ID", "/id"),
        Column::text("NAME", "/name"),
        Column::text("CODE", "/code"),
        Column::text("ROTATE AFTER DAYS", "/rotateAfterDays"),
        Column::id("ACCOUNT", "/accountId").if_wide(),
    ],
};

/// What can be done with environments.
#[derive(Debug, Subcommand)]
pub enum Environments {
    /// List those that keys and endpoints of an account may name.
    List(List),
    /// Show one.
    Show(Which),
    /// Define one, for an account and those below.
    Create(Create),
    /// Change after how long tokens are due to be replaced.
    Update(Update),
    /// Delete one that no key and no endpoint uses.
    Delete(Which),
}

/// Options of `list`.
#[derive(Debug, Args)]
pub struct List {
    /// Those of this account; by default that of the admin token.
    #[arg(long)]
    account: Option<String>,
    #[command(flatten)]
    paging: Paging,
}

/// Options of `create`.
#[derive(Debug, Args)]
pub struct Create {
    /// What it is called.
    name: String,
    /// Its short code, which stands in tokens; by default its name.
    #[arg(long)]
    code: Option<String>,
    /// The account that has it, with those below; by default that of the admin token.
    #[arg(long)]
    account: Option<String>,
    /// After how many days a token is due to be replaced; never by default.
    #[arg(long, value_name = "DAYS")]
    rotate_after_days: Option<u32>,
}

/// Options of `update`.
#[derive(Debug, Args)]
pub struct Update {
    #[command(flatten)]
    which: Which,
    /// After how many days a token is due to be replaced, or never.
    #[arg(long, value_name = "DAYS", value_parser = days)]
    rotate_after_days: Value,
}

/// A number of days, or `null` for never.
fn days(text: &str) -> Result<Value, String> {
    match text {
        "never" => Ok(Value::Null),
        text => match text.parse::<u32>() {
            Ok(days) => Ok(days.into()),
            Err(_) => Err("a number of days, or never".to_owned()),
        },
    }
}

impl Run for Environments {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List(list) => {
                let account = list.account.as_deref();
                let account = accounts::id_of(session, account, Care::Reading).await?;
                let query = resource::given([("account", account)]);
                resource::list(session, &ENVIRONMENTS, query, list.paging).await
            }
            Self::Show(which) => resource::show(session, &ENVIRONMENTS, &which).await,
            Self::Create(create) => {
                let mut body = resource::empty();
                put(&mut body, "name", Some(create.name));
                put(&mut body, "code", create.code);
                put(&mut body, "rotateAfterDays", create.rotate_after_days);
                let account = create.account.as_deref();
                let account = accounts::id_of(session, account, Care::Changing).await?;
                put(&mut body, "accountId", account);
                resource::create(session, &ENVIRONMENTS, &body).await
            }
            Self::Update(update) => {
                let mut body = resource::empty();
                put(&mut body, "rotateAfterDays", Some(update.rotate_after_days));
                resource::update(session, &ENVIRONMENTS, &update.which, &body).await
            }
            Self::Delete(which) => resource::delete(session, &ENVIRONMENTS, &which).await,
        }
    }
}
