//! The OpenAPI document is what the server does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use keyward::openapi::{Access, routes};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::text;
use crate::support::contract::{self, DOCUMENT, operations, resolved};
use crate::support::usage::report;
use crate::support::{Answer, App};

/// The operations that everybody may use.
const PUBLIC: [&str; 8] = [
    "/docs",
    "/docs/{file}",
    "/healthz",
    // Without a proxy; with one it sees to its access itself.
    "/metrics",
    "/openapi.json",
    "/readyz",
    "/v1/invitations/accept",
    // Whoever holds a token may have its key revoked.
    "/v1/leaks/report",
];

/// What any admin may do, whatever the permissions.
const ANY_ADMIN: [&str; 1] = ["/v1/me"];

/// The account that examples name, which here is another.
const EXAMPLE_ACCOUNT: &str = "acc_4Tn0xQz9";
/// The invitation that an example accepts.
const EXAMPLE_INVITATION: &str = "kwi_shownThisOnceOnlyAndNeverAgainAnywhere00";

#[test]
fn every_operation_names_the_one_permission_that_it_needs() {
    let (mut public, mut any_admin) = (Vec::new(), Vec::new());
    for route in routes(&keyward::routes::document()) {
        let (method, path) = (&route.method, &route.path);
        match &route.access {
            Some(Access::Public) => public.push(path.clone()),
            Some(Access::Edge) => assert_eq!(path, "/v1/edge/usage"),
            Some(Access::GitHub) => assert_eq!(path, "/v1/leaks/github"),
            Some(Access::AnyAdmin) => any_admin.push(path.clone()),
            Some(Access::Admin(permission)) => {
                assert!(!permission.is_wildcard(), "{method} {path}: {permission}");
                let reads = permission.as_str().ends_with(".read");
                let only_reads = method == Method::GET || path == "/v1/explain";
                assert_eq!(reads, only_reads, "{method} {path}: {permission}");
            }
            None => panic!("{method} {path} does not say who may use it"),
        }
    }
    assert_eq!(public, PUBLIC);
    assert_eq!(any_admin, ANY_ADMIN);
}

#[test]
fn every_operation_is_described_in_full() {
    let mut ids = BTreeSet::new();
    let tags = DOCUMENT["tags"].as_array().unwrap();
    for (path, method, operation) in operations() {
        let id = text(&operation["operationId"]);
        assert!(ids.insert(id.clone()), "{id} is two operations");
        let summary = text(&operation["summary"]);
        assert!(
            !summary.is_empty() && !summary.ends_with('.'),
            "{id}: {summary}"
        );
        let [tag] = operation["tags"].as_array().unwrap().as_slice() else {
            panic!("{id} has not one tag");
        };
        assert!(
            tags.iter().any(|known| known["name"] == *tag),
            "{id}: {tag}"
        );
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{path}: {parameter}");
            assert!(
                resolved(&parameter["schema"])["type"].is_string(),
                "{path}: {parameter}"
            );
        }
        let takes_body = ["post", "patch", "put"].contains(&method);
        assert_eq!(takes_body, operation["requestBody"].is_object(), "{id}");
        let contents = operation["requestBody"]["content"].as_object();
        for content in contents.into_iter().flat_map(serde_json::Map::values) {
            let has_example = !content["example"].is_null() || content["examples"].is_object();
            assert!(has_example, "{id} has no example");
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let answer = resolved(answer);
            assert!(
                answer["headers"]["x-request-id"].is_object(),
                "{id} {status}"
            );
            let content = &answer["content"]["application/json"];
            let has_example = path == "/openapi.json" || !content["example"].is_null();
            assert!(content.is_null() || has_example, "{id} {status}");
        }
    }
}

