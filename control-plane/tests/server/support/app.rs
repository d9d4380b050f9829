//! A server in this process, with a clock that the test moves.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use keyward::admin_token::AdminToken;
use keyward::bootstrap;
use keyward::clock::{Clock, ManualClock};
use keyward::config::{NetworkConfig, ServeConfig};
use keyward::http::client_address::Proxies;
use keyward::listener::Limits;
use keyward::server::Server;
use keyward::store::{Store, admin_tokens};
use keyward::sync::SyncConfig;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use shared::secret::Secret;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::wait::FOR_EDGES;
use super::{Answer, Database, PUSH_SECRET, START, TAG_SECRET};

/// How long a call waits for edges that are not there.
const HASTY: Duration = Duration::from_millis(100);

/// A running server and an admin of its root account.
pub struct App {
    pub clock: Arc<ManualClock>,
    pub database: Arc<Database>,
    pub admin: AdminToken,
    pub base: String,
    /// Where the metrics are, if they have an address of their own.
    pub metrics: Option<String>,
    http: Client,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    wait: Duration,
}

/// Nobody publishes keys there.
const NO_KEYS: &str = "http://127.0.0.1:1/keys";

impl App {
    /// A server without any edge.
    pub async fn start() -> Self {
        Self::with_edges(&[]).await
    }

    /// A server without any edge, which takes GitHub's keys from there.
    pub async fn with_github_keys(url: &str) -> Self {
        let left = Stopped::fresh(HASTY).await;
        let tune = |config: &mut ServeConfig| config.github_keys_url = url.parse().unwrap();
        Self::open(left, &[], Limits::default(), tune).await
    }

    /// A server with these edges and another configuration.
    pub async fn tuned(edges: &[String], tune: impl FnOnce(&mut ServeConfig)) -> Self {
        let left = Stopped::fresh(FOR_EDGES).await;
        Self::open(left, edges, Limits::default(), tune).await
    }

    /// A server that waits for peers as long as this.
    pub async fn with_limits(limits: Limits, tune: impl FnOnce(&mut ServeConfig)) -> Self {
        Self::open(Stopped::fresh(FOR_EDGES).await, &[], limits, tune).await
    }

    /// A server with these edges.
    pub async fn with_edges(edges: &[String]) -> Self {
        Self::fresh(edges, FOR_EDGES).await
    }

    /// A server that hardly waits for these edges, since they are not there.
    pub async fn with_absent_edges(edges: &[String]) -> Self {
        Self::fresh(edges, HASTY).await
    }

    /// A server with these edges on a database that is there already.
    pub async fn on(database: Database, edges: &[String]) -> Self {
        Stopped::on(database, FOR_EDGES).start(edges).await
    }

    async fn fresh(edges: &[String], wait: Duration) -> Self {
        Stopped::fresh(wait).await.start(edges).await
    }

