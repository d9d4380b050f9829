//! SIGKILL amid mixed changes, a hundred times: every act that was answered has one entry in the audit log, nothing is there
//! twice, and the edge ends with what the database has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join_all;
use keyward::admin_token::AdminToken;
use reqwest::Method;
use serde_json::{Value, json};
use shared::record::KeyState;

use crate::support::app::text;
use crate::support::database::on_postgres;
use crate::support::process::Process;
use crate::support::wait::PATIENCE;
use crate::support::{Database, Edge, until};

const KILLS: u64 = 100;
const CALLERS: u64 = 4;

/// Changes that were answered: request id, key, version.
type Confirmed = Mutex<Vec<(String, String, u64)>>;

/// A call; `None` when the server died before its answer was whole.
async fn call(
    server: &Process,
    admin: &str,
    method: Method,
    path: &str,
    body: Value,
) -> Option<(String, Value)> {
    let request = server.request(method, path).bearer_auth(admin).json(&body);
    let response = request.timeout(PATIENCE).send().await.ok()?;
    let status = response.status();
    let id = response.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let body: Value = serde_json::from_str(&response.text().await.ok()?).unwrap();
    assert!(status.is_success(), "{body:#}");
    Some((id, body))
}

/// Makes keys and changes them, each in its own way, until the server is gone.
async fn load(server: &Process, admin: &str, round: u64, caller: u64, confirmed: &Confirmed) {
    for turn in 0.. {
        let name = format!("{round}.{caller}.{turn}");
        let made = call(
            server,
            admin,
            Method::POST,
            "/v1/keys",
            json!({"name": name}),
        )
        .await;
        let Some((request, body)) = made else { return };
        let id = text(&body["key"]["id"]);
        let note = |request: String, body: &Value| {
            let version = body["key"]["version"].as_u64().unwrap_or(0);
            confirmed
                .lock()
                .unwrap()
                .push((request, id.clone(), version));
        };
        note(request, &body);
        let path = format!("/v1/keys/{id}");
        let (method, path, body) = match (caller + turn) % 4 {
            0 => (Method::PATCH, path, json!({"metadata": {"turn": turn}})),
            1 => (Method::POST, format!("{path}/revoke"), json!({})),
            2 => (
                Method::POST,
                format!("{path}/rotate"),
                json!({"graceSeconds": 60}),
            ),
            _ => (Method::DELETE, path, json!({})),
        };
        match call(server, admin, method, &path, body).await {
            Some((request, body)) => note(request, &body),
            None => return,
        }
    }
}

async fn entries(server: &Process, admin: &str) -> Vec<Value> {
    let request = server.request(Method::GET, "/v1/audit-log/export");
    let response = request.bearer_auth(admin).send().await.unwrap();
    let lines = response.text().await.unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn killed_a_hundred_times_every_act_has_one_entry_and_the_edge_ends_with_the_database() {
    let database = Database::fresh().await;
    let edge = Edge::start().await;
    let admin = AdminToken::mint().unwrap();
    let admin = admin.expose();
    let edges = [edge.url()];
    let quiet = [
        ("KEYWARD_LOG", "info"),
        ("KEYWARD_PROPAGATION_WAIT_MS", "20"),
    ];
    let serve = async || Process::serve_with(&database, admin, &edges, "log", &quiet).await;
    let confirmed = Confirmed::default();
    let mut server = serve().await;
    for round in 0..KILLS {
        let before = confirmed.lock().unwrap().len();
        let callers = (0..CALLERS).map(|caller| load(&server, admin, round, caller, &confirmed));
        let strike = async {
            // However slow the machine is, something is confirmed in each round.
            until("a change was answered", || async {
                (confirmed.lock().unwrap().len() > before).then_some(())
            })
            .await;
            tokio::time::sleep(Duration::from_millis((round * 7) % 40)).await;
            server.strike();
        };
        tokio::join!(join_all(callers), strike);
        server.kill();
        server = serve().await;
    }
    until("nothing waits for the edge", || async {
        (database.number("select count(*) from outbox").await == Some(0)).then_some(())
    })
    .await;

    let verified = server
        .call(Method::GET, "/v1/audit-log/verify", admin, None)
        .await;
    assert_eq!(verified.unwrap().expect(200)["valid"], true);
    let entries = entries(&server, admin).await;
    let mut requests = BTreeSet::new();
    for entry in entries.iter().filter(|e| e["actor"]["kind"] == "admin") {
        assert!(requests.insert(text(&entry["requestId"])), "twice: {entry}");
    }
    let confirmed = confirmed.into_inner().unwrap();
    for (request, id, _) in &confirmed {
        assert!(
            requests.contains(request),
            "no entry of {request} about {id}"
        );
    }
    let created = entries.iter().filter(|e| e["action"] == "key.create");
    let keys = database.number("select count(*) from keys").await.unwrap();
    assert_eq!(i64::try_from(created.count()).unwrap(), keys);

    let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, id, version) in &confirmed {
        let known = newest.entry(id).or_default();
        *known = (*known).max(*version);
    }
    let state = edge.seen.state();
    for (id, version) in newest {
        let at_edge = state.get(id).unwrap_or_else(|| panic!("{id} never came"));
        assert!(
            at_edge.version() >= version,
            "{id}: {} < {version}",
            at_edge.version()
        );
        let shown = server
            .call(Method::GET, &format!("/v1/keys/{id}"), admin, None)
            .await;
        let shown = shown.unwrap();
        let held = edge.seen.key(id).unwrap();
        match shown.status {
            404 => assert_eq!(held.state, KeyState::Deleted, "{id}"),
            _ => assert_eq!(shown.expect(200)["version"], held.version, "{id}"),
        }
    }
    if !on_postgres() {
        let broken = "select count(*) from pragma_integrity_check where integrity_check <> 'ok'";
        assert_eq!(database.number(broken).await, Some(0));
    }
    assert!(confirmed.len() as u64 > KILLS);
}
