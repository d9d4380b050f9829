//! Several control planes on one database: each edge is delivered to by one of them at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyward::admin_token::AdminToken;
use keyward::clock::Clock;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{text, version};
use crate::support::process::Process;
use crate::support::{App, Database, Edge, until};

/// The most records that a push of the urgent lane holds: so many may come twice around a kill.
const BATCH: usize = 100;

#[tokio::test]
async fn a_change_by_one_is_delivered_by_the_other_and_both_know() {
    let edge = Edge::start().await;
    let one = App::with_edges(&[edge.url()]).await;
    let (key, _) = one.key(json!({"name": "k"})).await;
    let other = one.beside(&[edge.url()]).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    let mut expected = vec![version(&key)];
    for round in 0..10 {
        for server in [&one, &other] {
            let body = json!({"name": round.to_string()});
            let answer = server.patch(&path, body).await.expect(200);
            assert_eq!(answer["propagated"], true);
            expected.push(version(&answer["key"]));
        }
    }
    // Once each: nobody delivers beside the holder.
    assert_eq!(edge.seen.versions(&text(&key["id"])), expected);
    let holders = one
        .database
        .number("select count(distinct holder) from edge_targets")
        .await;
    assert_eq!(holders, Some(1));
}

#[tokio::test]
async fn a_holder_that_stops_in_order_gives_its_edges_back_at_once() {
    let edge = Edge::start().await;
    let one = App::with_edges(&[edge.url()]).await;
    let (key, _) = one.key(json!({"name": "k"})).await;
    let database = Arc::clone(&one.database);
    // Nobody else takes it: what is there after the stop was given back by the holder.
    let left = one.stop().await;
    let held = "select count(*) from edge_targets where holder is not null";
    assert_eq!(database.number(held).await, Some(0));
    let other = left.start(&[edge.url()]).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    let answer = other.patch(&path, json!({"name": "x"})).await.expect(200);
    assert_eq!(answer["propagated"], true);
    assert_eq!(edge.seen.versions(&text(&key["id"])).len(), 2);
}

#[tokio::test]
async fn the_lease_of_a_holder_that_is_heard_of_no_more_runs_out() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    let left = app.stop().await;
    left.database
        .meddle("update edge_targets set holder = 'elsewhere/1/1/another-machine/0'")
        .await;
    let began = Instant::now();
    let app = left.start(&[edge.url()]).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    let answer = app.patch(&path, json!({"name": "x"})).await.expect(200);
    assert_eq!(answer["propagated"], true);
    let passed = began.elapsed();
    println!("taken over after {passed:?}");
    // Not before: it might live for three beats.
    assert!(passed > Duration::from_millis(2_500), "{passed:?}");
}

/// What a server was told of the keys that it changed: the versions of each.
type Confirmed = BTreeMap<String, Vec<u64>>;

/// Changes keys one after the other until the server is gone or `rounds` are over.
async fn load(server: &Process, admin: &str, keys: &[String], rounds: usize) -> Confirmed {
    let mut confirmed = Confirmed::new();
    for round in 0..rounds {
        for key in keys {
            let body = json!({"metadata": {"round": round}});
            let path = format!("/v1/keys/{key}");
            let Some(answer) = server.call(Method::PATCH, &path, admin, Some(&body)).await else {
                return confirmed;
            };
            let version = version(&answer.expect(200)["key"]);
            confirmed.entry(key.clone()).or_default().push(version);
        }
    }
    confirmed
}

