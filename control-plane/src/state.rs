//! What handlers share.

use std::sync::Arc;

use shared::Millis;
use shared::secret::Secret;
use zeroize::Zeroizing;

use crate::audit::{Act, Caller};
use crate::auth::Admin;
use crate::clock::Clock;
use crate::error::ApiError;
use crate::http::body::{Changed, Reply};
use crate::idempotency::UnderWay;
use crate::leaks::github;
use crate::store::{Change, Store};
use crate::sync::Propagation;

/// The server's state; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    tag_secret: Secret,
    push_secret: Secret,
    propagation: Propagation,
    under_way: UnderWay,
    github_keys: github::Keys,
}

impl AppState {
    /// Puts the parts together.
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        tag_secret: Secret,
        push_secret: Secret,
        propagation: Propagation,
        github_keys: github::Keys,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            clock,
            tag_secret,
            push_secret,
            propagation,
            under_way: UnderWay::default(),
            github_keys,
        }))
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Milliseconds since the Unix epoch.
    pub fn now(&self) -> Millis {
        self.0.clock.now()
    }

    /// Signs the tags of new tokens.
    pub fn tag_secret(&self) -> &Secret {
        &self.0.tag_secret
    }

    /// Signs what the edges send and get.
    pub fn push_secret(&self) -> &Secret {
        &self.0.push_secret
    }

    /// What GitHub signs its reports with.
    pub fn github_keys(&self) -> &github::Keys {
        &self.0.github_keys
    }

    /// The calls with an `Idempotency-Key` that are under way.
    pub fn under_way(&self) -> &UnderWay {
        &self.0.under_way
    }

    /// Begins a change that an admin wants.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn change(&self, admin: &Admin) -> sqlx::Result<Change> {
        self.change_by(admin.caller.clone()).await
    }

    /// Begins a change that somebody wants.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn change_by(&self, caller: Caller) -> sqlx::Result<Change> {
        Change::begin(self.store(), self.now(), caller).await
    }

    /// Commits a change and waits, within bounds, until every edge has it: whether that is so.
    ///
    /// # Errors
    /// When the commit fails. The change is then not made.
    pub async fn settle(&self, change: Change, act: Act) -> anyhow::Result<bool> {
        let committed = change.commit(act).await?;
        Ok(self.0.propagation.settle(committed).await)
    }

    /// Commits a change, waits, within bounds, until every edge has it, and gives the answer, which tells whether that
    /// is so. With an `Idempotency-Key` the answer is kept in the change.
    ///
    /// # Errors
    /// When the commit fails. The change is then not made.
    pub async fn commit<T: Changed>(
        &self,
        mut change: Change,
        act: Act,
        reply: Reply<T>,
    ) -> Result<Reply<T>, ApiError> {
        let version = reply.body.version();
        let mut reply = reply.tagged(version);
        let ticket = change.caller().ticket.clone();
        if let Some(ticket) = &ticket {
            let body = Zeroizing::new(reply.bytes()?);
            ticket
                .keep(&mut change, reply.status, version, &body)
                .await?;
        }
        if self.settle(change, act).await? {
            reply.body.set_propagated(true);
            if let Some(ticket) = &ticket {
                let body = Zeroizing::new(reply.bytes()?);
                ticket.settle(self.store(), &body).await;
            }
        }
        Ok(reply)
    }
}
