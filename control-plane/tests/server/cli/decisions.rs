//! What was done, and what is decided: `audit`, `explain`, and the ends of rotations.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::{Desk, Run};

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn the_audit_log_is_listed_shown_exported_and_verified() {
    let desk = Desk::new().await;
    let key = desk.make("key", json!({"name": "orders"})).await;
    desk.make("account", json!({"name": "Shop"})).await;
    let filter = ["--action", "key.", "--target", &key];
    let table = desk
        .run(&[&["audit", "list"][..], &filter].concat())
        .await
        .table();
    assert_eq!(table[0][..5], ["TIME", "ACTOR", "ACTION", "TARGET", "NAME"]);
    assert_eq!(table.len(), 2);
    assert_eq!(table[1][2..5], ["key.create", &key, "orders"]);

    let out = desk
        .run(&[&["audit", "export"][..], &filter].concat())
        .await
        .exits(0);
    let entries = lines(&out);
    assert_eq!(entries.len(), 1);
    let id = entries[0]["id"].as_str().unwrap();
    assert_eq!(entries[0], desk.api(&format!("/v1/audit-log/{id}")).await);
    assert_eq!(desk.shell.json(&["audit", "show", id]).await, entries[0]);
    let whole = lines(&desk.run(&["audit", "export"]).await.exits(0));
    assert!(whole.len() > 1);
    desk.run(&["audit", "list", "--from", "today"])
        .await
        .fails(1, "\n  from: ");
    let verified = desk.shell.json(&["audit", "verify"]).await;
    assert_eq!(verified["valid"], true);
    assert_eq!(verified["hash"], whole[whole.len() - 1]["hash"]);
}

async fn guarded(desk: &Desk) {
    let api = json!({
        "name": "Orders", "upstream": "https://orders.example",
        "endpoints": [{"host": "api.example", "environment": "production"}],
        "routes": [{"method": "GET", "path": "/v1/orders", "permission": "orders.read"}],
    });
    desk.make("api", api).await;
}

#[tokio::test]
async fn a_request_is_explained_step_by_step() {
    let desk = Desk::new().await;
    guarded(&desk).await;
    let key = json!({"name": "k", "permissions": ["orders.read"], "allowedIps": ["10.0.0.0/8"]});
    desk.make("key", key).await;
    let described = [
        "explain",
        "--host",
        "api.example",
        "--key",
        "k",
        "--path",
        "/v1/orders",
        "--exit-code",
    ];
    let good = [&described[..], &["--ip", "10.1.1.1"]].concat();
    let run = desk.run(&good).await;
    assert!(run.out.contains("It passes"), "{}", run.out);
    let table = run.table();
    assert_eq!(table[0], ["STEP", "OUTCOME", "SAW", "WHY"]);
    assert_eq!(table[1][..3], ["✓", "api", "passed"]);
    assert!(
        table
            .iter()
            .any(|line| line[0] == "–" && line[1] == "credential"),
        "{table:?}"
    );

    let bad = [&described[..], &["--ip", "192.0.2.1"]].concat();
    let run = desk.run(&bad).await;
    assert_eq!((run.code, run.err.as_str()), (1, ""));
    assert!(
        run.out.contains("✗") && run.out.contains("It is refused: "),
        "{}",
        run.out
    );
    let judged: Vec<_> = bad
        .iter()
        .copied()
        .filter(|flag| *flag != "--exit-code")
        .collect();
    let told = desk.shell.json(&judged).await;
    assert_eq!(told["allowed"], false);
    assert!(desk.run(&judged).await.exits(0).contains("(403 "));
    let at = [&good[..], &["--at", "yesterday"]].concat();
    desk.run(&at).await.fails(1, "\n  at: ");
}

#[tokio::test]
async fn a_token_is_explained_from_standard_input() {
    let desk = Desk::new().await;
    guarded(&desk).await;
    let flags = ["keys", "create", "k", "--permission", "orders.read"];
    let token = desk.run(&flags).await.exits(0);
    let flags = [
        "explain",
        "--host",
        "api.example",
        "--token-stdin",
        "--path",
        "/v1/orders",
        "--json",
    ];
    for (text, is_allowed) in [(token.as_str(), true), ("kw_nonsense\n", false)] {
        let mut command = desk.shell.command(&flags);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(text.as_bytes()).await.unwrap();
        drop(input);
        let told = Run::of(child.wait_with_output().await.unwrap()).json();
        assert_eq!(told["allowed"], is_allowed, "{told}");
    }
    let both = [&flags[..], &["--key", "k"]].concat();
    assert_eq!(desk.run(&both).await.code, 2);
}

#[tokio::test]
async fn a_rotation_is_finished_or_cancelled() {
    let desk = Desk::new().await;
    let id = desk.make("key", json!({"name": "k"})).await;
    let path = format!("/v1/keys/{id}");
    let first = desk.api(&path).await["last8"].clone();
    let rotate = ["keys", "rotate", "k", "--grace", "1h"];
    desk.run(&rotate).await.exits(0);
    desk.run(&["keys", "rotation", "cancel", "k"])
        .await
        .fails(2, "--yes");
    desk.run(&["keys", "rotation", "cancel", "k", "--yes"])
        .await
        .exits(0);
    assert_eq!(desk.api(&path).await["last8"], first);
    desk.run(&rotate).await.exits(0);
    let second = desk.api(&path).await["last8"].clone();
    desk.run(&["keys", "rotation", "finish", "k", "--yes"])
        .await
        .exits(0);
    assert_eq!(desk.api(&path).await["last8"], second);
    let again = desk
        .run(&["keys", "rotation", "finish", "k", "--yes"])
        .await;
    again.fails(1, "409 conflict");

    desk.run(&["keys", "delete", "k", "--yes"]).await.exits(0);
    assert_eq!(desk.shell.json(&["keys", "list"]).await["data"], json!([]));
    let table = desk
        .run(&["keys", "list", "--status", "deleted"])
        .await
        .table();
    assert_eq!(table[1][..3], [&id, "k", "deleted"]);
}
