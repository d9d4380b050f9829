//! `POST /v1/edge/usage`.

use serde_json::{Value, json};

use crate::support::app::text;
use crate::support::usage::{batch, report, row, signed};
use crate::support::{Answer, App, START};

const MINUTE: u64 = START / 60_000;

async fn counted(app: &App, id: &str) -> (Value, u64) {
    let key = app.get(&format!("/v1/keys/{id}")).await.expect(200);
    (
        key["lastUsedAt"].clone(),
        key["usageCount"].as_u64().unwrap(),
    )
}

#[tokio::test]
async fn a_batch_counts_once_however_often_it_comes() {
    let app = App::start().await;
    let id = text(&app.key(json!({"name": "k"})).await.0["id"]);
    assert_eq!(counted(&app, &id).await, (Value::Null, 0));
    let first = batch(
        "g",
        1,
        &[
            row(&id, MINUTE, "ok", 3),
            row(&id, MINUTE, "rate_limited", 2),
        ],
    );
    for _ in 0..3 {
        assert_eq!(report(&app, &first).await.expect(200), json!({"seq": 1}));
        let expected = (json!("2027-01-15T08:00:01.500Z"), 5);
        assert_eq!(counted(&app, &id).await, expected);
    }
    let second = batch("g", 2, &[row(&id, MINUTE + 1, "ok", 1)]);
    assert_eq!(report(&app, &second).await.expect(200), json!({"seq": 2}));
    // A late repetition of the first is answered with what is kept.
    assert_eq!(report(&app, &first).await.expect(200), json!({"seq": 2}));
    assert_eq!(counted(&app, &id).await.1, 6);
}

#[tokio::test]
async fn every_guard_counts_for_itself_and_gaps_are_taken() {
    let app = App::start().await;
    let id = text(&app.key(json!({"name": "k"})).await.0["id"]);
    for (guard, seq) in [("a", 1), ("b", 1), ("a", 5), ("b", 2), ("a", 4)] {
        report(&app, &batch(guard, seq, &[row(&id, MINUTE, "ok", 1)]))
            .await
            .expect(200);
    }
    assert_eq!(counted(&app, &id).await.1, 4);
    let answer = report(&app, &batch("a", 3, &[])).await.expect(200);
    assert_eq!(answer, json!({"seq": 5}));
}

#[tokio::test]
async fn last_used_never_goes_back() {
    let app = App::start().await;
    let id = text(&app.key(json!({"name": "k"})).await.0["id"]);
    report(&app, &batch("g", 1, &[row(&id, MINUTE + 9, "ok", 1)]))
        .await
        .expect(200);
    let (last, _) = counted(&app, &id).await;
    report(&app, &batch("g", 2, &[row(&id, MINUTE, "ok", 1)]))
        .await
        .expect(200);
    assert_eq!(counted(&app, &id).await, (last, 2));
}

#[tokio::test]
async fn the_same_batch_at_the_same_moment_counts_once() {
    let app = App::start().await;
    let id = text(&app.key(json!({"name": "k"})).await.0["id"]);
    let first = batch("g", 1, &[row(&id, MINUTE, "ok", 1)]);
    let (a, b, c) = tokio::join!(
        report(&app, &first),
        report(&app, &first),
        report(&app, &first)
    );
    for answer in [a, b, c] {
        assert_eq!(answer.expect(200), json!({"seq": 1}));
    }
    assert_eq!(counted(&app, &id).await.1, 1);
}

#[tokio::test]
async fn usage_of_unknown_keys_is_kept() {
    let app = App::start().await;
    report(&app, &batch("g", 1, &[row("key_unknown", MINUTE, "ok", 3)]))
        .await
        .expect(200);
    let kept = app.database.number(
        "select cast(sum(requests) as bigint) from usage_minutes where key_id = 'key_unknown'",
    );
    assert_eq!(kept.await, Some(3));
}

#[tokio::test]
async fn only_what_the_push_secret_signed_is_taken() {
    let app = App::start().await;
    let id = text(&app.key(json!({"name": "k"})).await.0["id"]);
    let body = batch("g", 1, &[row(&id, MINUTE, "ok", 1)]).to_string();
    let now = START / 1000;
    let read = |request: reqwest::RequestBuilder| async {
        Answer::read(request.send().await.unwrap()).await
    };
    let request = signed(&app, body.as_bytes(), now).body(body.replace("\"ok\"", "\"no\""));
    read(request).await.problem(401, "unauthorized");
    for at in [now - 301, now + 301, 0, u64::MAX] {
        read(signed(&app, body.as_bytes(), at))
            .await
            .problem(401, "unauthorized");
    }
    let twice = signed(&app, body.as_bytes(), now).header("webhook-id", "msg_2");
    read(twice).await.problem(401, "unauthorized");
    // An admin token is no signature.
    app.post("/v1/edge/usage", json!({}))
        .await
        .problem(401, "unauthorized");
    assert_eq!(counted(&app, &id).await.1, 0);
    read(signed(&app, body.as_bytes(), now - 300))
        .await
        .expect(200);
    assert_eq!(counted(&app, &id).await.1, 1);
}

#[tokio::test]
async fn a_signed_batch_is_checked_all_the_same() {
    let app = App::start().await;
    let now = START / 1000;
    for body in [&b""[..], b"{", b"\xff"] {
        let answer = signed(&app, body, now).send().await.unwrap();
        Answer::read(answer).await.problem(400, "invalid_json");
    }
    report(&app, &json!({})).await.refuses(&["guard"]);
    report(&app, &batch("", 1, &[])).await.refuses(&["guard"]);
    report(&app, &batch("g", 0, &[])).await.refuses(&["seq"]);
    report(&app, &batch("g", u64::MAX, &[]))
        .await
        .refuses(&["seq"]);
    let mut bad = row("key_1", MINUTE, "ok", 1);
    bad["count"] = json!(-1);
    report(&app, &batch("g", 1, &[bad]))
        .await
        .problem(422, "validation_failed");
    report(
        &app,
        &batch("g", 1, &[row(&"k".repeat(129), MINUTE, "ok", 1)]),
    )
    .await
    .refuses(&["rows[0]"]);
    let many: Vec<Value> = (0..2001).map(|n| row("key_1", n, "ok", 1)).collect();
    report(&app, &batch("g", 1, &many)).await.refuses(&["rows"]);
    report(&app, &batch("g", 1, &many[1..])).await.expect(200);
    let big = vec![b' '; 4 * 1024 * 1024 + 1];
    let answer = signed(&app, &big, now).send().await.unwrap();
    Answer::read(answer).await.problem(413, "payload_too_large");
}

#[tokio::test]
async fn absurd_numbers_add_up_without_harm() {
    let app = App::start().await;
    let id = text(&app.key(json!({"name": "k"})).await.0["id"]);
    for seq in 1..=3 {
        let huge = row(&id, MINUTE, "ok", 1);
        let mut huge = huge.clone();
        for field in ["count", "cost", "latencyMs", "lastAt"] {
            huge[field] = json!(u64::MAX);
        }
        report(&app, &batch("g", seq, &[huge])).await.expect(200);
    }
    assert_eq!(counted(&app, &id).await.1, 3 << 47);
    app.get(&format!("/v1/keys/{id}/usage")).await.expect(200);
}
