//! A change that is committed in the control plane reaches the edge, whatever dies in between, and nothing overtakes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use keyward_tests::{
    Admin, Call, GuardNetwork, Key, KvVersion, NewKey, PATIENCE, World, WorldOptions, below,
    eventually, world,
};
use serde_json::{Value, json};
use tokio::time::sleep;

const KILLS: u64 = 20;
const KEYS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn the_edge_ends_with_the_last_version_of_every_key_although_the_control_plane_is_killed_twenty_times()
 {
    let world = world!();
    let mut keys = Vec::new();
    for _ in 0..KEYS {
        keys.push(world.key(json!({})).await);
    }
    let mut acknowledged = BTreeMap::new();
    let mut caught = 0;
    for round in 0..KILLS {
        // Every other time pushes take long, so that the kill finds changes that are committed and not delivered.
        let slow = round % 2 == 1;
        // One of them takes longer than any machine needs for the kill.
        let delay = match round {
            1 => PATIENCE,
            _ if slow => Duration::from_millis(60),
            _ => Duration::ZERO,
        };
        let network = GuardNetwork {
            delay,
            ..GuardNetwork::default()
        };
        world.edge.set_guard_network(network).await;
        let burst = burst(&world, &keys);
        if slow {
            eventually("a change is committed", PATIENCE, || async {
                (world.control_plane.undelivered().await > 0).then_some(())
            })
            .await;
        }
        sleep(Duration::from_millis(below(30))).await;
        world.control_plane.kill();
        caught += u64::from(world.control_plane.undelivered().await > 0);
        world.edge.set_guard_network(GuardNetwork::default()).await;
        for (key, version) in burst.await.into_iter().flatten() {
            acknowledged.insert(key, version);
        }
        world.control_plane.restart().await;
    }
    println!("{caught} of {KILLS} kills found changes committed and not delivered");
    assert!(caught > 0, "no kill came between commit and delivery");

    let now = world.admin.keys().await.unwrap();
    assert!(now.len() >= KEYS);
    for key in &now {
        let known = acknowledged.get(&key.id).copied().unwrap_or(1);
        assert!(
            key.version >= known,
            "{}: an acknowledged change is gone",
            key.id
        );
    }
    everything_has_arrived(&world, &now).await;
    nothing_went_back(&world.edge.kv_history().await);
    gates_do_as_the_control_plane_says(&world, &keys).await;
}

/// One change of every key and a new one, all at once. What they came to: ids and versions, of those that were
/// answered.
fn burst(
    world: &World,
    keys: &[NewKey],
) -> impl Future<Output = Vec<Option<(String, u64)>>> + use<> {
    let admin = Arc::new(world.admin.clone());
    let changes = keys.iter().map(|key| {
        let (admin, id) = (Arc::clone(&admin), key.key.id.clone());
        tokio::spawn(async move { change(&admin, &id).await })
    });
    let mut changes: Vec<_> = changes.collect();
    let body = keyward_tests::open_key(&world.account, json!({}));
    changes.push(tokio::spawn(async move {
        let new = admin.create_key(&body).await.ok()?;
        Some((new.key.id, new.key.version))
    }));
    async move {
        let done = join_all(changes).await;
        done.into_iter()
            .map(|change| change.ok().flatten())
            .collect()
    }
}

async fn change(admin: &Admin, id: &str) -> Option<(String, u64)> {
    let path = format!("/v1/keys/{id}");
    let body = json!({"metadata": {"number": below(1_000)}});
    let answer = match below(3) {
        0 => admin.send("POST", &format!("{path}/revoke"), None).await,
        1 => {
            admin
                .send("POST", &format!("{path}/reactivate"), None)
                .await
        }
        _ => admin.send("PATCH", &path, Some(&body)).await,
    };
    let answer = answer.ok().filter(|a| a.status == 200)?;
    Some((id.to_owned(), answer.json()["key"]["version"].as_u64()?))
}