    async fn open(
        left: Stopped,
        edges: &[String],
        limits: Limits,
        tune: impl FnOnce(&mut ServeConfig),
    ) -> Self {
        let Stopped {
            database,
            admin,
            now,
            wait,
        } = left;
        let clock = Arc::new(ManualClock::at(now));
        let secret = Secret::from_webhook(PUSH_SECRET).unwrap();
        let mut config = ServeConfig {
            database_url: database.url().to_owned(),
            tag_secret: Secret::from_text(TAG_SECRET).unwrap(),
            push_secret: secret.clone(),
            admin_token: Some(admin.clone()),
            sync: SyncConfig {
                targets: edges.to_vec(),
                secret,
                wait,
            },
            github_keys_url: NO_KEYS.parse().unwrap(),
            network: NetworkConfig {
                listen: "127.0.0.1:0".parse().unwrap(),
                proxies: Proxies::None,
                metrics_listen: None,
                max_connections: NonZeroU32::new(1024).unwrap(),
                drain: Duration::ZERO,
                allow_private_destinations: true,
            },
            failed_logins_per_minute: NonZeroU32::new(1000).unwrap(),
        };
        tune(&mut config);
        let server = Server::bind(config, clock.clone()).await.unwrap();
        let server = server.with_limits(limits);
        let metrics = server.metrics_address().map(|a| format!("http://{a}"));
        let base = format!("http://{}", server.address());
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            server.run(shutdown).await;
        });
        Self {
            clock,
            database,
            admin,
            base,
            metrics,
            http: Client::builder().no_proxy().build().unwrap(),
            stop: Some(stop),
            task,
            wait,
        }
    }

    /// Tells the server to stop, and does not wait.
    pub fn tell_to_stop(&mut self) {
        self.stop.take();
    }

    /// Stops the server in order.
    pub async fn stop(mut self) -> Stopped {
        self.tell_to_stop();
        self.task.await.unwrap();
        Stopped {
            database: self.database,
            admin: self.admin,
            now: self.clock.now(),
            wait: self.wait,
        }
    }

    /// Stops the server in order, and starts another on the same database.
    pub async fn restart(self, edges: &[String]) -> Self {
        self.stop().await.start(edges).await
    }

    /// Another server on the same database.
    pub async fn beside(&self, edges: &[String]) -> Self {
        let left = Stopped {
            database: Arc::clone(&self.database),
            admin: self.admin.clone(),
            now: self.clock.now(),
            wait: self.wait,
        };
        left.start(edges).await
    }

    /// The database, beside the server.
    pub async fn store(&self) -> Store {
        self.database.store().await
    }

    /// A request without any credential.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// A request of the root's admin.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(self.admin.expose())
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        let request = self.request(Method::POST, path).json(&body);
        Answer::read(request.send().await.unwrap()).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        let request = self.request(Method::PATCH, path).json(&body);
        Answer::read(request.send().await.unwrap()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        Answer::read(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    /// Makes a key; gives key and token.
    pub async fn key(&self, body: Value) -> (Value, String) {
        let made = self.post("/v1/keys", body).await.expect(201);
        let token = made["token"].as_str().unwrap().to_owned();
        (made["key"].clone(), token)
    }

    /// Makes an account; gives its id.
    pub async fn account(&self, body: Value) -> String {
        let made = self.post("/v1/accounts", body).await.expect(201);
        text(&made["account"]["id"])
    }

    /// Defines an environment; gives its id.
    pub async fn environment(&self, body: Value) -> String {
        let made = self.post("/v1/environments", body).await.expect(201);
        text(&made["environment"]["id"])
    }

    /// Makes an identity; gives its id.
    pub async fn identity(&self, body: Value) -> String {
        let made = self.post("/v1/identities", body).await.expect(201);
        text(&made["identity"]["id"])
    }

    /// Invites a member, to the root account unless the body says otherwise; gives the id.
    pub async fn member(&self, email: &str, role: &str, account: Option<&str>) -> String {
        let mut body = json!({"email": email, "name": email, "role": role});
        if let Some(account) = account {
            body["accountId"] = json!(account);
        }
        let made = self.post("/v1/members", body).await.expect(201);
        text(&made["member"]["id"])
    }

    /// Makes a role of the root account; gives the id.
    pub async fn role(&self, name: &str, management: &[&str], api: &[&str]) -> String {
        let body =
            json!({"name": name, "managementPermissions": management, "apiPermissions": api});
        let made = self.post("/v1/roles", body).await.expect(201);
        text(&made["role"]["id"])
    }

    /// Makes an API for a host; gives its id.
    pub async fn api(&self, host: &str) -> String {
        let body = json!({
            "name": "An API", "upstream": "https://upstream.example",
            "endpoints": [{"host": host, "environment": "production"}],
        });
        let made = self.post("/v1/apis", body).await.expect(201);
        text(&made["api"]["id"])
    }

    /// The same server, seen by whoever has this admin token.
    pub fn seen_by(&self, token: &str) -> Other<'_> {
        Other {
            app: self,
            token: AdminToken::parse(token).unwrap(),
        }
    }

    /// The same server, seen by somebody with an admin token made of this.
    pub async fn with_token(&self, body: Value) -> Other<'_> {
        let made = self.post("/v1/admin-tokens", body).await.expect(201);
        self.seen_by(made["token"].as_str().unwrap())
    }

    /// Invites a member to the root account and accepts; gives the id, and the server as the member sees it.
    pub async fn active_member(&self, email: &str, role: &str) -> (String, Other<'_>) {
        let body = json!({"email": email, "name": email, "role": role});
        let invited = self.post("/v1/members", body).await.expect(201);
        let accept = json!({"token": invited["invitation"]});
        let request = self.bare(Method::POST, "/v1/invitations/accept");
        let answer = Answer::read(request.json(&accept).send().await.unwrap()).await;
        let token = text(&answer.expect(201)["token"]);
        (text(&invited["member"]["id"]), self.seen_by(&token))
    }

    /// The same server, seen by an owner of another account.
    pub async fn admin_of(&self, account: &str) -> Other<'_> {
        let token = AdminToken::mint().unwrap();
        let store = self.store().await;
        let mut tx = store.write().await.unwrap();
        let row = bootstrap::owner_token(account.to_owned(), "test", self.clock.now()).unwrap();
        assert!(admin_tokens::insert(&mut tx, &token, &row).await.unwrap());
        tx.commit().await.unwrap();
        store.close().await;
        Other { app: self, token }
    }
}

/// What a server leaves behind.
pub struct Stopped {
    pub database: Arc<Database>,
    admin: AdminToken,
    now: u64,
    wait: Duration,
}

impl Stopped {
    async fn fresh(wait: Duration) -> Self {
        Self::on(Database::fresh().await, wait)
    }

    fn on(database: Database, wait: Duration) -> Self {
        Self {
            database: Arc::new(database),
            admin: AdminToken::mint().unwrap(),
            now: START,
            wait,
        }
    }

    /// Starts another server on it.
    pub async fn start(self, edges: &[String]) -> App {
        App::open(self, edges, Limits::default(), |_| {}).await
    }
}

/// An admin of another account than the root's.
pub struct Other<'a> {
    app: &'a App,
    pub token: AdminToken,
}

impl Other<'_> {
    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.app.bare(method, path).bearer_auth(self.token.expose());
        if let Some(body) = body {
            request = request.json(&body);
        }
        Answer::read(request.send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }
}

/// The version of what an answer shows.
#[track_caller]
pub fn version(value: &Value) -> u64 {
    value["version"].as_u64().expect("a version")
}

/// A JSON string.
#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
