//! A change of what the edges know: rows, versions and the records for the edges, in one transaction.

use shared::Millis;
use shared::record::Record;

use crate::store::accounts::{self, Account};
use crate::store::apis::Api;
use crate::store::keys::{self, Key};
use crate::store::{Conn, Store, Tx, outbox};

/// A transaction under way. Dropped without [`Change::commit`], it changes nothing.
#[derive(Debug)]
pub struct Change {
    tx: Tx,
    now: Millis,
    seq: u64,
}

/// The sequence number of a committed change: an edge that has come so far has all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub struct Committed(pub u64);

impl Change {
    /// Begins. Changes happen one after the other, so what is read through [`Change::conn`] holds until the commit.
    ///
    /// # Errors
    /// When the turn does not come in time.
    pub async fn begin(store: &Store, now: Millis) -> sqlx::Result<Self> {
        Ok(Self {
            tx: store.write().await?,
            now,
            seq: 0,
        })
    }

    /// The connection, for reading and writing rows.
    pub fn conn(&mut self) -> &mut Conn {
        &mut self.tx
    }

    /// When the change is made.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// Puts an account, as it is now, on its way to every edge.
    ///
    /// # Errors
    /// When rows can't be read or written.
    pub async fn publish_account(&mut self, account: &Account) -> sqlx::Result<()> {
        let ancestors = accounts::ancestors(&mut self.tx, &account.id).await?;
        self.publish(&Record::Account(account.record(ancestors)))
            .await
    }

    /// Puts an API, as it is now, on its way to every edge.
    ///
    /// # Errors
    /// When rows can't be read or written.
    pub async fn publish_api(&mut self, api: &Api) -> sqlx::Result<()> {
        let ancestors = accounts::ancestors(&mut self.tx, &api.account_id).await?;
        self.publish(&Record::Api(api.record(ancestors))).await
    }

    /// Puts a key, with its tokens' hashes as they are now, on its way to every edge.
    ///
    /// # Errors
    /// When rows can't be read or written.
    pub async fn publish_key(&mut self, key: &Key) -> sqlx::Result<()> {
        let ancestors = accounts::ancestors(&mut self.tx, &key.account_id).await?;
        let credentials = keys::credentials(&mut self.tx, &key.id).await?;
        self.publish(&Record::Key(key.record(ancestors, credentials)))
            .await
    }

    async fn publish(&mut self, record: &Record) -> sqlx::Result<()> {
        self.seq = outbox::append(&mut self.tx, record, self.now).await?;
        Ok(())
    }

    /// Makes the change durable, its records with it.
    ///
    /// # Errors
    /// When the commit fails: nothing is changed then.
    pub async fn commit(self) -> sqlx::Result<Committed> {
        self.tx.commit().await?;
        Ok(Committed(self.seq))
    }
}