/// Guard and KV have the control plane's version and state of every key.
async fn everything_has_arrived(world: &World, keys: &[Key]) {
    eventually(
        "the edge has the last version of every key",
        PATIENCE,
        || async {
            let guards = world.edge.storage().await;
            let kv = latest(&world.edge.kv_history().await);
            let arrived = keys.iter().all(|key| {
                let at = ("key".to_owned(), key.id.clone());
                let expected = (Some(key.version), Some(key.status.as_str()));
                let has = |record: Option<&Value>| {
                    record.is_some_and(|r| (r["version"].as_u64(), r["state"].as_str()) == expected)
                };
                has(guards.records.get(&at)) && has(kv.get(&key.id))
            });
            (arrived && world.control_plane.undelivered().await == 0).then_some(())
        },
    )
    .await;
}

/// What KV has of every key, by the key's id.
fn latest(history: &[KvVersion]) -> BTreeMap<String, Value> {
    let of_keys = history.iter().filter(|v| v.name.starts_with("k/"));
    let records = of_keys.map(KvVersion::record);
    records
        .filter_map(|record| Some((record["id"].as_str()?.to_owned(), record)))
        .collect()
}

/// No name of KV was ever given an older version than it had.
fn nothing_went_back(history: &[KvVersion]) {
    let mut versions = BTreeMap::new();
    for write in history.iter().filter(|write| write.value.is_some()) {
        let version = write.record()["version"].as_u64().expect("a version");
        let before = versions.insert(write.name.as_str(), version).unwrap_or(0);
        assert!(
            before <= version,
            "{}: {version} after {before}",
            write.name
        );
    }
}

