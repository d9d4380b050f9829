//! A change of what the edges know: rows, versions and the records for the edges, in one transaction.

use shared::Millis;
use shared::record::{Credential, Record};

use crate::audit::{Act, Caller};
use crate::store::accounts::{self, Account};
use crate::store::apis::Api;
use crate::store::identities::Identity;
use crate::store::keys::{self, Fresh, Key};
use crate::store::members::Member;
use crate::store::outbox::{Lane, Marks};
use crate::store::roles::Role;
use crate::store::{Conn, Store, Tx, audit, from_db, outbox, query, signal, to_db};

/// A transaction under way. Dropped without [`Change::commit`], it changes nothing; and a commit needs an act, so nothing
/// is changed without an entry in the audit log.
///
/// Versions of all records come from one counter of the database, which only grows and never lags behind the clock.
/// So of any two records the one that was changed later has the higher version, also after a backup was restored; and
/// since a change holds the counter until it is committed, versions are in the order of commits.
#[derive(Debug)]
pub struct Change {
    tx: Tx,
    caller: Caller,
    now: Millis,
    /// The counter as the database has it.
    written: u64,
    /// The next version.
    next: u64,
    /// The versions of the last records that were put on their way; 0: none.
    seq: Marks,
}

/// The sequence numbers of a committed change: an edge that has come so far has all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Committed(pub Marks);

impl Change {
    /// Begins. Changes happen one after the other, so what is read through [`Change::conn`] holds until the commit.
    ///
    /// # Errors
    /// When the turn does not come in time.
    pub async fn begin(store: &Store, now: Millis, caller: Caller) -> sqlx::Result<Self> {
        let mut tx = store.write().await?;
        // The first statement: it waits here for a change that another process has under way.
        let counter: i64 = query(
            "update counters set value = case when value >= $1 then value + 1 else $1 end
             where name = 'outbox_seq' returning value",
        )
        .bind(to_db(now))
        .fetch_one(&mut tx)
        .await?;
        let counter = from_db(counter);
        Ok(Self {
            tx,
            caller,
            now,
            written: counter,
            next: counter,
            seq: Marks::default(),
        })
    }

    /// How far edges come that have what was published so far.
    pub fn reach(&self) -> Marks {
        self.seq
    }

    /// A version for a record: higher than any before.
    pub fn next_version(&mut self) -> u64 {
        let version = self.next;
        self.next += 1;
        version
    }

    /// Makes all versions to come higher than one that an edge has.
    pub fn rise_above(&mut self, version: u64) {
        self.next = self.next.max(version.saturating_add(1));
    }

    /// The connection, for reading and writing rows.
    pub fn conn(&mut self) -> &mut Conn {
        &mut self.tx
    }

    /// Who wants the change.
    pub fn caller(&self) -> &Caller {
        &self.caller
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

    /// Puts a member, as it is now, on its way to every edge: one record, however many keys the member owns.
    ///
    /// # Errors
    /// When rows can't be read or written.
    pub async fn publish_member(&mut self, member: &Member) -> sqlx::Result<()> {
        let ancestors = accounts::ancestors(&mut self.tx, &member.account_id).await?;
        self.publish(&Record::Member(member.record(ancestors)))
            .await
    }

    /// Puts a role, as it is now, on its way to every edge: one record, however many keys it bounds.
    ///
    /// # Errors
    /// When rows can't be read or written.
    pub async fn publish_role(&mut self, role: &Role) -> sqlx::Result<()> {
        let ancestors = accounts::ancestors(&mut self.tx, &role.account_id).await?;
        self.publish(&Record::Role(role.record(ancestors))).await
    }

    /// Puts an identity, as it is now, on its way to every edge: one record, however many keys share its limits.
    ///
    /// # Errors
    /// When rows can't be read or written.
    pub async fn publish_identity(&mut self, identity: &Identity) -> sqlx::Result<()> {
        let ancestors = accounts::ancestors(&mut self.tx, &identity.account_id).await?;
        self.publish(&Record::Identity(identity.record(ancestors)))
            .await
    }

    /// Adds keys with their hashes and puts them on their way: the one that an admin makes, or very many, which must not
    /// hold up anything else.
    ///
    /// # Errors
    /// When rows can't be read or written.
    pub async fn add_keys(&mut self, lane: Lane, fresh: &[Fresh]) -> sqlx::Result<()> {
        keys::insert(&mut self.tx, fresh).await?;
        let mut above: Option<(&str, Vec<String>)> = None;
        let mut records = Vec::with_capacity(fresh.len());
        for Fresh { key, hash, .. } in fresh {
            let account = key.account_id.as_str();
            let ancestors = match &above {
                Some((known, ancestors)) if *known == account => ancestors.clone(),
                _ => accounts::ancestors(&mut self.tx, account).await?,
            };
            let credential = Credential {
                hash: *hash,
                not_after: None,
            };
            above = Some((account, ancestors.clone()));
            records.push(Record::Key(key.record(ancestors, vec![credential])));
            self.seq.raise(lane, key.version);
        }
        outbox::append(&mut self.tx, lane, &records, self.now).await
    }

    /// Puts a record on its way to every edge. Its version must be of this change.
    ///
    /// # Errors
    /// When rows can't be written.
    pub async fn publish(&mut self, record: &Record) -> sqlx::Result<()> {
        self.publish_in(Lane::Urgent, record).await
    }

    /// As [`Change::publish`], in a lane.
    ///
    /// # Errors
    /// When rows can't be written.
    pub async fn publish_in(&mut self, lane: Lane, record: &Record) -> sqlx::Result<()> {
        self.seq.raise(lane, record.version());
        outbox::append(&mut self.tx, lane, std::slice::from_ref(record), self.now).await
    }

    /// Notes an act, beside the one that [`Change::commit`] is told of.
    ///
    /// # Errors
    /// When the entry can't be written: nothing may be committed then.
    pub async fn note(&mut self, act: Act) -> anyhow::Result<()> {
        audit::append(&mut self.tx, &self.caller, act, self.now).await
    }

    /// Makes the change durable, with its records and the entry of its act.
    ///
    /// # Errors
    /// When the commit fails: nothing is changed then.
    pub async fn commit(mut self, act: Act) -> anyhow::Result<Committed> {
        self.note(act).await?;
        let last = self.next.saturating_sub(1);
        if last > self.written {
            query("update counters set value = $1 where name = 'outbox_seq'")
                .bind(to_db(last))
                .execute(&mut self.tx)
                .await?;
        }
        if self.seq != Marks::default() {
            signal::committed(&mut self.tx).await?;
        }
        self.tx.commit().await?;
        Ok(Committed(self.seq))
    }
}
