//! Delivery to edges that are not there, or do not take what they are given.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::app::{text, version};
use crate::support::edge::{Refusal, Seen};
use crate::support::{App, Edge, until};

#[tokio::test]
async fn changes_wait_for_an_edge_that_is_down_and_arrive_in_order() {
    let address = Edge::nowhere().await;
    let app = App::with_absent_edges(&[format!("http://{address}")]).await;
    let made = app.post("/v1/keys", json!({"name": "k"})).await.expect(201);
    assert_eq!(made["propagated"], false);
    let id = text(&made["key"]["id"]);
    let waiting = || app.database.number("select count(*) from outbox");
    assert_eq!(waiting().await, Some(2));

    let edge = Edge::at(address, Seen::default()).await;
    let arrived = || async { edge.seen.key(&id) };
    until("the key has arrived", arrived).await;
    until("nothing waits", || async {
        (waiting().await == Some(0)).then_some(())
    })
    .await;
    // It comes and goes.
    let seen = edge.seen.clone();
    drop(edge);
    let mut versions = vec![version(&made["key"])];
    for name in ["a", "b", "c"] {
        let path = format!("/v1/keys/{id}");
        let changed = app.patch(&path, json!({"name": name})).await.expect(200);
        versions.push(version(&changed["key"]));
    }
    let edge = until("the port is free again", || async {
        let free = std::net::TcpListener::bind(address).is_ok();
        if free {
            Some(Edge::at(address, seen.clone()).await)
        } else {
            None
        }
    })
    .await;
    until("the last change has arrived", || async {
        edge.seen
            .key(&id)
            .filter(|k| Some(&k.version) == versions.last())
    })
    .await;
    assert_eq!(edge.seen.versions(&id), versions);
}

#[tokio::test]
async fn one_edge_that_is_down_does_not_hold_up_another_but_is_waited_for() {
    let up = Edge::start().await;
    let down = format!("http://{}", Edge::nowhere().await);
    let app = App::with_absent_edges(&[down, up.url()]).await;
    let made = app.post("/v1/keys", json!({"name": "k"})).await.expect(201);
    assert_eq!(made["propagated"], false);
    let id = text(&made["key"]["id"]);
    until("the other edge has it", || async { up.seen.key(&id) }).await;
}

#[tokio::test]
async fn a_refused_push_is_not_skipped() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    for status in [400, 401, 403, 404, 413, 429, 500, 503, 302, 204] {
        let (key, _) = app.key(json!({"name": "k"})).await;
        let id = text(&key["id"]);
        edge.seen.answer(Some(Refusal::Status(status)));
        let before = edge.seen.attempts();
        let path = format!("/v1/keys/{id}");
        let patch = app.patch(&path, json!({"name": "x"}));
        let mended = async {
            let again = || async { (edge.seen.attempts() >= before + 2).then_some(()) };
            until("the push was tried again", again).await;
            assert_eq!(edge.seen.versions(&id), [version(&key)], "{status}");
            edge.seen.answer(None);
        };
        let (answer, ()) = tokio::join!(patch, mended);
        let changed = answer.expect(200);
        assert_eq!(changed["propagated"], true, "{status}");
        let versions = [version(&key), version(&changed["key"])];
        assert_eq!(edge.seen.versions(&id), versions);
    }
}

#[tokio::test]
async fn a_push_that_is_too_much_for_the_edge_is_halved_until_it_fits_and_grows_again() {
    let edge = Edge::start().await;
    let app = App::with_absent_edges(&[edge.url()]).await;
    // Made while the edge takes nothing, so that they come in one go.
    let pile_up = async || {
        edge.seen.answer(Some(Refusal::Status(503)));
        let made = (0..110).map(|_| app.key(json!({"name": "k"})));
        let ids = join_all(made)
            .await
            .into_iter()
            .map(|(key, _)| text(&key["id"]));
        ids.collect::<Vec<_>>()
    };
    let have_arrived = async |ids: &[String]| {
        let all = || async {
            let state = edge.seen.state();
            ids.iter().all(|id| state.contains_key(id)).then_some(())
        };
        until("all have arrived", all).await;
    };
    let ids = pile_up().await;
    edge.seen.answer(Some(Refusal::TooMany(30)));
    have_arrived(&ids).await;
    let sizes = edge.seen.batches();
    assert!(sizes.iter().all(|size| *size <= 30), "{sizes:?}");
    // Nothing came twice on the way.
    assert_eq!(edge.seen.records().len(), edge.seen.state().len());
    let ids = pile_up().await;
    edge.seen.answer(None);
    have_arrived(&ids).await;
    let largest = edge.seen.batches().into_iter().max();
    assert!(largest > Some(30), "{largest:?}");
}

