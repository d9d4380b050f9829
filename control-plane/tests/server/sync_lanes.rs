//! Revocations overtake bulk work.

use std::collections::BTreeSet;

use keyward::audit::{Act, Caller, Target};
use keyward::store::Change;
use keyward::store::outbox::Lane;
use serde_json::json;
use shared::record::{KeyState, Record};

use crate::support::app::text;
use crate::support::{App, Edge, until};

const BULK: usize = 20_000;
/// A push of the bulk lane holds more; a revocation comes alone.
const MANY: usize = 2;

/// Puts records on their way as an import does; they belong to no row.
async fn put_on_their_way(app: &App, count: usize) {
    let store = app.store().await;
    let mut change = Change::begin(&store, 1, Caller::system()).await.unwrap();
    for number in 0..count {
        let record = json!({
            "kind": "key", "id": format!("key_bulk{number}"), "version": change.next_version(), "account": "acc_00000000",
            "environment": "prod", "state": "active",
            "credentials": [{"hash": shared::token::KeyHash::of(&number.to_string()).to_hex()}],
        });
        let record: Record = serde_json::from_value(record).unwrap();
        change.publish_in(Lane::Bulk, &record).await.unwrap();
    }
    let target = Target {
        kind: "key",
        id: "many".to_owned(),
        name: "many".to_owned(),
        account: String::new(),
    };
    let act = Act::on("pile_up", target, &serde_json::json!({})).unwrap();
    let _ = change.commit(act).await.unwrap();
    store.close().await;
}

async fn waits_in_bulk(app: &App) -> i64 {
    let waiting = app
        .database
        .number("select count(*) from outbox where lane = 1")
        .await;
    waiting.unwrap()
}

#[tokio::test]
async fn a_revocation_waits_for_none_of_twenty_thousand_records_that_the_edge_does_not_get_through()
{
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    edge.seen.hold(Some(MANY));
    put_on_their_way(&app, BULK).await;
    until("the bulk is under way", || async {
        (edge.seen.held() > 0).then_some(())
    })
    .await;
    for round in 0..3 {
        let act = if round % 2 == 0 {
            "revoke"
        } else {
            "reactivate"
        };
        let path = format!("/v1/keys/{}/{act}", text(&key["id"]));
        let answer = app.post(&path, json!({})).await.expect(200);
        assert_eq!(answer["propagated"], true);
    }
    assert_eq!(waits_in_bulk(&app).await, BULK as i64);
    let record = edge.seen.key(&text(&key["id"])).unwrap();
    assert_eq!(record.state, KeyState::Revoked);

    edge.seen.hold(None);
    until("the bulk is through", || async {
        (waits_in_bulk(&app).await == 0).then_some(())
    })
    .await;
    let records = edge.seen.records();
    // A push that was held for too long was given up, and came again.
    let mut arrived = BTreeSet::new();
    for record in records.iter().filter(|r| r.id().starts_with("key_bulk")) {
        let newest = arrived.last().copied().unwrap_or(0);
        let version = record.version();
        assert!(
            arrived.contains(&version) || version > newest,
            "out of order"
        );
        arrived.insert(version);
    }
    assert_eq!(arrived.len(), BULK);
}

#[tokio::test]
async fn a_revocation_overtakes_a_full_delivery_and_is_not_undone_by_it() {
    let app = App::start().await;
    let mut keys = Vec::new();
    for number in 0..300 {
        let (key, _) = app.key(json!({"name": number.to_string()})).await;
        keys.push(text(&key["id"]));
    }
    let edge = Edge::start().await;
    edge.seen.hold(Some(MANY));
    let app = app.restart(&[edge.url()]).await;
    let path = format!("/v1/keys/{}/revoke", keys[299]);
    let answer = app.post(&path, json!({})).await.expect(200);
    assert_eq!(answer["propagated"], true);
    assert!(
        edge.seen.state().len() < 300,
        "the full delivery was through before"
    );
    edge.seen.hold(None);
    until("everything has arrived", || async {
        (edge.seen.state().len() == 301).then_some(())
    })
    .await;
    let record = edge.seen.key(&keys[299]).unwrap();
    assert_eq!(record.state, KeyState::Revoked);
}
