//! `keyward sync`, the program itself, about a real edge.

use std::process::Output;

use keyward_tests::{World, world};
use serde_json::{Value, json};

fn sync(world: &World, arguments: &[&str]) -> Output {
    world
        .control_plane
        .program()
        .arg("sync")
        .args(arguments)
        .env("KEYWARD_SERVER", world.control_plane.url())
        .env("KEYWARD_TOKEN", &world.secrets.admin_token)
        .output()
        .unwrap()
}

#[track_caller]
fn exits(output: &Output, code: i32) -> String {
    let out = String::from_utf8(output.stdout.clone()).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{out}\n{error}");
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_finds_drift_and_mends_it() {
    let world = world!();
    let key = world.key(json!({})).await.key.id;
    let shown = exits(&sync(&world, &["show"]), 0);
    assert!(shown.contains("takes pushes"), "{shown}");
    let status = exits(&sync(&world, &["status"]), 0);
    assert!(status.contains("Records that differ: 0."), "{status}");

    world.edge.kill();
    let lost =
        format!("delete from names where id = '{key}'; delete from records where id = '{key}';");
    world.edge.meddle(&lost).await;
    world.edge.restart().await;
    let status = exits(&sync(&world, &["status"]), 1);
    assert!(
        status.contains("missing") && status.contains(&key),
        "{status}"
    );
    let repaired = exits(&sync(&world, &["repair", "--json"]), 0);
    let repaired: Value = serde_json::from_str(&repaired).unwrap();
    assert_eq!(
        (&repaired["pushed"], &repaired["drift"]),
        (&json!(1), &json!([]))
    );
    exits(&sync(&world, &["status", "--account", &world.account]), 0);
    let edges = exits(&sync(&world, &["resync", "--json"]), 0);
    let edges: Value = serde_json::from_str(&edges).unwrap();
    assert_eq!(edges["data"][0]["url"], json!(world.edge.url()));
    let refused = sync(&world, &["resync", "--target", "https://nobody.example"]);
    assert_eq!(refused.status.code(), Some(1));
}