#[tokio::test]
async fn a_push_whose_answer_is_no_receipt_is_repeated() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    edge.seen.answer(Some(Refusal::NoReceipt));
    let making = app.post("/v1/keys", json!({"name": "k"}));
    let mended = async {
        let twice = || async { (edge.seen.batches().len() >= 2).then_some(()) };
        until("the push was tried again", twice).await;
        edge.seen.answer(None);
    };
    let (answer, ()) = tokio::join!(making, mended);
    let made = answer.expect(201);
    assert_eq!(made["propagated"], true);
    // The receiver checks that no attempt was a replay of another.
    assert!(
        edge.seen
            .versions(made["key"]["id"].as_str().unwrap())
            .len()
            >= 2
    );
}

#[tokio::test]
async fn a_dead_edge_is_not_hailed_at_by_a_busy_admin() {
    let edge = Edge::start().await;
    let app = App::with_absent_edges(&[edge.url()]).await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    edge.seen.answer(Some(Refusal::Status(503)));
    let begun = std::time::Instant::now();
    let before = edge.seen.attempts();
    let app = &app;
    let path = path.as_str();
    let patches = (0..200).map(|n| async move {
        let body = json!({"name": n.to_string()});
        let call = app.request(reqwest::Method::PATCH, path).json(&body);
        // Nobody waits for the answer.
        let _ = call.timeout(Duration::from_millis(5)).send().await;
    });
    for patch in patches {
        patch.await;
    }
    // Pauses of at least 50, 100, 200 … ms: so many fit in, and each may be cut into once.
    let attempts = edge.seen.attempts() - before;
    let passed = begun.elapsed().as_millis() as f64;
    let pauses = (passed / 50.0 + 1.0).log2().ceil() as usize + 1;
    assert!(attempts <= 2 * pauses, "{attempts} attempts in {passed} ms");
}

#[tokio::test]
async fn a_restart_delivers_what_was_left() {
    let address = Edge::nowhere().await;
    let urls = [format!("http://{address}")];
    let app = App::with_absent_edges(&urls).await;
    let made = app.post("/v1/keys", json!({"name": "k"})).await.expect(201);
    let id = text(&made["key"]["id"]);
    let revoked = app
        .post(&format!("/v1/keys/{id}/revoke"), json!({}))
        .await
        .expect(200);
    let revoked = version(&revoked["key"]);
    let app = app.restart(&urls).await;
    let edge = Edge::at(address, Seen::default()).await;
    let last = until("the revocation has arrived", || async {
        edge.seen.key(&id).filter(|k| k.version == revoked)
    });
    last.await;
    assert!(edge.seen.versions(&id).is_sorted());
    drop(app);
}

#[tokio::test]
async fn the_server_stops_while_an_edge_is_silent() {
    let edge = Edge::start().await;
    let app = App::with_absent_edges(&[edge.url()]).await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    let id = text(&key["id"]);
    // Else the silence would meet the push of the key itself, and both would come again together.
    until("nothing waits", || async {
        let waiting = app.database.number("select count(*) from outbox").await;
        (waiting == Some(0)).then_some(())
    })
    .await;
    edge.seen.answer(Some(Refusal::Silence));
    let path = format!("/v1/keys/{id}");
    let changed = app.patch(&path, json!({"name": "x"})).await.expect(200);
    assert_eq!(changed["propagated"], false);
    let last = version(&changed["key"]);
    let taken = || async { edge.seen.versions(&id).ends_with(&[last]).then_some(()) };
    until("the edge has the change", taken).await;
    // A push is waited for 30 s: who waited for this one would not be done by then.
    let stopping = tokio::time::timeout(Duration::from_secs(25), app.stop());
    let stopped = stopping.await.expect("the server did not stop");
    // The edge has taken the change, but nobody was told, and so it comes again.
    edge.seen.answer(None);
    let app = stopped.start(&[edge.url()]).await;
    let again = || async {
        edge.seen
            .versions(&id)
            .ends_with(&[last, last])
            .then_some(())
    };
    until("the change has arrived again", again).await;
    drop(app);
}
