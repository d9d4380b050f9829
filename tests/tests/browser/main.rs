//! The CORS protocol as a real browser plays it: scripts of several origins, Chromium, and the real edge.
//!
//! What a script can learn is asserted beside what went over the wire, which a tap between browser and edge tells.

mod chromium;
mod credentials;
mod docs;
mod nginx;
mod origins;
mod pages;
mod policy;
mod preflights;
mod refusals;
mod shared_cache;
mod tap;

use keyward_tests::World;
use serde_json::{Value, json};

use self::chromium::{Browser, BrowserParts};
use self::pages::Pages;
use self::tap::Tap;

/// The host of the API that scripts call.
const HOST: &str = "api.keyward.test";
/// The site that may call it.
const APP: &str = "app.example.test";
/// A site that may not.
const EVIL: &str = "evil.example.test";
/// Chromium's reason for keeping an answer back that names no origin, preflight or not.
const NO_ORIGIN: &str = "MissingAllowOriginHeader";
const NO_ORIGIN_IN_PREFLIGHT: &str = "PreflightMissingAllowOriginHeader";

/// A browser, sites, the edge and what is between them.
struct Scene {
    browser: Browser,
    pages: Pages,
    tap: Tap,
    world: World,
}

impl Scene {
    async fn start(parts: &BrowserParts, world: World) -> Self {
        let edge = world.edge.url();
        let port = edge
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok());
        Self {
            browser: Browser::start(parts).await,
            pages: Pages::start().await,
            tap: Tap::start(port.expect("a port")).await,
            world,
        }
    }

    /// Lets scripts of an origin call the API, with more of a policy.
    async fn admit(&self, origins: Value, policy: Value) -> String {
        let mut cors = json!({"allowedOrigins": origins, "maxAgeSeconds": 600});
        if let (Value::Object(cors), Value::Object(policy)) = (&mut cors, policy) {
            cors.extend(policy);
        }
        self.world.api(HOST, json!({"cors": cors})).await
    }

    /// A key's token.
    async fn token(&self, settings: Value) -> String {
        self.world.key(settings).await.token
    }

    /// A URL of the API.
    fn url(&self, path: &str) -> String {
        format!("http://{HOST}:{}{path}", self.tap.port())
    }
}

/// `fetch`'s second argument for a GET with a key.
fn with_key(token: &str) -> Value {
    json!({"headers": {"Authorization": format!("Bearer {token}")}})
}

/// Starts a [`Scene`] for the test that calls it, or skips that test by name where a real part is missing.
macro_rules! scene {
    () => {{
        let parts = keyward_tests::need!(crate::chromium::BrowserParts::find());
        crate::Scene::start(&parts, keyward_tests::world!()).await
    }};
}
pub(crate) use scene;
