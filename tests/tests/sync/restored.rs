//! A database that was restored from a backup is accepted by the edge.

use keyward_tests::{PATIENCE, eventually, open_key, world};
use serde_json::json;

use crate::{code, drift, get, post};

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restored_backup_repair_makes_the_edge_what_the_database_says() {
    let world = world!();
    let kept = world.key(json!({})).await;
    let untouched = world.key(json!({})).await;
    world.control_plane.kill();
    let database = world.control_plane.database();
    let side = |end: &str| database.with_extension(format!("db{end}"));
    let backup = database.with_extension("backup");
    for end in ["", "-wal"] {
        if side(end).exists() {
            std::fs::copy(side(end), format!("{}{end}", backup.display())).unwrap();
        }
    }
    world.control_plane.restart().await;

    // All of this is forgotten.
    let admin = &world.admin;
    assert!(admin.revoke(&kept.key.id).await.unwrap());
    let unknown = world.key(json!({})).await;
    let account = json!({"name": "later", "parentId": world.account});
    let account = admin.create_account(&account).await.unwrap();
    let below = admin
        .create_key(&open_key(&account, json!({})))
        .await
        .unwrap();
    assert_eq!(code(&world, &unknown).await, "ok");

    world.control_plane.kill();
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(side(end));
        let saved = format!("{}{end}", backup.display());
        if std::path::Path::new(&saved).exists() {
            std::fs::copy(saved, side(end)).unwrap();
        }
    }
    world.control_plane.restart().await;
    let found = drift(&get(&world, "/v1/sync/status").await);
    let has = |fault: &str, id: &str| found.iter().any(|(f, i)| f == fault && i == id);
    assert!(has("newer", &kept.key.id), "{found:?}");
    for id in [&unknown.key.id, &account, &below.key.id] {
        assert!(has("unknown", id), "{id}: {found:?}");
    }
    assert!(!found.iter().any(|(_, id)| *id == untouched.key.id));

    let done = post(&world, "/v1/sync/repair", &json!({})).await;
    assert_eq!(drift(&done), [], "{done}");
    assert_eq!(done["propagated"], true);
    assert_eq!(drift(&get(&world, "/v1/sync/status?kv=true").await), []);
    for (key, expected) in [
        (&kept, "ok"),
        (&untouched, "ok"),
        (&unknown, "invalid_key"),
        (&below, "invalid_key"),
    ] {
        eventually(expected, PATIENCE, || async {
            (code(&world, key).await == expected).then_some(())
        })
        .await;
    }
    // Another full delivery brings nothing back.
    post(&world, "/v1/sync/resync", &json!({})).await;
    eventually("the full delivery is through", PATIENCE, || async {
        let shown = get(&world, "/v1/sync").await;
        shown["data"][0]["fullDelivery"].is_null().then_some(())
    })
    .await;
    assert_eq!(drift(&get(&world, "/v1/sync/status").await), []);
    assert_eq!(code(&world, &unknown).await, "invalid_key");
    assert!(admin.revoke(&kept.key.id).await.unwrap());
    assert_eq!(code(&world, &kept).await, "invalid_key");
}