/// Examples of an operation's JSON body. Lines of JSON, and what others sign, have tests of their own.
fn examples(operation: &'static Value) -> Vec<&'static Value> {
    if operation["security"][0]["githubSignature"].is_array() {
        return Vec::new();
    }
    let content = &operation["requestBody"]["content"]["application/json"];
    let named = content["examples"].as_object().into_iter().flatten();
    let named = named.map(|(_, example)| &example["value"]);
    content.get("example").into_iter().chain(named).collect()
}

#[tokio::test]
async fn every_path_has_the_methods_of_the_document_and_no_other() {
    let app = App::start().await;
    let mut documented: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (path, method, _) in operations() {
        let methods = documented.entry(path).or_default();
        methods.insert(method.to_uppercase());
        // Axum answers HEAD where there is GET.
        methods.extend((method == "get").then(|| "HEAD".to_owned()));
    }
    for (path, methods) in documented {
        let url = path.replace("{id}", "x").replace("{file}", "start.js");
        let answer = app.request(Method::TRACE, &url).send().await.unwrap();
        let answer = Answer::read(answer).await;
        let allowed = answer.headers["allow"].to_str().unwrap().split(',');
        assert_eq!(
            allowed.map(str::to_owned).collect::<BTreeSet<_>>(),
            methods,
            "{path}"
        );
        answer.problem(405, "method_not_allowed");
    }
}

/// A number that was not given before.
fn fresh() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// A path with the id of something that is there.
async fn subject(app: &App, path: &str) -> String {
    let id = match path.split('/').nth(2) {
        _ if !path.contains("{id}") => return path.to_owned(),
        Some("accounts") => app.account(json!({"name": "a"})).await,
        Some("apis") => app.api(&format!("{}.example", fresh())).await,
        Some("members") => {
            let email = format!("{}@example.com", fresh());
            app.member(&email, "viewer", None).await
        }
        Some("environments") => {
            app.environment(json!({"name": format!("e{}", fresh())}))
                .await
        }
        Some("identities") => app.identity(json!({"name": "i"})).await,
        Some("roles") => app.role(&format!("r{}", fresh()), &[], &[]).await,
        Some("admin-tokens") => {
            let body = json!({"name": "t", "role": "viewer"});
            let made = app.post("/v1/admin-tokens", body).await.expect(201);
            text(&made["adminToken"]["id"])
        }
        Some("keys") => {
            let id = text(
                &app.key(json!({"name": "k", "credits": {"remaining": 9}}))
                    .await
                    .0["id"],
            );
            if path.contains("/rotation/") {
                let rotate = format!("/v1/keys/{id}/rotate");
                app.post(&rotate, json!({"graceSeconds": 60}))
                    .await
                    .expect(200);
            }
            id
        }
        other => panic!("how is one of {other:?} made?"),
    };
    path.replace("{id}", &id)
}

#[tokio::test]
async fn every_example_of_a_body_is_accepted() {
    for (path, method, operation) in operations() {
        for example in examples(operation) {
            let app = App::start().await;
            let answer = send(&app, path, method, example).await;
            assert!(
                answer.status < 300,
                "{method} {path} {example:#}: {:#}",
                answer.body
            );
        }
    }
}

async fn send(app: &App, path: &str, method: &str, body: &Value) -> Answer {
    if path == "/v1/edge/usage" {
        return report(app, body).await;
    }
    if path == "/v1/explain" && app.get("/v1/apis").await.body["data"][0].is_null() {
        app.api("api.example.com").await;
    }
    let path = subject(app, path).await;
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let account = text(&app.get("/v1/accounts").await.body["data"][0]["id"]);
    let mut body = body.to_string().replace(EXAMPLE_ACCOUNT, &account);
    if body.contains(EXAMPLE_INVITATION) {
        let email = format!("{}@example.com", fresh());
        let member = json!({"email": email, "name": "m", "role": "viewer"});
        let invited = app.post("/v1/members", member).await.expect(201);
        body = body.replace(EXAMPLE_INVITATION, &text(&invited["invitation"]));
    }
    let request = app.request(method, &path);
    let request = request
        .header("content-type", "application/json")
        .body(body);
    Answer::read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn what_is_over_a_bound_of_the_document_is_refused_and_what_is_at_it_is_not() {
    let app = App::start().await;
    let mut wrong = Vec::new();
    for (path, method, operation) in operations() {
        let Some(fullest) = examples(operation)
            .into_iter()
            .max_by_key(|e| e.to_string().len())
        else {
            continue;
        };
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        for (pointer, value, fits) in borders(schema, fullest, "") {
            let body = with(fullest, &pointer, value.clone());
            let answer = send(&app, path, method, &body).await;
            let field = field(&pointer);
            // The routes table is checked as a whole, and what `shared` reads is named without its place.
            let is_about = |e: &&Value| {
                let named = e["field"].as_str().unwrap();
                let is_part = field.starts_with(named) || field.ends_with(named);
                named.starts_with(&field) || (!named.is_empty() && is_part)
            };
            let errors = answer.body["errors"].as_array().into_iter().flatten();
            let named = errors.filter(is_about).count();
            let is_elsewhere = match answer.status {
                // Ids are looked for, not checked.
                404 | 422 => field.ends_with("Id"),
                // The bound is that of the whole body.
                status => status == 413,
            };
            let value = value.to_string();
            let shown = value.get(..60).unwrap_or(&value);
            if fits != (named == 0 && !is_elsewhere) {
                wrong.push(format!(
                    "{method} {path} {field} = {shown}: {}",
                    answer.body
                ));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

/// Values at the bounds of each member of a body and beyond: where, what, and whether it fits.
fn borders(schema: &'static Value, example: &Value, at: &str) -> Vec<(String, Value, bool)> {
    let schema = resolved(schema);
    let mut found = Vec::new();
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let member = member["oneOf"].get(0).unwrap_or(member);
        let (member, at) = (resolved(member), format!("{at}/{name}"));
        let inner = &example[name];
        if inner.is_object() {
            found.extend(borders(member, inner, &at));
        } else if inner[0].is_object() {
            found.extend(borders(&member["items"], &inner[0], &format!("{at}/0")));
        }
        found.extend(values(member, inner).map(|(value, fits)| (at.clone(), value, fits)));
    }
    found
}

fn values(schema: &'static Value, example: &Value) -> impl Iterator<Item = (Value, bool)> {
    let bound = |name: &str| schema[name].as_u64();
    let mut values = Vec::new();
    if let Some(max) = bound("maxLength") {
        values.push((json!("a".repeat(max as usize + 1)), false));
    }
    if bound("minLength").is_some_and(|min| min > 0) {
        values.push((json!(""), false));
    }
    if schema["pattern"].is_string() || schema["enum"].is_array() {
        values.push((json!("\u{1}"), false));
    }
    if let Some(max) = bound("maximum") {
        values.extend([(json!(max), true), (json!(max + 1), false)]);
    }
    if let Some(min) = bound("minimum") {
        values.push((json!(min), true));
        values.extend((min > 0).then(|| (json!(min - 1), false)));
    }
    if let (Some(max), Some(entry)) = (bound("maxItems"), example.get(0)) {
        values.push((json!(vec![entry; max as usize + 1]), false));
    }
    if schema["additionalProperties"] == false && example.is_object() {
        values.push((with(example, "/noSuchMember", json!(1)), false));
    }
    values.into_iter()
}

/// A body with another value at a place.
fn with(body: &Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let mut body = body.clone();
    body.pointer_mut(parent).unwrap()[name] = value;
    body
}

/// `/endpoints/0/host` as `errors[]` names it.
fn field(pointer: &str) -> String {
    let mut field = String::new();
    for part in pointer.split('/').skip(1) {
        match part.parse::<usize>() {
            Ok(index) => field += &format!("[{index}]"),
            Err(_) if field.is_empty() => field += part,
            Err(_) => field += &format!(".{part}"),
        }
    }
    field
}

#[tokio::test]
async fn the_document_is_served_as_openapi_3_1() {
    let app = App::start().await;
    let served = app.bare(Method::GET, "/openapi.json").send().await.unwrap();
    assert_eq!(served.headers()["content-type"], "application/json");
    let served: Value = serde_json::from_str(&served.text().await.unwrap()).unwrap();
    assert_eq!(served, *DOCUMENT);
    assert!(text(&served["openapi"]).starts_with("3.1."));
}

#[tokio::test]
async fn the_page_loads_its_files_from_this_server_under_a_policy_of_its_own() {
    let app = App::start().await;
    let get = async |path: &str| app.bare(Method::GET, path).send().await.unwrap();
    let page = get("/docs").await;
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"));
    assert!(
        !policy.contains("unsafe") && !policy.contains("http"),
        "{policy}"
    );
    let page = page.text().await.unwrap();
    let files: Vec<_> = page.split("\"docs/").skip(1).collect();
    assert_eq!(files.len(), 3);
    for file in files {
        let path = format!("/docs/{}", file.split_once('"').unwrap().0);
        let answer = get(&path).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["cache-control"], "public, max-age=3600");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
    for path in ["/docs/index.html", "/docs/x", "/docs/..%2fkeyward.db"] {
        app.get(path).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn answers_tell_browsers_to_make_nothing_of_them() {
    let app = App::start().await;
    for path in ["/v1/keys", "/v1/nothing", "/healthz", "/openapi.json"] {
        let headers = app.get(path).await.headers;
        let policy = "default-src 'none'; frame-ancestors 'none'";
        assert_eq!(headers["content-security-policy"], policy);
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
        // No proxy speaks TLS here.
        assert!(!headers.contains_key("strict-transport-security"));
    }
}

#[test]
fn the_check_of_answers_finds_what_is_not_documented() {
    let body = app_key();
    contract::check("/v1/keys/key_1", 200, &body);
    for (pointer, value) in [
        ("/more", json!(1)),
        ("/id", json!("acc_00000000")),
        ("/createdAt", json!("yesterday")),
        ("/ownerId", json!(1)),
        ("/rateLimits/more", json!(1)),
    ] {
        let wrong = with(&body, pointer, value);
        let found = std::panic::catch_unwind(|| contract::check("/v1/keys/key_1", 200, &wrong));
        assert!(found.is_err(), "{pointer}");
    }
    for (path, status) in [("/v1/keys/key_1", 409), ("/v1/nothing", 200)] {
        let found = std::panic::catch_unwind(|| contract::check(path, status, &body));
        assert!(found.is_err(), "{path} {status}");
    }
}

/// A key as the document's own example shows it.
fn app_key() -> Value {
    let answer = &DOCUMENT["paths"]["/v1/keys/{id}"]["get"]["responses"]["200"];
    answer["content"]["application/json"]["example"].clone()
}
