//! Usage reports to the control plane that nobody sent, or not so, or twice.

use keyward_tests::{Call, World, now, world};
use serde_json::{Value, json};
use shared::webhook::TOLERANCE_SECONDS;

use crate::signed::{Message, another_secret, to_control_plane};
use crate::survival::Survival;

const PATH: &str = "/v1/edge/usage";
/// A code that no real request has, to tell these reports from the edge's own.
const CODE: &str = "made_up";

fn row(key: &str, count: u64) -> Value {
    let at = now();
    json!({
        "key": key, "api": "api_1", "minute": at / 60_000, "code": CODE, "class": 4,
        "count": count, "cost": count, "latencyMs": 0, "lastAt": at,
    })
}

fn batch(seq: u64, rows: &[Value]) -> Value {
    json!({"guard": "made-up", "account": "acc_00000000", "seq": seq, "rows": rows})
}

async fn counted(world: &World, key: &str) -> u64 {
    let usage = world.admin.usage(key).await.unwrap();
    usage.get(CODE).copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_report_counts_once() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let key = survival.key.key.id.as_str();
    let report = Message::new(&world, batch(1, &[row(key, 7)]).to_string());
    for _ in 0..3 {
        let answer = to_control_plane(&world, &report.post(PATH)).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"seq": 1})));
    }
    // The same batch signed anew, as by a guard whose answer was lost.
    let again = Message::new(&world, report.body.clone());
    let answer = to_control_plane(&world, &again.post(PATH)).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"seq": 1})));
    assert_eq!(counted(&world, key).await, 7);
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_that_are_unsigned_signed_by_another_tampered_with_or_late_count_nothing() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let key = survival.key.key.id.as_str();
    let good = Message::new(&world, batch(1, &[row(key, 7)]).to_string());
    let unsigned = Call::post(PATH).header("content-type", "application/json");
    let at = |at: u64| Message { at, ..good.clone() }.post(PATH);
    let by_another = Message {
        secret: another_secret(),
        ..good.clone()
    };
    let tampered = batch(1, &[row(key, 8)]).to_string();
    for call in [
        unsigned.clone().body(good.body.clone()),
        unsigned
            .key(&world.secrets.admin_token)
            .body(good.body.clone()),
        by_another.post(PATH),
        good.post(PATH).body(tampered),
        good.post(PATH).header("webhook-id", "msg_2"),
        at(good.at - TOLERANCE_SECONDS - 2),
        at(good.at + TOLERANCE_SECONDS + 60),
        at(u64::MAX),
    ] {
        let answer = to_control_plane(&world, &call).await;
        answer.problem(401, "unauthorized");
    }
    assert_eq!(counted(&world, key).await, 0);
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_nonsense_counts_nothing() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let key = survival.key.key.id.as_str();
    for body in [&b""[..], b"{", b"nonsense", b"{\"guard\":\"\xff\"}"] {
        let message = Message::new(&world, body);
        let answer = to_control_plane(&world, &message.post(PATH)).await;
        answer.problem(400, "invalid_json");
    }
    let negative = {
        let mut row = row(key, 1);
        row["count"] = json!(-1);
        row
    };
    for body in [
        json!([]),
        json!({}),
        batch(0, &[row(key, 1)]),
        batch(u64::MAX, &[row(key, 1)]),
        batch(1, &[negative]),
        batch(1, &[row(&"k".repeat(129), 1)]),
        batch(1, &[row("key\u{0}", 1)]),
        batch(1, &vec![row(key, 1); 2_001]),
    ] {
        let message = Message::new(&world, body.to_string());
        let answer = to_control_plane(&world, &message.post(PATH)).await;
        answer.problem(422, "validation_failed");
    }
    let large = Message::new(&world, " ".repeat(4 * 1024 * 1024 + 1));
    let answer = to_control_plane(&world, &large.post(PATH)).await;
    answer.problem(413, "payload_too_large");
    let answer = to_control_plane(&world, &Call::get(PATH)).await;
    answer.problem(405, "method_not_allowed");
    assert_eq!(counted(&world, key).await, 0);
    survival.holds().await;
}
