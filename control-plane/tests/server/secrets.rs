//! No token or secret is kept or told anywhere.

use std::fs;

use keyward::admin_token::AdminToken;
use reqwest::Method;
use serde_json::json;

use crate::support::app::text;
use crate::support::process::Process;
use crate::support::{Answer, Database, Edge, PUSH_SECRET, TAG_SECRET, until};

const IDEMPOTENCY_KEY: &str = "an-idempotency-key-that-is-stored-nowhere";

#[tokio::test]
async fn no_token_or_secret_is_in_the_database_or_the_log_at_its_finest() {
    let database = Database::fresh().await;
    let edge = Edge::start().await;
    let admin = AdminToken::mint().unwrap();
    let edges = [edge.url()];
    // In the end the edge is away.
    let wait = [("KEYWARD_PROPAGATION_WAIT_MS", "500")];
    let name = "server.log";
    let mut server = Process::serve_with(&database, admin.expose(), &edges, name, &wait).await;
    let mut secrets = vec![
        admin.expose().to_owned(),
        TAG_SECRET.to_owned(),
        PUSH_SECRET.to_owned(),
        PUSH_SECRET.trim_start_matches("whsec_").to_owned(),
    ];
    let server_ref = &server;
    let call = async |method: Method, path: &str, body: Option<serde_json::Value>| {
        let answer = server_ref
            .call(method, path, admin.expose(), body.as_ref())
            .await;
        answer.unwrap()
    };
    let made = call(Method::POST, "/v1/keys", Some(json!({"name": "k"})))
        .await
        .expect(201);
    let id = text(&made["key"]["id"]);
    secrets.push(text(&made["token"]));
    let rotate = format!("/v1/keys/{id}/rotate");
    let rotated = call(Method::POST, &rotate, Some(json!({"graceSeconds": 60})))
        .await
        .expect(200);
    secrets.push(text(&rotated["token"]));
    // A kept answer holds a token, for those who have the Idempotency-Key and the admin token.
    let idempotent = reqwest::Client::builder().no_proxy().build().unwrap();
    for _ in 0..2 {
        let request = idempotent
            .post(format!("{}/v1/keys", server.base))
            .bearer_auth(admin.expose())
            .header("idempotency-key", IDEMPOTENCY_KEY)
            .json(&json!({"name": "kept"}));
        let kept = Answer::read(request.send().await.unwrap()).await;
        secrets.push(text(&kept.expect(201)["token"]));
    }
    assert_eq!(secrets[6], secrets[7]);
    let token = secrets.last().unwrap().clone();
    let member = json!({"email": "ada@example.com", "name": "Ada", "role": "viewer"});
    let invited = call(Method::POST, "/v1/members", Some(member))
        .await
        .expect(201);
    secrets.push(text(&invited["invitation"]));
    let accept = json!({"token": invited["invitation"]});
    let accepted = call(Method::POST, "/v1/invitations/accept", Some(accept))
        .await
        .expect(201);
    secrets.push(text(&accepted["token"]));
    let other = json!({"name": "CI", "role": "viewer"});
    let other = call(Method::POST, "/v1/admin-tokens", Some(other))
        .await
        .expect(201);
    secrets.push(text(&other["token"]));
    // Mistakes: a token where none belongs.
    call(Method::GET, &format!("/v1/keys/{token}"), None)
        .await
        .expect(404);
    call(Method::GET, &format!("/v1/keys?account={token}"), None)
        .await
        .expect(404);
    call(Method::GET, &format!("/v1/{token}"), None)
        .await
        .expect(404);
    call(
        Method::POST,
        "/v1/keys",
        Some(json!({"name": "k", "metadata": token})),
    )
    .await
    .expect(422);
    call(
        Method::POST,
        "/v1/keys",
        Some(json!({"name": "k", &token: 1})),
    )
    .await
    .expect(422);
    let as_admin = server
        .call(Method::GET, "/v1/keys", &token, None)
        .await
        .unwrap();
    as_admin.expect(401);
    // The edge is away: the log tells of that, too.
    drop(edge);
    call(Method::POST, &format!("/v1/keys/{id}/revoke"), None)
        .await
        .expect(200);
    let told = server
        .call(Method::GET, "/v1/audit-log?limit=200", admin.expose(), None)
        .await;
    let told = told.unwrap().expect(200).to_string().into_bytes();
    let log = server.log.clone();
    until("the log tells of the push", || async {
        let told = fs::read_to_string(&log).unwrap();
        told.contains("a push failed").then_some(())
    })
    .await;
    assert!(server.terminate());

    let rows = database.dump().await.join("\n").into_bytes();
    let mut places = vec![
        ("the database's rows".to_owned(), rows),
        ("the audit log's answer".to_owned(), told),
    ];
    for entry in fs::read_dir(database.folder()).unwrap() {
        let path = entry.unwrap().path();
        places.push((path.display().to_string(), fs::read(&path).unwrap()));
    }
    for (place, bytes) in &places {
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "a secret is in {place}");
        }
        let key = IDEMPOTENCY_KEY.as_bytes();
        assert!(!bytes.windows(key.len()).any(|w| w == key), "{place}");
        // What nobody may see of a key is neither there in part.
        for token in &secrets[4..] {
            let middle = &token.as_bytes()[15..35];
            assert!(!bytes.windows(middle.len()).any(|w| w == middle), "{place}");
        }
    }
    // The rows or the file, and the log: the places were the right ones.
    let id = id.as_bytes();
    let holds_the_key = |bytes: &Vec<u8>| bytes.windows(id.len()).any(|w| w == id);
    assert!(places.iter().any(|(_, bytes)| holds_the_key(bytes)));
    let log = fs::read_to_string(&log).unwrap();
    assert!(
        log.contains("/v1/keys/{id}/rotate") && log.contains("a push failed"),
        "{log}"
    );
}
