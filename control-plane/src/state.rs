//! What handlers share.

use std::sync::Arc;

use shared::Millis;
use shared::secret::Secret;

use crate::clock::Clock;
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

    /// Tells the time.
    pub fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// Delivery to the edges.
    pub fn propagation(&self) -> &Propagation {
        &self.0.propagation
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

    /// Begins a change of what the edges know.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn change(&self) -> sqlx::Result<Change> {
        Change::begin(self.store(), self.now()).await
    }

    /// Commits a change and waits, within bounds, until every edge has it: whether that is so.
    ///
    /// # Errors
    /// When the commit fails. The change is then not made.
    pub async fn commit(&self, change: Change) -> sqlx::Result<bool> {
        let committed = change.commit().await?;
        Ok(self.0.propagation.settle(committed).await)
    }
}
