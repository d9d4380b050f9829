//! Who may do what: every operation of the document, for every kind of caller, on what is in the caller's own account,
//! below it, above it, and elsewhere. What is expected follows from the table of permissions below and from the
//! permission that the operation names; what the server answers is held against it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use keyward::openapi::{Access, Route, routes};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::text;
use crate::support::{Answer, App};

const ALL: [&str; 18] = [
    "accounts.read",
    "accounts.write",
    "members.read",
    "members.write",
    "roles.read",
    "roles.write",
    "tokens.read",
    "tokens.write",
    "apis.read",
    "apis.write",
    "keys.read",
    "keys.write",
    "identities.read",
    "identities.write",
    "usage.read",
    "audit.read",
    "sync.read",
    "sync.write",
];
const DEVELOPER: [&str; 9] = [
    "accounts.read",
    "members.read",
    "roles.read",
    "apis.read",
    "keys.read",
    "keys.write",
    "identities.read",
    "identities.write",
    "usage.read",
];
const VIEWER: [&str; 7] = [
    "accounts.read",
    "members.read",
    "roles.read",
    "apis.read",
    "keys.read",
    "identities.read",
    "usage.read",
];
/// Of a role of the account's own: more than a viewer, so that it may invite one.
const CUSTOM: [&str; 11] = [
    "accounts.read",
    "members.read",
    "members.write",
    "roles.read",
    "roles.write",
    "apis.read",
    "keys.read",
    "keys.write",
    "identities.read",
    "usage.read",
    "audit.read",
];
/// Of an owner's token that is narrowed.
const NARROWED: [&str; 5] = [
    "keys.read",
    "tokens.read",
    "tokens.write",
    "accounts.write",
    "sync.write",
];

/// What is there for the root account's admins alone, and so for none of these callers.
const OF_THE_ROOT: [&str; 5] = [
    "/v1/audit-log/verify",
    "/v1/sync",
    "/v1/sync/resync",
    "/v1/sync/status",
    "/v1/sync/repair",
];

/// Where a target is, seen from the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Own,
    Child,
    Parent,
    Foreign,
}

const PLACES: [Place; 4] = [Place::Own, Place::Child, Place::Parent, Place::Foreign];

struct Caller {
    name: &'static str,
    token: Option<String>,
    /// `None`: the token is worth nothing.
    permissions: Option<Vec<&'static str>>,
}

/// A request of an operation.
struct Row {
    path: String,
    body: Option<Value>,
    /// Whether it is about something in an account.
    has_target: bool,
}

struct World {
    app: App,
    accounts: BTreeMap<Place, String>,
    /// What no caller may change, by kind and place.
    lasting: BTreeMap<(String, Place), String>,
}

fn fresh() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

impl World {
    async fn new() -> Self {
        let app = App::start().await;
        let parent = app.account(json!({"name": "parent"})).await;
        let below = |parent: &str, name: &str| json!({"name": name, "parentId": parent});
        let own = app.account(below(&parent, "own")).await;
        let child = app.account(below(&own, "child")).await;
        let foreign = app.account(below(&parent, "foreign")).await;
        let accounts = [
            (Place::Own, own),
            (Place::Child, child),
            (Place::Parent, parent),
            (Place::Foreign, foreign),
        ];
        let mut world = Self {
            app,
            accounts: accounts.into(),
            lasting: BTreeMap::new(),
        };
        for kind in [
            "imports",
            "accounts",
            "apis",
            "environments",
            "identities",
            "keys",
            "members",
            "roles",
            "admin-tokens",
        ] {
            for place in PLACES {
                let id = world.make(kind, place).await;
                world.lasting.insert((kind.to_owned(), place), id);
            }
        }
        world
    }

    /// Something of a kind in an account; gives its id. As accounts the places themselves serve, but for children.
    async fn make(&self, kind: &str, place: Place) -> String {
        let account = &self.accounts[&place];
        if kind == "accounts" {
            return match place {
                Place::Child => {
                    let body = json!({"name": "a", "parentId": self.accounts[&Place::Own]});
                    self.app.account(body).await
                }
                _ => account.clone(),
            };
        }
        if kind == "imports" {
            let path = format!("/v1/imports?account={account}");
            let made = self.app.post(&path, line()).await.expect(201);
            return text(&made["id"]);
        }
        let path = format!("/v1/{kind}");
        let made = self.app.post(&path, body(kind, account)).await.expect(201);
        let name = match kind {
            "admin-tokens" => "adminToken",
            "identities" => "identity",
            other => other.trim_end_matches('s'),
        };
        text(&made[name]["id"])
    }

