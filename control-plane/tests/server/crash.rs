//! The server is killed at any point: what was answered is kept, and every edge ends with the last version.

use std::time::Duration;

use keyward::admin_token::AdminToken;
use reqwest::Method;
use serde_json::json;

use crate::support::app::text;
use crate::support::process::Process;
use crate::support::{Database, Edge, until};

#[tokio::test]
async fn killed_twenty_times_under_load_nothing_is_lost_or_out_of_order() {
    let database = Database::fresh().await;
    let edge = Edge::start().await;
    let admin = AdminToken::mint().unwrap();
    let admin = admin.expose();
    let mut server = Process::serve(&database, admin, &[edge.url()], "log").await;
    let made = server
        .call(Method::POST, "/v1/keys", admin, Some(&json!({"name": "k"})))
        .await;
    let made = made.unwrap().expect(201);
    let id = text(&made["key"]["id"]);
    let made_version = made["key"]["version"].as_u64().unwrap();
    let path = format!("/v1/keys/{id}");
    let mut confirmed = vec![made_version];
    for round in 0..20_u64 {
        let body = json!({"metadata": {"round": round}});
        let change = async || {
            let answer = server
                .call(Method::PATCH, &path, admin, Some(&body))
                .await?;
            answer.expect(200)["key"]["version"].as_u64()
        };
        // However slow the machine is, something is confirmed in each round.
        confirmed.push(change().await.unwrap());
        let load = async {
            while let Some(version) = change().await {
                confirmed.push(version);
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
        let last = confirmed.last().copied().unwrap();
        assert!(version >= last, "round {round}: {version} < {last}");
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
    // Repeated deliveries are allowed. What is new comes in order, and nothing that was confirmed is left out.
    let versions = edge.seen.versions(&id);
    let mut new: Vec<u64> = Vec::new();
    for version in versions {
        if !new.contains(&version) {
            new.push(version);
        }
    }
    assert!(new.is_sorted(), "{new:?}");
    assert_eq!(new.last(), Some(&last));
    for version in &confirmed {
        assert!(new.contains(version), "{version} never came: {new:?}");
    }
    assert!(confirmed.len() > 20, "too little load: {}", confirmed.len());
}
