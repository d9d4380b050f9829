//! `keyward members`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Run;
use super::accounts::id_of;
use super::connection::Session;
use super::failure::Failure;
use super::find::Care;
use super::output::note;
use super::resource::{self, Ending, Paging, Resource, Which, put};
use super::roles;
use super::table::Column;

/// Members, as other commands refer to them.
pub const MEMBERS: Resource = Resource {
    path: "members",
    noun: "member",
    field: "member",
    id_prefix: "mem_",
    id_length: 24,
    search: Some("q"),
    columns: &[
        Column::id("ID", "/id"),
        Column::text("NAME", "/name"),
        Column::text("E-MAIL", "/email"),
        Column::text("ROLE", "/role"),
        Column::status("STATUS", "/status"),
        Column::id("ACCOUNT", "/accountId").if_wide(),
    ],
};

const REMOVAL: Ending = Ending {
    verb: "Remove",
    why: "Their admin tokens end, and the keys that they own are refused until they have another owner.",
    done: "removed",
};

/// What can be done with members.
#[derive(Debug, Subcommand)]
pub enum Members {
    /// List them.
    List(List),
    /// Show one.
    Show(Which),
    /// Invite somebody. The invitation goes to standard output, alone.
    Invite(Invite),
    /// Invite somebody anew who has not accepted yet. The invitation goes to standard output, alone.
    Renew(Which),
    /// Change what is given of one.
    Update(Update),
    /// Remove one.
    Remove(Which),
}

/// Options of `list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only those of this account.
    #[arg(long)]
    account: Option<String>,
    /// Only those with this role.
    #[arg(long)]
    role: Option<String>,
    /// Only those with this text in name, e-mail address or id.
    #[arg(long, short, value_name = "TEXT")]
    query: Option<String>,
    #[command(flatten)]
    paging: Paging,
}

/// Options of `invite`.
#[derive(Debug, Args)]
pub struct Invite {
    /// Their e-mail address.
    email: String,
    /// What they are called.
    #[arg(long)]
    name: String,
    /// What they may do: owner, admin, developer, viewer, or a role of the account's own.
    #[arg(long)]
    role: String,
    /// The account; by default that of the admin token.
    #[arg(long)]
    account: Option<String>,
}

/// Options of `update`.
#[derive(Debug, Args)]
pub struct Update {
    #[command(flatten)]
    which: Which,
    /// What they are called.
    #[arg(long)]
    name: Option<String>,
    /// What they may do.
    #[arg(long)]
    role: Option<String>,
}

impl Run for Members {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List(list) => {
                let account = id_of(session, list.account.as_deref(), Care::Reading).await?;
                let role = roles::id_of(session, list.role.as_deref(), Care::Reading).await?;
                let filters = [("account", account), ("role", role), ("q", list.query)];
                resource::list(session, &MEMBERS, resource::given(filters), list.paging).await
            }
            Self::Show(which) => resource::show(session, &MEMBERS, &which).await,
            Self::Invite(invite) => invite.run(session).await,
            Self::Renew(which) => {
                let id = which.to_change(session, &MEMBERS).await?;
                resource::act(session, &MEMBERS, &id, "invitation", &resource::empty()).await
            }
            Self::Update(update) => {
                let mut body = resource::empty();
                put(&mut body, "name", update.name);
                let role = roles::id_of(session, update.role.as_deref(), Care::Changing).await?;
                put(&mut body, "role", role);
                resource::update(session, &MEMBERS, &update.which, &body).await
            }
            Self::Remove(which) => {
                let answer = resource::end(session, &MEMBERS, &which, &REMOVAL).await?;
                let keys = answer.get("refusedKeys").and_then(Value::as_u64);
                if let (Some(keys @ 1..), false) = (keys, session.output.is_json()) {
                    note(&format!("Keys that are refused now: {keys}."));
                }
                Ok(())
            }
        }
    }
}

impl Invite {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut body = json!({"email": self.email, "name": self.name});
        let account = id_of(session, self.account.as_deref(), Care::Changing).await?;
        put(&mut body, "accountId", account);
        let role = roles::id_of(session, Some(&self.role), Care::Changing).await?;
        put(&mut body, "role", role);
        resource::create(session, &MEMBERS, &body).await
    }
}
