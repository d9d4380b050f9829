//! The beginning: a root account and a first admin token.

use anyhow::{Context, bail};
use serde::Serialize;
use shared::Millis;

use crate::admin_token::AdminToken;
use crate::audit::{Act, Audited, Caller, Target};
use crate::entropy;
use crate::routes::accounts::AccountView;
use crate::store::accounts::{self, Account};
use crate::store::{Change, Conn, Store, admin_tokens};

const ROOT_NAME: &str = "Root";
/// What tokens begin with unless an account says otherwise.
const DEFAULT_PREFIX: &str = "kw";
/// Fresh ids are tried this often; a collision is as good as impossible, and two in a row are a fault.
const ID_ATTEMPTS: usize = 4;

/// What the audit log says of an admin token made here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NewAdminToken {
    id: String,
    account_id: String,
    name: &'static str,
}

impl NewAdminToken {
    fn of(token: &AdminToken, account: &str, name: &'static str) -> Self {
        Self {
            id: token.id(),
            account_id: account.to_owned(),
            name,
        }
    }
}

impl Audited for NewAdminToken {
    fn target(&self) -> Target {
        Target {
            kind: "token",
            id: self.id.clone(),
            name: self.name.to_owned(),
            account: self.account_id.clone(),
        }
    }
}

/// Makes a fresh admin token of the root account, and the account if there is none.
///
/// # Errors
/// When there is an admin token already, unless `force` is set; when the database can't be written.
pub async fn first_token(store: &Store, force: bool, now: Millis) -> anyhow::Result<AdminToken> {
    let mut change = Change::begin(store, now, Caller::system()).await?;
    if !force && admin_tokens::count(change.conn()).await? > 0 {
        bail!("there is an admin token already; --force makes another one");
    }
    let token = AdminToken::mint()?;
    let root = ensure_root(&mut change).await?;
    let made = NewAdminToken::of(&token, &root, "bootstrap");
    admin_tokens::insert(change.conn(), &token, &root, made.name, now).await?;
    let _ = change.commit(Act::create(&made)?).await?;
    Ok(token)
}

/// Sees to it that `token` is an admin token of the root account.
///
/// # Errors
/// When the database can't be written.
pub async fn ensure_token(store: &Store, token: &AdminToken, now: Millis) -> anyhow::Result<()> {
    let mut change = Change::begin(store, now, Caller::system()).await?;
    let root = ensure_root(&mut change).await?;
    let made = NewAdminToken::of(token, &root, "environment");
    if admin_tokens::insert(change.conn(), token, &root, made.name, now).await? {
        let _ = change.commit(Act::create(&made)?).await?;
        tracing::info!(account = root, "the configured admin token was added");
    }
    Ok(())
}

async fn ensure_root(change: &mut Change) -> anyhow::Result<String> {
    if let Some(root) = accounts::root(change.conn()).await? {
        return Ok(root.id);
    }
    let now = change.now();
    let root = Account {
        id: fresh_account_id(change.conn()).await?,
        parent_id: None,
        name: ROOT_NAME.to_owned(),
        token_prefix: DEFAULT_PREFIX.to_owned(),
        version: change.next_version(),
        created_at: now,
        updated_at: now,
        deleted: false,
    };
    accounts::insert(change.conn(), &root).await?;
    change.publish_account(&root).await?;
    let id = root.id.clone();
    change.note(Act::create(&AccountView::whole(root))?).await?;
    Ok(id)
}

/// An id that no account has or had.
///
/// # Errors
/// When the database can't be read, or none was found.
pub async fn fresh_account_id(conn: &mut Conn) -> anyhow::Result<String> {
    for _ in 0..ID_ATTEMPTS {
        let id = shared::id::account(&*entropy::draw()?);
        if !accounts::exists(conn, &id).await? {
            return Ok(id);
        }
    }
    None.context("no free account id was found")
}