    async fn id(&self, kind: &str, place: Place, is_expected: bool) -> String {
        match self.lasting.get(&(kind.to_owned(), place)) {
            Some(id) if !is_expected => id.clone(),
            _ => self.make(kind, place).await,
        }
    }

    /// The request of an operation about a place. Every operation has its row here. Where it is expected to work, it
    /// works on something that was made for it.
    async fn row(&self, route: &Route, place: Place, is_expected: bool) -> Row {
        let account = &self.accounts[&place];
        let kind = route.path.split('/').nth(2).unwrap_or_default().to_owned();
        let plain = |body: Option<Value>| Row {
            path: route.path.clone(),
            body,
            has_target: false,
        };
        let about = |path: String, body: Option<Value>| Row {
            path,
            body,
            has_target: true,
        };
        match (route.method.as_str(), route.path.as_str()) {
            (
                "GET",
                "/healthz" | "/readyz" | "/metrics" | "/docs" | "/openapi.json" | "/v1/presets"
                | "/v1/me" | "/v1/imports",
            ) => plain(None),
            ("GET", "/docs/{file}") => Row {
                path: "/docs/start.js".to_owned(),
                ..plain(None)
            },
            ("POST", "/v1/edge/usage" | "/v1/leaks/github") => plain(Some(json!({}))),
            ("POST", "/v1/leaks/report") => plain(Some(json!({"token": "no token of ours"}))),
            ("POST", "/v1/invitations/accept") => {
                let body = body("members", &self.accounts[&Place::Own]);
                let invited = self.app.post("/v1/members", body).await.expect(201);
                plain(Some(json!({"token": invited["invitation"]})))
            }
            ("GET", "/v1/accounts") => about(format!("/v1/accounts?parent={account}"), None),
            ("POST", "/v1/accounts") => {
                let body = json!({"name": "a", "parentId": account});
                about(route.path.clone(), Some(body))
            }
            ("GET", path) | ("POST", path) if OF_THE_ROOT.contains(&path) => {
                plain((route.method == Method::POST).then(|| json!({})))
            }
            (
                "GET",
                "/v1/apis"
                | "/v1/environments"
                | "/v1/identities"
                | "/v1/keys"
                | "/v1/members"
                | "/v1/roles"
                | "/v1/admin-tokens"
                | "/v1/audit-log"
                | "/v1/audit-log/export",
            ) => about(format!("{}?account={account}", route.path), None),
            (
                "POST",
                "/v1/apis" | "/v1/environments" | "/v1/identities" | "/v1/keys" | "/v1/members"
                | "/v1/roles" | "/v1/admin-tokens",
            ) => about(route.path.clone(), Some(body(&kind, account))),
            ("GET", "/v1/keys/export") => about(format!("{}?account={account}", route.path), None),
            ("POST", "/v1/imports") => {
                about(format!("{}?account={account}", route.path), Some(line()))
            }
            ("POST", "/v1/explain") => {
                let key = self.id("keys", place, is_expected).await;
                let body = json!({"host": "nobody.example", "keyId": key});
                about(route.path.clone(), Some(body))
            }
            ("GET", "/v1/audit-log/{id}") => {
                let path = format!("/v1/audit-log?account={account}&limit=1");
                let newest = self.app.get(&path).await.expect(200)["data"][0].clone();
                about(route.path.replace("{id}", &text(&newest["id"])), None)
            }
            ("POST", "/v1/keys/{id}/rotation/finish" | "/v1/keys/{id}/rotation/cancel") => {
                let id = self.id(&kind, place, is_expected).await;
                if is_expected {
                    let path = format!("/v1/keys/{id}/rotate");
                    let rotated = self.app.post(&path, json!({"graceSeconds": 60})).await;
                    rotated.expect(200);
                }
                about(route.path.replace("{id}", &id), None)
            }
            ("POST", "/v1/keys/{id}/credits") => {
                let id = self.id(&kind, place, is_expected).await;
                about(route.path.replace("{id}", &id), Some(json!({"add": 1})))
            }
            (
                "GET" | "DELETE",
                "/v1/accounts/{id}"
                | "/v1/apis/{id}"
                | "/v1/environments/{id}"
                | "/v1/identities/{id}"
                | "/v1/keys/{id}"
                | "/v1/keys/{id}/usage"
                | "/v1/imports/{id}"
                | "/v1/imports/{id}/report"
                | "/v1/members/{id}"
                | "/v1/roles/{id}"
                | "/v1/admin-tokens/{id}",
            )
            | (
                "POST",
                "/v1/keys/{id}/rotate"
                | "/v1/keys/{id}/revoke"
                | "/v1/keys/{id}/reactivate"
                | "/v1/members/{id}/invitation"
                | "/v1/apis/{id}/check-upstream",
            ) => {
                let id = self.id(&kind, place, is_expected).await;
                about(route.path.replace("{id}", &id), None)
            }
            ("PATCH", "/v1/environments/{id}") => {
                let id = self.id(&kind, place, is_expected).await;
                let body = json!({"rotateAfterDays": 30});
                about(route.path.replace("{id}", &id), Some(body))
            }
            (
                "PATCH",
                "/v1/accounts/{id}"
                | "/v1/apis/{id}"
                | "/v1/identities/{id}"
                | "/v1/keys/{id}"
                | "/v1/members/{id}"
                | "/v1/roles/{id}",
            ) => {
                let id = self.id(&kind, place, is_expected).await;
                let body = json!({"name": format!("n{}", fresh())});
                about(route.path.replace("{id}", &id), Some(body))
            }
            (method, path) => panic!("{method} {path} has no row in the matrix: give it one"),
        }
    }

