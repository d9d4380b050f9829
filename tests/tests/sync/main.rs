//! What differs between the edge and the database is found and mended.

mod command_line;
mod restored;

use std::time::Duration;

use keyward_tests::{Call, NewKey, PATIENCE, World, WorldOptions, eventually, free_port, world};
use serde_json::{Value, json};
use shared::token::KeyHash;

async fn get(world: &World, path: &str) -> Value {
    let answer = world.admin.send("GET", path, None).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn post(world: &World, path: &str, body: &Value) -> Value {
    let answer = world.admin.send("POST", path, Some(body)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// What a status or a repair lists of the one edge: fault and id, in order.
fn drift(answer: &Value) -> Vec<(String, String)> {
    let edge = &answer["data"][0];
    assert_eq!(edge["error"], Value::Null, "{answer}");
    let drift = edge["drift"].as_array().unwrap().iter();
    let mut drift: Vec<(String, String)> =
        drift.map(|d| (text(&d["fault"]), text(&d["id"]))).collect();
    drift.sort();
    drift
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn code(world: &World, key: &NewKey) -> String {
    let call = Call::get("/v1/customers").key(&key.token);
    world.send(&call).await.code().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_made_by_hand_is_found_by_status_and_mended_by_repair() {
    let world = world!();
    let mut keys = Vec::new();
    for _ in 0..20 {
        keys.push(world.key(json!({})).await);
    }
    assert_eq!(drift(&get(&world, "/v1/sync/status").await), []);

    let [missing, older, newer] = [&keys[0], &keys[1], &keys[2]].map(|k| k.key.id.clone());
    let unknown = "key_00000000000000000000";
    world.edge.kill();
    let shift = |id: &str, by: i64| {
        format!(
            "update records set version = version + {by}, body = json_set(body, '$.version', version + {by}) where id = '{id}';"
        )
    };
    let statements = [
        format!("delete from names where id = '{missing}'; delete from records where id = '{missing}';"),
        shift(&older, -1),
        shift(&newer, 1_000_000_000),
        format!(
            "insert into records select kind, '{unknown}', version, json_set(body, '$.id', '{unknown}') from records
               where id = '{newer}';"
        ),
    ];
    world.edge.meddle(&statements.concat()).await;
    world.edge.restart().await;

    let expected = [
        ("missing", &missing),
        ("newer", &newer),
        ("older", &older),
        ("unknown", &unknown.to_owned()),
    ]
    .map(|(fault, id)| (fault.to_owned(), id.clone()));
    let found = get(&world, "/v1/sync/status").await;
    assert_eq!(drift(&found), expected);
    assert_eq!(found["nextCursor"], Value::Null);
    let elsewhere = get(&world, "/v1/accounts").await["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| text(&account["id"]))
        .find(|id| *id != world.account)
        .unwrap();
    let path = format!("/v1/sync/status?accountId={elsewhere}");
    assert_eq!(drift(&get(&world, &path).await), []);

    let done = post(&world, "/v1/sync/repair", &json!({})).await;
    assert_eq!(drift(&done), [], "{done}");
    assert_eq!(
        (&done["pushed"], &done["republished"], &done["removed"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(done["propagated"], true);
    assert_eq!(drift(&get(&world, "/v1/sync/status").await), []);
    for key in &keys[..3] {
        let shown = world.admin.key(&key.key.id).await.unwrap().version;
        let held = world.edge.storage().await.key_version(&key.key.id);
        assert_eq!(held, shown);
        assert_eq!(code(&world, key).await, "ok");
    }
    let record = &world.edge.storage().await.records[&("key".to_owned(), unknown.to_owned())];
    assert_eq!(record["state"], "deleted");
    // Changes go on above what was mended.
    assert!(world.admin.revoke(&newer).await.unwrap());
    eventually("the revocation is in force", PATIENCE, || async {
        (code(&world, &keys[2]).await == "invalid_key").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_kv_lost_is_found_and_written_again() {
    let world = world!();
    let key = world.key(json!({})).await;
    let other = world.key(json!({})).await;
    let name = |key: &NewKey| format!("k/{}", KeyHash::of(&key.token).to_hex());
    world.edge.remove_from_kv(&name(&key)).await;
    world
        .edge
        .remove_from_kv(&format!("h/{}", keyward_tests::API_HOST))
        .await;
    // The guard has both: only a look at KV shows it.
    assert_eq!(drift(&get(&world, "/v1/sync/status").await), []);
    let found = get(&world, "/v1/sync/status?kv=true").await;
    let expected = [&world.api, &key.key.id].map(|id| ("copy".to_owned(), id.clone()));
    assert_eq!(drift(&found), expected);
    let done = post(&world, "/v1/sync/repair", &json!({"kv": true})).await;
    assert_eq!(drift(&done), []);
    assert_eq!(done["pushed"], 2);
    let history = world.edge.kv_history().await;
    for key in [&key, &other] {
        let last = history.iter().rfind(|write| write.name == name(key));
        assert_eq!(last.unwrap().record()["version"], key.key.version);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_lost_everything_is_given_everything_again() {
    let world = world!();
    let mut keys = Vec::new();
    for _ in 0..5 {
        keys.push(world.key(json!({})).await);
    }
    world.admin.revoke(&keys[4].key.id).await.unwrap();
    world.edge.kill();
    world.edge.wipe();
    world.edge.restart().await;
    let found = drift(&get(&world, "/v1/sync/status").await);
    assert!(found.iter().all(|(fault, _)| fault == "missing"));
    for key in &keys {
        assert!(found.iter().any(|(_, id)| *id == key.key.id));
    }
    post(&world, "/v1/sync/resync", &json!({})).await;
    eventually("the full delivery is through", PATIENCE, || async {
        let shown = get(&world, "/v1/sync").await;
        shown["data"][0]["fullDelivery"].is_null().then_some(())
    })
    .await;
    assert_eq!(drift(&get(&world, "/v1/sync/status?kv=true").await), []);
    for key in &keys[..4] {
        assert_eq!(code(&world, key).await, "ok");
    }
    assert_eq!(code(&world, &keys[4]).await, "invalid_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_edges_the_one_that_is_down_is_shown_with_what_waits_for_it() {
    let options = WorldOptions {
        propagation_wait: Some(Duration::from_millis(300)),
        ..WorldOptions::default()
    };
    let world = world!(options);
    let key = world.key(json!({})).await;
    world.settle().await;
    let down = format!("http://127.0.0.1:{}", free_port());
    world.control_plane.kill();
    let edges = vec![world.edge.url(), down.clone()];
    world.control_plane.set_edges(edges);
    world.control_plane.restart().await;
    assert!(!world.admin.revoke(&key.key.id).await.unwrap());
    let shown = eventually("the failure is shown", PATIENCE, || async {
        let shown = get(&world, "/v1/sync").await;
        let failed = shown["data"]
            .as_array()?
            .iter()
            .any(|t| t["reachable"] == false);
        let through = shown["data"]
            .as_array()?
            .iter()
            .any(|t| t["url"] == world.edge.url() && t["lag"]["urgent"]["records"] == 0);
        (failed && through).then_some(shown)
    })
    .await;
    let edge = |url: &str| {
        let mut edges = shown["data"].as_array().unwrap().iter();
        edges.find(|edge| edge["url"] == url).unwrap()
    };
    let waiting = |url: &str| edge(url)["lag"]["urgent"]["records"].clone();
    assert_eq!(
        (waiting(&world.edge.url()), waiting(&down)),
        (json!(0), json!(1))
    );
    let why = text(&edge(&down)["lastError"]["message"]);
    assert!(why.starts_with("no answer"), "{why}");
    assert!(!edge(&down)["fullDelivery"].is_null());
    assert_eq!(code(&world, &key).await, "invalid_key");
}
