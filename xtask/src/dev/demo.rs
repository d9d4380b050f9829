//! The demo account, API and key: something to try the first request with.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::ports::Ports;
use super::state::State;
use crate::edge::write_private;
use crate::http::{Answer, Client};
use crate::report;

/// The route that the printed curl line asks for.
const SAMPLE: &str = "/v1/customers";
/// For one call: those that change something wait for the edge, which may still be warming up.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long the edge may take to know what was just made, should the control plane not have waited for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A key that opens the demo API.
pub struct Demo {
    /// The full token.
    pub token: String,
}

/// The key of the last start while it still opens the API; else what is missing of account, API and key is made.
pub fn ensure(state: &State, ports: &Ports) -> Result<Demo> {
    let setting = Setting {
        client: Client::new(TIMEOUT),
        state,
        ports,
    };
    if let Some(demo) = setting.previous_key()? {
        return Ok(demo);
    }
    let account = setting.account_with_api()?;
    // The ports may have changed: the key is as good as before, only the API had to learn of it.
    if let Some(demo) = setting.previous_key()? {
        return Ok(demo);
    }
    let body = json!({
        "name": "Demo key",
        "accountId": account,
        "environment": "production",
        "permissions": ["customers.*"],
        "rateLimits": {"requestsPerMinute": 100, "requestsPerHour": 5_000, "requestsPerDay": 100_000},
    });
    let token = text_at(&setting.create("/v1/keys", &body)?, "/token")?;
    setting.await_open(&token)?;
    Ok(Demo { token })
}

/// Says where everything is and how to try it.
pub fn announce(ports: &Ports, demo: &Demo, file: &Path) {
    let (token, edge) = (&demo.token, ports.edge());
    report::line("");
    report::fact("control plane", &ports.control_plane());
    report::fact("edge         ", &edge);
    report::fact("upstream     ", &ports.upstream());
    report::fact("all of it    ", &file.display().to_string());
    report::line("");
    report::line("Try it:");
    report::line(&format!(
        "  curl -i -H 'Authorization: Bearer {token}' {edge}{SAMPLE}"
    ));
    report::line("");
}

/// What the demo is made with.
struct Setting<'a> {
    client: Client,
    state: &'a State,
    ports: &'a Ports,
}

impl Setting<'_> {
    /// The key of the last start, if it opens the API.
    fn previous_key(&self) -> Result<Option<Demo>> {
        let previous = self.state.previous();
        let Some(token) = previous.get("demoKey").and_then(Value::as_str) else {
            return Ok(None);
        };
        let is_open = self.ask_edge(token)?.status == 200;
        Ok(is_open.then(|| Demo {
            token: token.to_owned(),
        }))
    }

    /// The account's id; its API is there and leads to the demo upstream.
    fn account_with_api(&self) -> Result<String> {
        let file = self.state.path("demo.json");
        let known: Value = fs::read_to_string(&file)
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        if let (Ok(account), Ok(api)) = (text_at(&known, "/account"), text_at(&known, "/api")) {
            let url = format!("{}/v1/apis/{api}", self.ports.control_plane());
            let settings = json!({"upstream": self.ports.upstream()});
            let token = self.state.admin_token();
            if self.client.patch(&url, token, &settings)?.status == 200 {
                return Ok(account);
            }
        }
        let account = self.create("/v1/accounts", &json!({"name": "Demo"}))?;
        let account = text_at(&account, "/account/id")?;
        let api = self.create("/v1/apis", &api(&account, &self.ports.upstream()))?;
        let known = json!({"account": account, "api": text_at(&api, "/api/id")?});
        write_private(&file, &format!("{known:#}\n"))?;
        Ok(account)
    }

    fn create(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}{path}", self.ports.control_plane());
        let answer = self.client.post(&url, self.state.admin_token(), body)?;
        if answer.status != 201 {
            let reason = answer.body.trim();
            bail!(
                "the control plane refused POST {path}: {} {reason}",
                answer.status
            );
        }
        Ok(answer.json())
    }

    fn await_open(&self, token: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask_edge(token)?;
            if answer.status == 200 {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let reason = answer.body.trim();
                bail!(
                    "the demo key does not open the demo API: {} {reason}",
                    answer.status
                );
            }
            sleep(Duration::from_millis(250));
        }
    }

    fn ask_edge(&self, token: &str) -> Result<Answer> {
        let url = format!("{}{SAMPLE}", self.ports.edge());
        self.client.get(&url, Some(token))
    }
}

/// The demo API: it answers for every host that no other API claims.
fn api(account: &str, upstream: &str) -> Value {
    let endpoint = |host: &str| json!({"host": host, "environment": "production"});
    json!({
        "name": "Demo API",
        "accountId": account,
        "endpoints": [endpoint("localhost"), endpoint("127.0.0.1"), endpoint("*")],
        "upstream": upstream,
        "routes": [
            {"method": "GET", "path": SAMPLE, "permission": "customers.read"},
            {"method": "POST", "path": SAMPLE, "permission": "customers.write"},
            {
                "method": "GET",
                "path": "/v1/customers/{customerId}",
                "permission": "customers.read",
                "resource": {"kind": "customer", "param": "customerId"},
            },
            {"method": "GET", "path": "/stream"},
        ],
    })
}

/// A text in an answer, by its JSON pointer.
fn text_at(answer: &Value, pointer: &str) -> Result<String> {
    answer
        .pointer(pointer)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .with_context(|| format!("the answer has no text at {pointer}"))
}