    async fn send(&self, caller: &Caller, method: &Method, row: &Row) -> Answer {
        let mut request = self.app.bare(method.clone(), &row.path);
        if let Some(token) = &caller.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = &row.body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let kind = response.headers().get("content-type");
        let kind = kind.map_or(String::new(), |kind| kind.to_str().unwrap().to_owned());
        if kind == "application/x-ndjson" || kind.starts_with("application/openmetrics-text") {
            // Lines, which are looked at elsewhere.
            return Answer {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                body: Value::Null,
            };
        }
        Answer::read(response).await
    }

    /// How everything looks that is out of the callers' reach.
    async fn beyond_reach(&self) -> Vec<Value> {
        let mut views = Vec::new();
        for ((kind, place), id) in &self.lasting {
            if matches!(place, Place::Parent | Place::Foreign) {
                let view = self.app.get(&format!("/v1/{kind}/{id}")).await;
                views.push(view.expect(200));
            }
        }
        for place in [Place::Parent, Place::Foreign] {
            let account = &self.accounts[&place];
            for kind in ["apis", "identities", "keys", "roles", "admin-tokens"] {
                let list = self.app.get(&format!("/v1/{kind}?account={account}")).await;
                views.push(list.expect(200));
            }
        }
        views
    }

    async fn token(&self, body: Value) -> String {
        let made = self.app.post("/v1/admin-tokens", body).await.expect(201);
        text(&made["token"])
    }

    async fn callers(&self) -> Vec<Caller> {
        let own = &self.accounts[&Place::Own];
        let with = |role: &str| json!({"name": role, "accountId": own, "role": role});
        let role = json!({"name": "custom", "accountId": own, "managementPermissions": CUSTOM, "apiPermissions": ["a.*"]});
        let role = self.app.post("/v1/roles", role).await.expect(201);
        let custom = text(&role["role"]["id"]);
        let mut narrowed = with("owner");
        narrowed["permissions"] = json!(["keys.read", "tokens.*", "accounts.write", "sync.write"]);
        let mut expiring = with("owner");
        expiring["expiresAt"] = json!("2027-01-15T08:00:01Z");
        let expiring = self.token(expiring).await;
        self.app.clock.advance(1000);
        let revoked = self.app.post("/v1/admin-tokens", with("owner")).await;
        let revoked = revoked.expect(201);
        let path = format!("/v1/admin-tokens/{}", text(&revoked["adminToken"]["id"]));
        self.app.delete(&path).await.expect(200);
        let member = json!({"email": "dev@example.com", "name": "dev", "accountId": own, "role": "developer"});
        let member = self.app.post("/v1/members", member).await.expect(201);
        let accept = json!({"token": member["invitation"]});
        let accepted = self.app.post("/v1/invitations/accept", accept).await;
        let accepted = accepted.expect(201);

        let admin = ALL
            .into_iter()
            .filter(|p| !["accounts.write", "sync.write"].contains(p));
        let caller = |name, token: String, permissions: Vec<&'static str>| Caller {
            name,
            token: Some(token),
            permissions: Some(permissions),
        };
        let nobody = |name, token: Option<String>| Caller {
            name,
            token,
            permissions: None,
        };
        vec![
            caller("owner", self.token(with("owner")).await, ALL.to_vec()),
            caller("admin", self.token(with("admin")).await, admin.collect()),
            caller(
                "developer",
                self.token(with("developer")).await,
                DEVELOPER.to_vec(),
            ),
            caller("viewer", self.token(with("viewer")).await, VIEWER.to_vec()),
            caller("custom", self.token(with(&custom)).await, CUSTOM.to_vec()),
            caller("narrowed", self.token(narrowed).await, NARROWED.to_vec()),
            caller("member", text(&accepted["token"]), DEVELOPER.to_vec()),
            nobody("without a token", None),
            nobody("expired", Some(expiring)),
            nobody("revoked", Some(text(&revoked["token"]))),
        ]
    }
}

