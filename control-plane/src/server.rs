//! Puts the server together, runs it, and stops it in order.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::bootstrap;
use crate::clock::Clock;
use crate::config::ServeConfig;
use crate::http::finish::Finish;
use crate::leaks::github;
use crate::routes;
use crate::state::AppState;
use crate::store::Store;
use crate::sync::{self, Pushers};

/// How long requests under way may take to end when the server stops.
const GRACE: Duration = Duration::from_secs(10);

/// A server that listens already.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    store: Store,
    pushers: Pushers,
}

impl Server {
    /// Opens the database, brings it up to date, starts delivery to the edges and listens.
    ///
    /// # Errors
    /// One sentence on what can't be opened.
    pub async fn bind(config: ServeConfig, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("can't listen on {}", config.listen))?;
        let address = listener.local_addr()?;
        let store = Store::open(&config.database_url).await?;
        store.migrate().await?;
        let (propagation, pushers) = sync::start(&store, &clock, &config.sync).await?;
        if let Some(token) = &config.admin_token {
            bootstrap::ensure_token(&store, token, clock.now()).await?;
        }
        if config.sync.targets.is_empty() {
            tracing::warn!("no edge is configured: nothing is guarded yet");
        }
        let finish = Finish {
            behind_tls: config.behind_proxy,
        };
        let state = AppState::new(
            store.clone(),
            clock,
            config.tag_secret,
            config.push_secret,
            propagation,
            github::Keys::at(config.github_keys_url)?,
        );
        Ok(Self {
            listener,
            address,
            router: routes::router(state, finish),
            store,
            pushers,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` ends; then finishes the requests under way, within bounds, and stops delivery.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = async {
            axum::serve(self.listener, self.router)
                .with_graceful_shutdown(async {
                    // An error means that the sender is gone, which is a reason to stop as well.
                    let _ = stopped.await;
                })
                .await
        };
        tokio::pin!(serving);
        tracing::info!(address = %self.address, "listening");
        let result = tokio::select! {
            result = &mut serving => result,
            () = shutdown => {
                tracing::info!("stopping");
                let _ = stop.send(());
                // The pushers go on meanwhile: requests under way wait for them.
                timeout(GRACE, &mut serving).await.unwrap_or_else(|_| {
                    tracing::warn!("some requests were cut off");
                    Ok(())
                })
            }
        };
        self.pushers.stop().await;
        self.store.close().await;
        result.context("the server failed")
    }
}
