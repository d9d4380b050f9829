//! The beginning: a root account and a first admin token.

use anyhow::{Context, bail};
use serde::Serialize;
use shared::Millis;

use crate::admin_token::AdminToken;
use crate::audit::{Act, Audited, Caller, Target};
use crate::entropy;
use crate::rights;
use crate::routes::accounts::AccountView;
use crate::store::accounts::{self, Account};
use crate::store::admin_tokens::TokenRow;
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
    name: String,
}

impl NewAdminToken {
    fn of(row: &TokenRow) -> Self {
        Self {
            id: row.id.clone(),
            account_id: row.account_id.clone(),
            name: row.name.clone(),
        }
    }
}

impl Audited for NewAdminToken {
    fn target(&self) -> Target {
        Target {
            kind: "token",
            id: self.id.clone(),
            name: self.name.clone(),
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
    let row = owner_token(root, "bootstrap", now)?;
    admin_tokens::insert(change.conn(), &token, &row).await?;
    let _ = change
        .commit(Act::create(&NewAdminToken::of(&row))?)
        .await?;
    Ok(token)
}

/// Sees to it that `token` is an admin token of the root account.
///
/// # Errors
/// When the database can't be written.
pub async fn ensure_token(store: &Store, token: &AdminToken, now: Millis) -> anyhow::Result<()> {
    let mut change = Change::begin(store, now, Caller::system()).await?;
    let root = ensure_root(&mut change).await?;
    let row = owner_token(root, "environment", now)?;
    if admin_tokens::insert(change.conn(), token, &row).await? {
        let _ = change
            .commit(Act::create(&NewAdminToken::of(&row))?)
            .await?;
        tracing::info!(
            account = row.account_id,
            "the configured admin token was added"
        );
    } else if admin_tokens::is_revoked(change.conn(), token).await? {
        tracing::warn!("the configured admin token was revoked and is worth nothing");
    }
    Ok(())
}

/// A token that no admin makes: it acts as an owner of its account, and does not end.
///
/// # Errors
/// When the system has no randomness.
pub fn owner_token(account_id: String, name: &str, now: Millis) -> anyhow::Result<TokenRow> {
    Ok(TokenRow {
        id: shared::id::admin_token(&*entropy::draw()?),
        account_id,
        name: name.to_owned(),
        member_id: None,
        role: rights::OWNER.to_owned(),
        scope: None,
        created_by: None,
        created_at: now,
        last_used_at: None,
        expires_at: None,
    })
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
