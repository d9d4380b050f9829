//! Puts the server together, runs it, and stops it in order.

use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::bootstrap;
use crate::clock::Clock;
use crate::config::{NetworkConfig, ServeConfig};
use crate::http::client_address::Proxies;
use crate::http::finish::Finish;
use crate::idempotency::UnderWay;
use crate::leaks::github;
use crate::listener::{self, Limits};
use crate::login_limit::LoginLimit;
use crate::metrics::Metrics;
use crate::outbound::Outbound;
use crate::routes;
use crate::state::{AppState, MetricsAccess, Parts};
use crate::store::{Store, idempotency};
use crate::sync::{self, Pushers};

/// Scrapers and those who look over their shoulders.
const METRICS_CONNECTIONS: NonZeroU32 = NonZeroU32::new(64).unwrap();

/// A server that listens already.
#[derive(Debug)]
pub struct Server {
    api: Door,
    metrics: Option<Door>,
    limits: Limits,
    drain: Duration,
    stopping: Arc<AtomicBool>,
    store: Store,
    pushers: Pushers,
}

/// An address that is listened on, and what is behind it.
#[derive(Debug)]
struct Door {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    max_connections: NonZeroU32,
}

impl Server {
    /// Opens the database, brings it up to date, starts delivery to the edges and listens.
    ///
    /// # Errors
    /// One sentence on what can't be opened.
    pub async fn bind(config: ServeConfig, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let network = &config.network;
        let listener = listen(network.listen).await?;
        let metrics_listener = match network.metrics_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let store = Store::open(&config.database_url).await?;
        store.migrate().await?;
        let mut tx = store.write().await?;
        idempotency::prune(&mut tx, clock.now()).await?;
        tx.commit().await?;
        let metrics = Metrics::new(clock.now());
        let (propagation, pushers) = sync::start(&store, &clock, &config.sync, &metrics).await?;
        if let Some(token) = &config.admin_token {
            bootstrap::ensure_token(&store, token, clock.now()).await?;
        }
        if config.sync.targets.is_empty() {
            tracing::warn!("no edge is configured: nothing is guarded yet");
        }
        let stopping = Arc::<AtomicBool>::default();
        let state = AppState::new(Parts {
            store: store.clone(),
            tag_secret: config.tag_secret,
            push_secret: config.push_secret,
            propagation,
            metrics,
            login_limit: LoginLimit::new(config.failed_logins_per_minute, Arc::clone(&clock)),
            outbound: Outbound::new(network.allow_private_destinations)?,
            github_keys: github::Keys::at(config.github_keys_url)?,
            metrics_access: access(network),
            stopping: Arc::clone(&stopping),
            under_way: UnderWay::default(),
            clock,
        });
        let finish = Finish {
            behind_tls: network.proxies != Proxies::None,
        };
        let router = routes::router(state.clone(), network.proxies, finish);
        let metrics = metrics_listener.map(|listener| {
            Door::new(listener, routes::metrics_router(state), METRICS_CONNECTIONS)
        });
        Ok(Self {
            api: Door::new(listener, router, network.max_connections)?,
            metrics: metrics.transpose()?,
            limits: Limits::default(),
            drain: network.drain,
            stopping,
            store,
            pushers,
        })
    }

    /// Waits for peers as long as this instead of the usual.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.api.address
    }

    /// Where the metrics are, if they have an address of their own.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|door| door.address)
    }

    /// Serves until `shutdown` ends. Then `/readyz` says so for a while, the port closes, the requests under way are
    /// finished, within bounds, and delivery stops.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(false);
        tracing::info!(address = %self.api.address, "listening");
        let limits = self.limits;
        let api = self.api.serve(limits, stopped.clone());
        let metrics = async {
            if let Some(door) = self.metrics {
                tracing::info!(address = %door.address, "metrics are served");
                door.serve(limits, stopped).await;
            }
        };
        let end = async {
            shutdown.await;
            tracing::info!("stopping");
            self.stopping.store(true, Ordering::Relaxed);
            sleep(self.drain).await;
            stop.send_replace(true);
        };
        // The pushers go on meanwhile: requests under way wait for them.
        tokio::join!(api, metrics, end);
        self.pushers.stop().await;
        self.store.close().await;
    }
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("can't listen on {address}"))
}

/// Without a proxy the address is one of this machine alone, whose users may look.
fn access(network: &NetworkConfig) -> MetricsAccess {
    match (network.metrics_listen, network.proxies) {
        (Some(_), _) => MetricsAccess::Nobody,
        (None, Proxies::None) => MetricsAccess::Everybody,
        (None, Proxies::Trusted { .. }) => MetricsAccess::Root,
    }
}

impl Door {
    fn new(
        listener: TcpListener,
        router: Router,
        max_connections: NonZeroU32,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            router,
            max_connections,
        })
    }

    async fn serve(self, limits: Limits, stopped: watch::Receiver<bool>) {
        listener::serve(
            self.listener,
            self.router,
            limits,
            self.max_connections,
            stopped,
        )
        .await;
    }
}
