//! Pushes that nobody sent, or not so, or not now.

use keyward_tests::{Call, RawRequest, World, world};
use serde_json::{Value, json};
use shared::webhook::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, TOLERANCE_SECONDS};

use crate::signed::{Message, another_secret};
use crate::survival::Survival;

const PATH: &str = "/.keyward/push";

/// A push that would revoke a key, if it were believed.
async fn revocation(world: &World, key: &str) -> Value {
    let mut record = record_of(world, key).await;
    record["state"] = "revoked".into();
    record["version"] = (record["version"].as_u64().unwrap_or(0) + 1).into();
    json!({"records": [record]})
}

async fn record_of(world: &World, key: &str) -> Value {
    let storage = world.edge.storage().await;
    let at = ("key".to_owned(), key.to_owned());
    let mut record = storage.records[&at].clone();
    record["kind"] = "key".into();
    record
}

/// All that a push could have changed.
async fn stored(world: &World) -> (Vec<(String, u64)>, usize) {
    let storage = world.edge.storage().await;
    let versions = storage.records.iter().map(|((kind, id), record)| {
        let version = record["version"].as_u64().unwrap_or(0);
        (format!("{kind} {id}"), version)
    });
    (versions.collect(), world.edge.kv_history().await.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_that_are_unsigned_signed_by_another_tampered_with_or_late_change_nothing() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let before = stored(&world).await;
    let body = revocation(&world, &survival.key.key.id).await.to_string();
    let good = Message::new(&world, body.clone());
    let json = |call: Call| call.header("content-type", "application/json");
    let unsigned = || json(Call::post(PATH)).body(body.clone());
    let at = |at: u64| Message { at, ..good.clone() }.post(PATH);
    let by_another = Message {
        secret: another_secret(),
        ..good.clone()
    };
    let of_nothing = Message::new(&world, "");
    let long_id = Message {
        id: "a".repeat(129),
        ..good.clone()
    };
    let seconds = good.at.to_string();
    let with = |id: &str, timestamp: &str, signature: &str| {
        unsigned()
            .header(ID_HEADER, id)
            .header(TIMESTAMP_HEADER, timestamp)
            .header(SIGNATURE_HEADER, signature)
    };
    let tampered = good.post(PATH).body(body.replace("revoked", "deleted"));
    for call in [
        unsigned(),
        unsigned().header(ID_HEADER, "msg_1"),
        unsigned().header(SIGNATURE_HEADER, "v1,AAAA"),
        with("msg_1", &seconds, ""),
        with("msg_1", &seconds, "v1,"),
        with("msg_1", &seconds, "v1,!!!"),
        with("msg_1", &seconds, "v0,AAAA v2,AAAA"),
        with("", &seconds, "v1,AAAA"),
        with("msg_1", "-1", "v1,AAAA"),
        with("msg_1", "soon", "v1,AAAA"),
        with("msg_1", "99999999999999999999999", "v1,AAAA"),
        with("msg_1", &seconds, &"v1,AAAA ".repeat(10_000)),
        by_another.post(PATH),
        tampered,
        good.post(PATH).body(format!("{body} ")),
        json(of_nothing.head(Call::post(PATH))).body(body.clone()),
        long_id.post(PATH),
        good.post(PATH).header(ID_HEADER, "msg_2"),
        at(good.at - TOLERANCE_SECONDS - 2),
        at(good.at + TOLERANCE_SECONDS + 60),
        at(0),
        at(u64::MAX),
    ] {
        let answer = world.send(&call).await;
        answer.problem(401, "invalid_signature");
    }
    let line = format!("POST {PATH} HTTP/1.1");
    let not_text = RawRequest::new(line)
        .header(b"webhook-id: \xff\xfe".to_vec())
        .header(b"webhook-timestamp: \xff".to_vec())
        .header(b"webhook-signature: v1,\xff".to_vec())
        .body(body);
    let answer = not_text.send(&world.edge.url()).await.expect("an answer");
    answer.problem(401, "invalid_signature");
    assert_eq!(stored(&world).await, before);
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_push_changes_nothing_even_what_came_after_it() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let other = world.key(json!({})).await;
    let revocation = revocation(&world, &other.key.id).await;
    let push = Message::new(&world, revocation.to_string());
    let answer = world.send(&push.post(PATH)).await;
    assert_eq!(answer.json(), json!({"applied": 1, "known": 0}));
    let mut newer = revocation.clone();
    newer["records"][0]["state"] = "active".into();
    let version = revocation["records"][0]["version"].as_u64();
    newer["records"][0]["version"] = version.map(|version| version + 1).into();
    let answer = Message::new(&world, newer.to_string());
    let answer = world.send(&answer.post(PATH)).await;
    assert_eq!(answer.json(), json!({"applied": 1, "known": 0}));
    let before = stored(&world).await;
    for _ in 0..3 {
        let answer = world.send(&push.post(PATH)).await;
        answer.problem(409, "replayed");
    }
    // Signed anew it is no replay, but an older version all the same.
    let again = Message::new(&world, revocation.to_string());
    let answer = world.send(&again.post(PATH)).await;
    assert_eq!(answer.json(), json!({"applied": 0, "known": 1}));
    assert_eq!(stored(&world).await, before);
    let call = Call::get("/v1/customers").key(&other.token);
    assert_eq!(world.send(&call).await.status, 200);
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_nonsense_is_refused() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let before = stored(&world).await;
    let deep = format!(r#"{{"records":{}"#, "[".repeat(100_000));
    for body in [
        &b""[..],
        b"{",
        b"nonsense",
        b"null",
        b"[]",
        b"[[]]",
        b"{}",
        b"{\"records\":null}",
        b"{\"records\":{}}",
        b"{\"records\":7}",
        b"{\"records\":[7]}",
        b"{\"records\":[[]]}",
        b"{\"records\":[{}]}",
        b"{\"records\":[{\"kind\":\"cow\"}]}",
        b"{\"records\":[]} more",
        b"{\"records\":[],\"records\":[]}",
        b"{\"records\":[\"\xff\xfe\"]}",
        deep.as_bytes(),
    ] {
        let answer = world.send(&Message::new(&world, body).post(PATH)).await;
        answer.problem(400, "bad_request");
    }
    let empty = Message::new(&world, r#"{"records":[]}"#);
    for kind in ["text/plain", "application/jsonx", ""] {
        let call = empty.head(Call::post(PATH).header("content-type", kind));
        let answer = world.send(&call.body(empty.body.clone())).await;
        answer.problem(415, "bad_request");
    }
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = world.send(&empty.head(Call::new(method, PATH))).await;
        answer.problem(405, "unknown_route");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
    let large = Message::new(&world, " ".repeat(4 * 1024 * 1024 + 1));
    let answer = world.send(&large.post(PATH)).await;
    answer.problem(413, "bad_request");
    assert_eq!(stored(&world).await, before);
    survival.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_a_gate_is_told_to_the_control_plane_only() {
    let world = world!();
    let survival = Survival::begin(&world).await;
    let path = "/.keyward/state";
    let signed = Message::new(&world, "");
    let by_another = Message {
        secret: another_secret(),
        ..signed.clone()
    };
    let of_another_body = Message::new(&world, "{}");
    for call in [
        Call::get(path),
        Call::get(path).key(&survival.key.token),
        Call::get(path).key(&world.secrets.admin_token),
        by_another.head(Call::get(path)),
        of_another_body.head(Call::get(path)),
    ] {
        let answer = world.send(&call).await;
        answer.problem(401, "invalid_signature");
    }
    let answer = world.send(&signed.head(Call::new("PUT", path))).await;
    answer.problem(405, "unknown_route");
    assert_eq!(answer.header("allow"), Some("GET, POST"));
    survival.holds().await;
}
