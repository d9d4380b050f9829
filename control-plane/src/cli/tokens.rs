//! `keyward tokens`: admin tokens.

use clap::{Args, Subcommand};
use serde_json::json;

use super::Run;
use super::accounts::id_of;
use super::connection::Session;
use super::failure::Failure;
use super::find::{Care, find};
use super::members::MEMBERS;
use super::resource::{self, Ending, Paging, Resource, Which, put, put_end, without_empty};
use super::roles;
use super::table::Column;

const TOKENS: Resource = Resource {
    path: "admin-tokens",
    noun: "admin token",
    field: "adminToken",
    id_prefix: "tok_",
    id_length: 24,
    search: None,
    columns: &[
        Column::id("ID", "/id"),
        Column::text("NAME", "/name"),
        Column::text("ROLE", "/role"),
        Column::text("ONLY", "/permissions"),
        Column::time("EXPIRES", "/expiresAt"),
        Column::time("LAST USED", "/lastUsedAt"),
        Column::id("MEMBER", "/memberId").if_wide(),
        Column::id("ACCOUNT", "/accountId").if_wide(),
    ],
};

const REVOCATION: Ending = Ending {
    verb: "Revoke",
    why: "It is worth nothing from then on.",
    done: "revoked",
};

/// What can be done with admin tokens.
#[derive(Debug, Subcommand)]
pub enum Tokens {
    /// List them, the newest first.
    List(List),
    /// Show one.
    Show(Which),
    /// Make one, for a member or with a role of its own. It goes to standard output, alone.
    Create(Create),
    /// End one, for good.
    Revoke(Which),
}

/// Options of `list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only those of this account.
    #[arg(long)]
    account: Option<String>,
    /// Only those of this member.
    #[arg(long)]
    member: Option<String>,
    #[command(flatten)]
    paging: Paging,
}

/// Options of `create`.
#[derive(Debug, Args)]
pub struct Create {
    /// What it is called.
    name: String,
    /// For this member: it may do what their role says.
    #[arg(long, conflicts_with = "role", required_unless_present = "role")]
    member: Option<String>,
    /// For no member, with this role: owner, admin, developer, viewer, or one of the account's own.
    #[arg(long)]
    role: Option<String>,
    /// The account; by default the member's, or that of the admin token.
    #[arg(long)]
    account: Option<String>,
    /// Of what the role says, only this. Several times, or with commas.
    #[arg(long = "permission", value_name = "PERMISSION", value_delimiter = ',')]
    permissions: Option<Vec<String>>,
    /// When it ends: never, 30d, 90d, or a time as 2027-01-31T09:30:00Z.
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
}

impl Run for Tokens {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List(list) => {
                let account = id_of(session, list.account.as_deref(), Care::Reading).await?;
                let member = member(session, list.member.as_deref(), Care::Reading).await?;
                let query = resource::given([("account", account), ("member", member)]);
                resource::list(session, &TOKENS, query, list.paging).await
            }
            Self::Show(which) => resource::show(session, &TOKENS, &which).await,
            Self::Create(create) => create.run(session).await,
            Self::Revoke(which) => {
                let ended = resource::end(session, &TOKENS, &which, &REVOCATION);
                ended.await.map(drop)
            }
        }
    }
}

impl Create {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut body = json!({"name": self.name});
        let account = id_of(session, self.account.as_deref(), Care::Changing).await?;
        put(&mut body, "accountId", account);
        let member = member(session, self.member.as_deref(), Care::Changing).await?;
        put(&mut body, "memberId", member);
        let role = roles::id_of(session, self.role.as_deref(), Care::Changing).await?;
        put(&mut body, "role", role);
        put(
            &mut body,
            "permissions",
            self.permissions.map(without_empty),
        );
        put_end(&mut body, self.expires);
        resource::create(session, &TOKENS, &body).await
    }
}

async fn member(
    session: &Session,
    member: Option<&str>,
    care: Care,
) -> Result<Option<String>, Failure> {
    match member {
        Some(text) => find(session, &MEMBERS, text, care).await.map(Some),
        None => Ok(None),
    }
}