async fn gates_do_as_the_control_plane_says(world: &World, keys: &[NewKey]) {
    for key in keys {
        let status = world.admin.key(&key.key.id).await.unwrap().status;
        let expected = if status == "active" { 200 } else { 401 };
        let call = Call::get("/v1/customers").key(&key.token);
        eventually(
            &format!("a key that is {status} gets {expected}"),
            PATIENCE,
            || async { (world.send(&call).await.status == expected).then_some(()) },
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_wait_for_an_edge_that_is_away_and_arrive_when_it_is_back() {
    let options = WorldOptions {
        propagation_wait: Some(Duration::from_millis(300)),
        ..WorldOptions::default()
    };
    let world = world!(options);
    let (revoked, changed) = (world.key(json!({})).await, world.key(json!({})).await);
    world.settle().await;
    for key in [&revoked, &changed] {
        let call = Call::get("/v1/customers").key(&key.token);
        assert_eq!(world.send(&call).await.status, 200);
    }
    world.edge.kill();
    let admin = &world.admin;
    assert!(!admin.revoke(&revoked.key.id).await.unwrap());
    for permissions in [json!([]), json!(["*"]), json!(["agents.read"])] {
        let body = json!({"permissions": permissions});
        assert!(!admin.patch_key(&changed.key.id, &body).await.unwrap());
    }
    let made = world.key(json!({})).await;
    assert!(!made.propagated);
    // The changes outlast the control plane as well.
    world.control_plane.kill();
    assert_eq!(world.control_plane.undelivered().await, 5);
    world.control_plane.restart().await;
    world.edge.restart().await;

    everything_has_arrived(&world, &admin.keys().await.unwrap()).await;
    nothing_went_back(&world.edge.kv_history().await);
    for (key, code) in [
        (&revoked, "invalid_key"),
        (&changed, "insufficient_permission"),
        (&made, "ok"),
    ] {
        let call = Call::get("/v1/customers").key(&key.token);
        assert_eq!(world.send(&call).await.code(), code);
    }
    eventually("calls propagate again", PATIENCE, || async {
        let propagated = admin.reactivate(&revoked.key.id).await.unwrap();
        propagated.then_some(())
    })
    .await;
}

/// A push that is cut off goes on at the edge, and the next one may come before it has ended.
#[tokio::test(flavor = "multi_thread")]
async fn kv_keeps_the_newest_version_although_writes_of_two_pushes_overtake_each_other() {
    let world = world!();
    let key = world.key(json!({})).await;
    let history = world.edge.kv_history().await;
    let records = [
        newest(&history, "key", &key.key.id),
        newest(&history, "api", &world.api),
    ];
    let first = push_of(&records, 1);
    let second = push_of(&records, 2);
    world.edge.set_kv_slow(Duration::from_secs(1)).await;
    let cut_off = world.edge.signed(0, "/.keyward/push", Some(&first));
    let overtaking = async {
        eventually("the guard has the first push", PATIENCE, || async {
            let has = world.edge.storage().await.key_version(&key.key.id);
            (has == key.key.version + 1).then_some(())
        })
        .await;
        world.edge.set_kv_slow(Duration::ZERO).await;
        world.edge.signed(0, "/.keyward/push", Some(&second)).await
    };
    let (_, answer) = futures_util::future::join(cut_off, overtaking).await;
    assert_eq!(answer.status, 200, "{}", answer.text());

    let history = world.edge.kv_history().await;
    for (before, id) in records.iter().zip([&key.key.id, &world.api]) {
        let kind = before["kind"].as_str().unwrap_or_default();
        let version = newest(&history, kind, id)["version"].as_u64();
        let expected = before["version"].as_u64().map(|v| v + 2);
        assert_eq!(version, expected, "the {kind} in KV");
    }
}

/// What was last written to KV of a record, as pushes have it.
fn newest(history: &[KvVersion], kind: &str, id: &str) -> Value {
    let mut records = history.iter().map(KvVersion::record);
    let mut record = records
        .rfind(|record| record["id"] == *id)
        .expect("KV has the record");
    record["kind"] = kind.into();
    record
}

/// A push of these records, each `by` versions later.
fn push_of(records: &[Value], by: u64) -> String {
    let later = records.iter().map(|record| {
        let mut record = record.clone();
        record["version"] = record["version"].as_u64().map(|v| v + by).into();
        record
    });
    json!({"records": later.collect::<Vec<_>>()}).to_string()
}

/// An edge that is configured anew is given every record, in another order than that of the changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_moved_to_another_api_stays_there_when_everything_is_delivered_again() {
    const MOVED: &str = "moved.example.test";
    let world = world!();
    let key = world.key(json!({})).await;
    let mut apis = Vec::new();
    for own in ["one.example.test", "two.example.test"] {
        let body = json!({
            "name": own, "accountId": world.account, "upstream": world.upstream.url(), "unlisted": "open",
            "endpoints": endpoints(&[own]),
        });
        apis.push((world.admin.create_api(&body).await.unwrap(), own));
    }
    apis.sort();
    let [(new, new_own), (old, old_own)] = <[_; 2]>::try_from(apis).expect("two APIs");
    for (api, hosts) in [
        (&old, vec![old_own, MOVED]),
        (&old, vec![old_own]),
        (&new, vec![new_own, MOVED]),
    ] {
        let body = json!({"endpoints": endpoints(&hosts)});
        assert!(world.admin.patch_api(api, &body).await.unwrap());
    }
    for edges in [vec![], vec![world.edge.url()]] {
        world.control_plane.kill();
        world.control_plane.set_edges(edges);
        world.control_plane.restart().await;
    }
    eventually("everything is delivered again", PATIENCE, || async {
        let propagated = world.admin.reactivate(&key.key.id).await.unwrap();
        propagated.then_some(())
    })
    .await;
    let history = world.edge.kv_history().await;
    let host = format!("h/{MOVED}");
    let last = history.iter().rfind(|write| write.name == host);
    let record = last.map(KvVersion::record).unwrap_or_default();
    assert_eq!(record["id"], new.as_str(), "who answers for {MOVED}");
    let call = Call::get("/").host(MOVED).key(&key.token);
    eventually("the host answers", PATIENCE, || async {
        (world.send(&call).await.status == 200).then_some(())
    })
    .await;
}

fn endpoints(hosts: &[&str]) -> Value {
    let endpoints = hosts
        .iter()
        .map(|host| json!({"host": host, "environment": "production"}));
    endpoints.collect()
}