/// A body that makes something of a kind in an account, which the least of those who may make it may give.
fn body(kind: &str, account: &str) -> Value {
    let n = fresh();
    match kind {
        "apis" => json!({
            "name": "a", "accountId": account, "upstream": "https://upstream.example",
            "endpoints": [{"host": format!("h{n}.example"), "environment": "production"}],
        }),
        "environments" => json!({"name": format!("e{n}"), "accountId": account}),
        "identities" => json!({"name": "i", "accountId": account}),
        "keys" => json!({
            "name": "k", "accountId": account, "permissions": ["a.read"], "credits": {"remaining": 9},
        }),
        "members" => {
            json!({"email": format!("m{n}@example.com"), "name": "m", "role": "viewer", "accountId": account})
        }
        "roles" => json!({
            "name": format!("r{n}"), "accountId": account, "managementPermissions": ["keys.read"],
            "apiPermissions": ["a.read"],
        }),
        "admin-tokens" => {
            json!({"name": "t", "accountId": account, "role": "viewer", "permissions": ["keys.read"]})
        }
        other => panic!("how is one of {other} made?"),
    }
}

/// A line of an import.
fn line() -> Value {
    json!({"hash": format!("{:064}", fresh()), "name": "imported", "permissions": ["a.read"], "start": "old_", "last8": "12345678"})
}

/// What a caller is told.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Done,
    Unauthorized,
    Forbidden(String),
    NotFound,
    /// Nobody deletes the account of the token in use.
    OwnAccount,
}

fn expected(caller: &Caller, route: &Route, has_target: bool, place: Place) -> Expected {
    let access = route.access.as_ref().expect("it says who may use it");
    let held = match (access, &caller.permissions) {
        (Access::Public, _) => return Expected::Done,
        (Access::Edge | Access::GitHub, _) | (_, None) => return Expected::Unauthorized,
        (Access::AnyAdmin, Some(_)) => return Expected::Done,
        (Access::Admin(permission), Some(held)) => {
            if !held.contains(&permission.as_str()) {
                return Expected::Forbidden(permission.to_string());
            }
            held
        }
    };
    assert!(!held.is_empty());
    let is_beyond = matches!(place, Place::Parent | Place::Foreign);
    match (route.method.as_str(), route.path.as_str()) {
        (_, path) if OF_THE_ROOT.contains(&path) => Expected::NotFound,
        _ if has_target && is_beyond => Expected::NotFound,
        ("DELETE", "/v1/accounts/{id}") if place == Place::Own => Expected::OwnAccount,
        _ => Expected::Done,
    }
}

#[tokio::test]
async fn every_operation_answers_every_caller_as_the_permissions_say() {
    let world = World::new().await;
    let callers = world.callers().await;
    let before = world.beyond_reach().await;
    let mut seen = BTreeMap::new();
    for route in routes(&keyward::routes::document()) {
        for caller in &callers {
            for place in PLACES {
                let likely = expected(caller, &route, true, place) == Expected::Done;
                let row = world.row(&route, place, likely).await;
                let expected = expected(caller, &route, row.has_target, place);
                let answer = world.send(caller, &route.method, &row).await;
                let what = format!(
                    "{} {} of {place:?} by {}: {:#}",
                    route.method, row.path, caller.name, answer.body
                );
                match &expected {
                    Expected::Done => assert!(answer.status < 300, "{} {what}", answer.status),
                    Expected::Unauthorized => assert_eq!(answer.status, 401, "{what}"),
                    Expected::NotFound => assert_eq!(answer.status, 404, "{what}"),
                    Expected::OwnAccount => assert_eq!(answer.status, 409, "{what}"),
                    Expected::Forbidden(permission) => {
                        assert_eq!(answer.status, 403, "{what}");
                        let detail = text(&answer.body["detail"]);
                        assert!(detail.ends_with(permission), "{what}");
                    }
                }
                *seen.entry(answer.status).or_insert(0) += 1;
            }
        }
    }
    assert_eq!(world.beyond_reach().await, before);
    for status in [200, 201, 401, 403, 404] {
        assert!(seen[&status] > 50, "{seen:?}");
    }
}
