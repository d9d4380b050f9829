//! The part of the tree of accounts that a list is of.

use crate::store::{Conn, query};

/// With more accounts than this below its holder, a list is read from the index of all keys.
const MOST: usize = 64;

/// One account, or many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The account with this id.
    Account(String),
    /// Every account at and below this one.
    Below(String),
}

impl Scope {
    /// The parts that a list of `holder`'s keys is put together of; of one account alone, if that is told.
    ///
    /// Each account has its keys in the order of the list, in every index. So those of some accounts are merged; of very
    /// many accounts that would cost more than passing over keys of others.
    ///
    /// # Errors
    /// When the rows can't be read.
    pub async fn of(
        conn: &mut Conn,
        holder: &str,
        account: Option<&str>,
    ) -> sqlx::Result<Vec<Self>> {
        let accounts: Vec<String> = query(
            "select account_id from account_tree where ancestor_id = $1
               and (cast($2 as text) is null or account_id = $2) order by account_id limit $3",
        )
        .bind(holder)
        .bind(account)
        .bind(MOST as i64 + 1)
        .fetch_all(conn)
        .await?;
        if accounts.len() > MOST {
            return Ok(vec![Self::Below(holder.to_owned())]);
        }
        Ok(accounts.into_iter().map(Self::Account).collect())
    }
}
