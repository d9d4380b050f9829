//! The server is killed at any point: what was answered is kept, and every edge ends with the last version.

use std::time::Duration;

use keyward::admin_token::AdminToken;
use reqwest::Method;
use serde_json::json;

use crate::support::app::text;
use crate::support::process::Process;
use crate::support::{Edge, until};

#[tokio::test]
async fn killed_twenty_times_under_load_nothing_is_lost_or_out_of_order() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("keyward.db");
    let edge = Edge::start().await;
    let admin = AdminToken::mint().unwrap();
    let admin = admin.expose();
    let mut server = Process::serve(&database, admin, &[edge.url()], "log").await;
    let made = server
        .call(Method::POST, "/v1/keys", admin, Some(&json!({"name": "k"})))
        .await;
    let id = text(&made.unwrap().expect(201)["key"]["id"]);
    let path = format!("/v1/keys/{id}");
    let mut confirmed = 1;
    for round in 0..20_u64 {
        let load = async {
            loop {
                let body = json!({"metadata": {"round": round}});
                let Some(answer) = server.call(Method::PATCH, &path, admin, Some(&body)).await
                else {
                    break;
                };
                let key = answer.expect(200)["key"].clone();
                confirmed = key["version"].as_u64().unwrap();
            }
        };
        // A different point in each round: the first commits, pushes under way, and between them.
        let pause = Duration::from_millis(2 + (round * 7) % 60);
        let _ = tokio::time::timeout(pause, load).await;
        server.kill();
        server = Process::serve(&database, admin, &[edge.url()], "log").await;
        let key = server
            .call(Method::GET, &path, admin, None)
            .await
            .unwrap()
            .expect(200);
        let version = key["version"].as_u64().unwrap();
        assert!(
            version >= confirmed,
            "round {round}: {version} < {confirmed}"
        );
    }
    let key = server
        .call(Method::GET, &path, admin, None)
        .await
        .unwrap()
        .expect(200);
    let last = key["version"].as_u64().unwrap();
    until("the last version has arrived", || async {
        edge.seen.key(&id).filter(|k| k.version == last)
    })
    .await;
    // Repeated deliveries are allowed, gaps and steps back beyond a repetition are not.
    let versions = edge.seen.versions(&id);
    let mut newest = 0;
    for version in &versions {
        assert!(
            *version <= newest + 1,
            "{version} after {newest}: {versions:?}"
        );
        newest = newest.max(*version);
    }
    assert_eq!(newest, last);
    assert!(last > 20, "too little load: {last}");
}
