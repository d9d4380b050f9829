//! What handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
use crate::login_limit::LoginLimit;
use crate::metrics::Metrics;
use crate::outbound::Outbound;
use crate::store::{Change, Store};
use crate::sync::Propagation;

/// The server's state; cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Parts>);

/// What the state is made of.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Signs the tags of new tokens.
    pub tag_secret: Secret,
    /// Signs what the edges send and get.
    pub push_secret: Secret,
    /// Delivery to the edges.
    pub propagation: Propagation,
    /// What operators watch.
    pub metrics: Metrics,
    /// Bounds failed authentications.
    pub login_limit: LoginLimit,
    /// Calls addresses that admins name.
    pub outbound: Outbound,
    /// What GitHub signs its reports with.
    pub github_keys: github::Keys,
    /// Who may look at the metrics where the API is served.
    pub metrics_access: MetricsAccess,
    /// Whether the server is about to stop.
    pub stopping: Arc<AtomicBool>,
    /// The calls with an `Idempotency-Key` that are under way.
    pub under_way: UnderWay,
}

/// Who may look at the metrics where the API is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Whoever reaches the address.
    Everybody,
    /// Admins of the root account.
    Root,
    /// Nobody: they have an address of their own.
    Nobody,
}

impl AppState {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
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

    /// What operators watch.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Bounds failed authentications.
    pub fn login_limit(&self) -> &LoginLimit {
        &self.0.login_limit
    }

    /// Calls addresses that admins name.
    pub fn outbound(&self) -> &Outbound {
        &self.0.outbound
    }

    /// What GitHub signs its reports with.
    pub fn github_keys(&self) -> &github::Keys {
        &self.0.github_keys
    }

    /// Who may look at the metrics where the API is served.
    pub fn metrics_access(&self) -> MetricsAccess {
        self.0.metrics_access
    }

    /// Whether the server is about to stop.
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    /// Whether changes are on their way to every edge.
    pub fn delivers(&self) -> bool {
        self.0.propagation.is_alive()
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
        self.0.propagation.announce(change.reach());
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
