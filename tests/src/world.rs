//! Everything together, with something to guard.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::answer::Answer;
use crate::call::Call;
use crate::control_plane::{Admin, ControlPlane, NewKey};
use crate::edge::{Edge, EdgeOptions};
use crate::eventually::{PATIENCE, eventually};
use crate::load::Load;
use crate::parts::Parts;
use crate::secrets::Secrets;
use crate::upstream::Upstream;

/// The demo API's host for production.
pub const API_HOST: &str = "api.example.test";
/// The demo API's host for staging.
pub const STAGING_HOST: &str = "staging.example.test";
/// Lines of each log that a failed test shows.
const LOG_LINES: usize = 40;

static ONE_AT_A_TIME: std::sync::LazyLock<Arc<Mutex<()>>> = std::sync::LazyLock::new(Arc::default);

/// How a world is set up.
#[derive(Debug, Clone, Default)]
pub struct WorldOptions {
    /// The edge.
    pub edge: EdgeOptions,
    /// How long admin calls wait for the edge; 25 s by default, almost as long as the server lets any call take.
    pub propagation_wait: Option<Duration>,
    /// Where the edge posts usage instead of to the control plane: a base URL.
    pub usage_to: Option<String>,
}

/// The real edge and control plane, an upstream, and a demo account and API.
///
/// The demo API has the hosts [`API_HOST`] and [`STAGING_HOST`] and the routes
/// - `GET /v1/customers` and `GET /v1/customers/{customer}` (a resource of kind `customer`): `customers.read`;
/// - `POST /v1/customers`: `customers.write`;
/// - `GET /v1/accounts/{account}/agents` (names the account): `agents.read`;
/// - `POST /v1/reports`: any key, 5 units;
///
/// and lets every other route pass with any valid key, at 1 unit. Browsers may call it from `https://app.example.test`.
#[derive(Debug)]
pub struct World {
    /// Gates, guards and KV.
    pub edge: Edge,
    /// The `keyward` server.
    pub control_plane: ControlPlane,
    /// What is guarded.
    pub upstream: Upstream,
    /// The admin API, as the first admin.
    pub admin: Admin,
    /// The demo account's id.
    pub account: String,
    /// The demo API's id.
    pub api: String,
    /// This world's secrets.
    pub secrets: Secrets,
    /// For requests of the test's own: no proxy, no redirects, as many connections as are needed.
    pub client: Client,
    folder: TempDir,
    // Last, so that the next world starts when this one's processes are gone.
    _turn: OwnedMutexGuard<()>,
}

impl World {
    /// Starts everything and makes the demo account and API. Waits for its turn: worlds of one process live one
    /// after the other, so a test must not hold two. Use [`crate::world!`].
    ///
    /// # Panics
    /// When a part does not start.
    pub async fn start(parts: &Parts, options: WorldOptions) -> Self {
        let turn = Arc::clone(&ONE_AT_A_TIME).lock_owned().await;
        let folder = tempfile::tempdir().expect("a folder can be made");
        let secrets = Secrets::draw();
        let client = client();
        let upstream = Upstream::start().await;
        let mut control_plane = ControlPlane::new(parts, folder.path(), &secrets, &client);
        if let Some(wait) = options.propagation_wait {
            control_plane = control_plane.with_propagation_wait(wait);
        }
        let usage_to = options.usage_to.unwrap_or_else(|| control_plane.url());
        let edge_folder = folder.path().join("edge");
        std::fs::create_dir(&edge_folder).expect("a folder can be made");
        let edge = Edge::start(
            parts,
            &edge_folder,
            options.edge,
            &secrets,
            &usage_to,
            &client,
        )
        .await;
        control_plane.set_edges(vec![edge.url()]);
        control_plane.restart().await;
        let admin = control_plane.admin();
        let (account, api) = demo(&admin, &upstream.url()).await;
        Self {
            edge,
            admin,
            control_plane,
            upstream,
            account,
            api,
            secrets,
            client,
            folder,
            _turn: turn,
        }
    }

    /// Makes a key of the demo account: an [`open_key`] with `settings` over it.
    ///
    /// # Panics
    /// When it can't be made.
    pub async fn key(&self, settings: Value) -> NewKey {
        let body = open_key(&self.account, settings);
        self.admin.create_key(&body).await.expect("a key is made")
    }

    /// Waits until the edge has all that was changed so far, for worlds in which calls don't wait for it.
    ///
    /// # Panics
    /// When it has not in time.
    pub async fn settle(&self) {
        eventually("everything is delivered", PATIENCE, || async {
            (self.control_plane.undelivered().await == 0).then_some(())
        })
        .await;
    }

    /// Sends a request to the first gate.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(&self, call: &Call) -> Answer {
        self.send_to(0, call).await
    }

    /// Sends a request to a gate.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send_to(&self, gate: usize, call: &Call) -> Answer {
        let answer = self.try_send_to(gate, call).await;
        answer.expect("the edge answers")
    }

    /// Sends a request to a gate that may be down.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn try_send_to(&self, gate: usize, call: &Call) -> reqwest::Result<Answer> {
        let request = call.request(&self.client, &self.edge.gate(gate));
        Answer::read(request.send().await?).await
    }

    /// A load on every gate, by turns.
    pub fn load(&self, call: &Call) -> Load {
        let gates = (0..self.edge.gates()).map(|gate| self.edge.gate(gate));
        Load::new(&self.client, gates.collect(), call)
    }

    /// The folder that holds all that was written: databases, storage, logs.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show("edge", &self.edge.log());
            show("control plane", &self.control_plane.log());
        }
    }
}

fn show(name: &str, log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    let last = lines.get(lines.len().saturating_sub(LOG_LINES)..);
    eprintln!("--- the end of the log of the {name}:");
    for line in last.unwrap_or_default() {
        eprintln!("{line}");
    }
}

fn client() -> Client {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(1_024)
        // A call may wait for the edge as long.
        .timeout(2 * PATIENCE)
        .build()
        .expect("a client can be made")
}

/// The settings of a key that may do everything as often as it likes, with `settings` over them. Limits that are
/// not given are out of reach.
pub fn open_key(account: &str, settings: Value) -> Value {
    let mut body = json!({
        "name": "test",
        "accountId": account,
        "permissions": ["*"],
        "rateLimits": {"requestsPerMinute": 1_000_000_000},
    });
    if let (Value::Object(body), Value::Object(settings)) = (&mut body, settings) {
        body.extend(settings);
    }
    body
}

async fn demo(admin: &Admin, upstream: &str) -> (String, String) {
    let account = admin.create_account(&json!({"name": "Demo"})).await;
    let account = account.expect("an account is made");
    let api = admin
        .create_api(&json!({
            "name": "Demo API",
            "accountId": account,
            "endpoints": [
                {"host": API_HOST, "environment": "production"},
                {"host": STAGING_HOST, "environment": "staging"},
            ],
            "upstream": upstream,
            "unlisted": "open",
            "routes": [
                {"method": "GET", "path": "/v1/customers", "permission": "customers.read"},
                {"method": "POST", "path": "/v1/customers", "permission": "customers.write"},
                {"method": "GET", "path": "/v1/customers/{customer}", "permission": "customers.read",
                 "resource": {"kind": "customer", "param": "customer"}},
                {"method": "GET", "path": "/v1/accounts/{account}/agents", "permission": "agents.read",
                 "accountParam": "account"},
                {"method": "POST", "path": "/v1/reports", "cost": 5},
            ],
            "cors": {"allowedOrigins": ["https://app.example.test"], "maxAgeSeconds": 600},
        }))
        .await;
    (account, api.expect("an API is made"))
}