#[tokio::test]
async fn one_of_two_is_killed_under_load_and_every_version_arrives_in_order() {
    let database = Database::fresh().await;
    let edge = Edge::start().await;
    let admin = AdminToken::mint().unwrap();
    let admin = admin.expose();
    let edges = [edge.url()];
    let mut holder = Process::serve(&database, admin, &edges, "one.log").await;
    let mut keys = Vec::new();
    for _ in 0..6 {
        let made = holder
            .call(Method::POST, "/v1/keys", admin, Some(&json!({"name": "k"})))
            .await;
        keys.push(text(&made.unwrap().expect(201)["key"]["id"]));
    }
    let other = Process::serve(&database, admin, &edges, "two.log").await;
    let (of_holder, of_other) = keys.split_at(3);
    let before = async {
        tokio::join!(
            load(&holder, admin, of_holder, 10),
            load(&other, admin, of_other, 10)
        )
    };
    let (first, second) = before.await;
    assert_eq!(repeated(&edge), 0, "while both live nothing comes twice");

    // The kill comes while both work.
    let began = Instant::now();
    let (third, fourth, ()) = tokio::join!(
        load(&holder, admin, of_holder, 10_000),
        load(&other, admin, of_other, 20),
        async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            holder.strike();
        },
    );
    println!("20 rounds beside the kill took {:?}", began.elapsed());
    holder.kill();
    let after = load(&other, admin, &keys, 3).await;

    let mut last = BTreeMap::new();
    for key in &keys {
        let path = format!("/v1/keys/{key}");
        let shown = other.call(Method::GET, &path, admin, None).await.unwrap();
        last.insert(key.clone(), version(&shown.expect(200)));
    }
    until("the last version of every key has arrived", || async {
        let state = edge.seen.state();
        let has = |(key, version): (&String, &u64)| {
            state.get(key).is_some_and(|r| r.version() == *version)
        };
        last.iter().all(has).then_some(())
    })
    .await;
    for key in &keys {
        let mut arrived = edge.seen.versions(key);
        let all = arrived.clone();
        arrived.sort_unstable();
        arrived.dedup();
        let mut new = Vec::new();
        for version in all {
            if new.last().is_none_or(|last| version > *last) {
                new.push(version);
            }
        }
        assert_eq!(new, arrived, "out of order");
        for confirmed in [&first, &second, &third, &fourth, &after] {
            for version in confirmed.get(key).into_iter().flatten() {
                assert!(arrived.contains(version), "{version} of {key} never came");
            }
        }
    }
    let twice = repeated(&edge);
    println!("{twice} records came twice around the kill");
    assert!(twice <= BATCH, "{twice}");
}

/// How many records came that had come before.
fn repeated(edge: &Edge) -> usize {
    let records = edge.seen.records();
    let mut known: Vec<(String, u64)> = records
        .iter()
        .map(|r| (r.id().to_owned(), r.version()))
        .collect();
    known.sort_unstable();
    known.dedup();
    records.len() - known.len()
}

#[tokio::test]
async fn an_edge_is_forgotten_only_when_no_server_is_configured_with_it_for_ten_minutes() {
    const MINUTE: u64 = 60_000;
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    let app = app.restart(&[]).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    let known = || app.database.number("select count(*) from edge_targets");
    let waiting = || app.database.number("select count(*) from outbox");
    let answer = app.patch(&path, json!({"name": "x"})).await.expect(200);
    assert_eq!(answer["propagated"], Value::Bool(false));
    app.clock.advance(5 * MINUTE);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!((known().await, waiting().await), (Some(1), Some(1)));
    app.clock.advance(6 * MINUTE);
    until("the edge is forgotten", || async {
        (known().await == Some(0)).then_some(())
    })
    .await;
    assert_eq!(waiting().await, Some(0));

    // Two servers that differ: one's edge is not the other's to forget.
    let other = app.beside(&[edge.url()]).await;
    for _ in 0..3 {
        other.clock.advance(4 * MINUTE);
        let now = other.clock.now();
        until("the other has said that it has the edge", || async {
            let wanted = app
                .database
                .number("select max(wanted_at) from edge_targets");
            (wanted.await >= i64::try_from(now).ok()).then_some(())
        })
        .await;
        app.clock.advance(4 * MINUTE);
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(known().await, Some(1));
    let made = other.post("/v1/keys", json!({"name": "k"})).await;
    assert_eq!(made.expect(201)["propagated"], true);
}
