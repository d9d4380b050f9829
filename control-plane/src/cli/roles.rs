//! `keyward roles`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Run;
use super::accounts;
use super::connection::Session;
use super::failure::Failure;
use super::find::{Care, find};
use super::resource::{self, Paging, Resource, Which, put, without_empty};
use super::table::Column;
use crate::rights::Rights;

const ROLES: Resource = Resource {
    path: "roles",
    noun: "role",
    field: "role",
    id_prefix: "role_",
    id_length: 21,
    search: None,
    columns: &[
        Column::id("ID", "/id"),
        Column::text("NAME", "/name"),
        Column::text("MANAGEMENT", "/managementPermissions"),
        Column::text("API", "/apiPermissions"),
        Column::text("DESCRIPTION", "/description").if_wide(),
        Column::id("ACCOUNT", "/accountId").if_wide(),
    ],
};

/// What can be done with roles.
#[derive(Debug, Subcommand)]
pub enum Roles {
    /// List them.
    List(List),
    /// Show one.
    Show(Which),
    /// Make one.
    Create(Create),
    /// Change what is given of one.
    Update(Update),
    /// Delete one that nobody has any more.
    Delete(Which),
}

/// Options of `list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only those that members of this account may have.
    #[arg(long)]
    account: Option<String>,
    #[command(flatten)]
    paging: Paging,
}

/// What a role may do.
#[derive(Debug, Args)]
pub struct Rules {
    /// For people.
    #[arg(long)]
    description: Option<String>,
    /// What it may do here: keys.read, keys.*, *. Several times, or with commas; an empty text for none.
    #[arg(long = "permission", value_name = "PERMISSION", value_delimiter = ',')]
    management: Option<Vec<String>>,
    /// What keys of its members may do at APIs.
    #[arg(
        long = "api-permission",
        value_name = "PERMISSION",
        value_delimiter = ','
    )]
    api: Option<Vec<String>>,
}

/// Options of `create`.
#[derive(Debug, Args)]
pub struct Create {
    /// What it is called.
    name: String,
    /// The account whose members may have it; by default that of the admin token.
    #[arg(long)]
    account: Option<String>,
    #[command(flatten)]
    rules: Rules,
}

/// Options of `update`.
#[derive(Debug, Args)]
pub struct Update {
    #[command(flatten)]
    which: Which,
    /// What it is called.
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    rules: Rules,
}

impl Run for Roles {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List(list) => {
                let account = list.account.as_deref();
                let account = accounts::id_of(session, account, Care::Reading).await?;
                let query = resource::given([("account", account)]);
                resource::list(session, &ROLES, query, list.paging).await
            }
            Self::Show(which) => resource::show(session, &ROLES, &which).await,
            Self::Create(create) => {
                // Both lists are needed; what is not given may do nothing.
                let mut body = json!({"managementPermissions": [], "apiPermissions": []});
                create.rules.add_to(&mut body);
                put(&mut body, "name", Some(create.name));
                let account = create.account.as_deref();
                let account = accounts::id_of(session, account, Care::Changing).await?;
                put(&mut body, "accountId", account);
                resource::create(session, &ROLES, &body).await
            }
            Self::Update(update) => {
                let mut body = resource::empty();
                update.rules.add_to(&mut body);
                put(&mut body, "name", update.name);
                resource::update(session, &ROLES, &update.which, &body).await
            }
            Self::Delete(which) => resource::delete(session, &ROLES, &which).await,
        }
    }
}

impl Rules {
    fn add_to(self, body: &mut Value) {
        put(body, "description", self.description);
        let lists = [
            ("managementPermissions", self.management),
            ("apiPermissions", self.api),
        ];
        for (field, list) in lists {
            put(body, field, list.map(without_empty));
        }
    }
}

/// The id of a role that a flag names, if it is given. Built-in ones are not looked up: who may not read roles can give them.
///
/// # Errors
/// When it can't be found, or is not the only one.
pub async fn id_of(
    session: &Session,
    role: Option<&str>,
    care: Care,
) -> Result<Option<String>, Failure> {
    match role {
        Some(name) if Rights::built_in(name).is_some() => Ok(Some(name.to_owned())),
        Some(text) => find(session, &ROLES, text, care).await.map(Some),
        None => Ok(None),
    }
}
