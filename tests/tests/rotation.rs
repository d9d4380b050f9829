//! A key changes tokens: in the grace both work, the old one until exactly its end; the rotation is finished early or taken
//! back.

use std::time::Duration;

use keyward_tests::{Answer, Call, NewKey, World, WorldOptions, now, world};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::sleep;

const LEASE: Duration = Duration::from_millis(1_000);
/// A gate reads its clock some time after the caller's.
const SLACK: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(20);
/// How long after its end the old token is tried.
const WATCHED: u64 = 2_000;

/// A key in the grace of a rotation.
struct Rotated {
    id: String,
    old: Call,
    new: Call,
    /// When the old token ends, in milliseconds since the epoch.
    ends_at: u64,
}

async fn rotated(world: &World, enforcement: &str, grace: u32) -> Rotated {
    let first: NewKey = world.key(json!({"enforcement": enforcement})).await;
    let call = |token: &str| Call::get("/v1/customers").key(token);
    // The gate knows the old token well.
    assert_eq!(world.send(&call(&first.token)).await.status, 200);
    let id = first.key.id;
    let second = world.admin.rotate(&id, grace).await.unwrap();
    assert!(second.propagated);
    let shown = world
        .admin
        .send("GET", &format!("/v1/keys/{id}"), None)
        .await;
    let shown = shown.unwrap().json();
    let ends_at = shown["rotation"]["oldTokenEndsAt"].as_str().unwrap();
    let ends_at = OffsetDateTime::parse(ends_at, &Rfc3339).unwrap();
    Rotated {
        id,
        old: call(&first.token),
        new: call(&second.token),
        ends_at: u64::try_from(ends_at.unix_timestamp_nanos() / 1_000_000).unwrap(),
    }
}

async fn act(world: &World, id: &str, act: &str) -> Value {
    let path = format!("/v1/keys/{id}/{act}");
    let answer = world.admin.send("POST", &path, None).await.unwrap();
    assert_eq!(answer.status, 200, "{act}: {}", answer.text());
    assert_eq!(answer.json()["propagated"], true, "{act}");
    answer.json()
}

#[track_caller]
fn passed(what: &str, answer: &Answer) {
    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
}

#[track_caller]
fn refused(what: &str, answer: &Answer) {
    let (status, code) = (answer.status, answer.code());
    assert_eq!((status, code.as_str()), (401, "invalid_key"), "{what}");
}

/// After a change, until it binds every lease.
async fn in_force(enforcement: &str) {
    if enforcement == "leased" {
        sleep(LEASE + SLACK).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_grace_both_tokens_work_and_the_old_one_until_exactly_its_end() {
    let world = world!(WorldOptions::default());
    for enforcement in ["leased", "strict"] {
        // A machine that is so slow that the grace is over before the first request gets a longer one.
        let mut graces = [4, 16, 64].into_iter();
        while !works_until_its_end(&world, enforcement, graces.next().expect("in time")).await {}
    }
}

/// Follows the old token through a grace; false when no request came before its end.
async fn works_until_its_end(world: &World, enforcement: &str, grace: u32) -> bool {
    let key = rotated(world, enforcement, grace).await;
    let (mut before, mut after) = (0, 0);
    while now() < key.ends_at + WATCHED {
        let sent = now();
        let answer = world.send(&key.old).await;
        let answered = now();
        if sent >= key.ends_at {
            let late = sent - key.ends_at;
            refused(
                &format!("{enforcement}: the old token {late} ms after its end"),
                &answer,
            );
            after += 1;
        } else if answered < key.ends_at {
            let early = key.ends_at - answered;
            passed(
                &format!("{enforcement}: the old token {early} ms before its end"),
                &answer,
            );
            before += 1;
        }
        passed(
            &format!("{enforcement}: the new token"),
            &world.send(&key.new).await,
        );
        sleep(PAUSE).await;
    }
    println!("{enforcement}: {before} requests before the old token's end, {after} after");
    assert!(after > 0, "{enforcement}: {before} {after}");
    before > 0
}

#[tokio::test(flavor = "multi_thread")]
async fn finishing_a_rotation_stops_the_old_token_and_cancelling_it_the_new_one() {
    let world = world!(WorldOptions::default());
    for enforcement in ["leased", "strict"] {
        let key = rotated(&world, enforcement, 3600).await;
        for call in [&key.old, &key.new] {
            passed("in the grace", &world.send(call).await);
        }
        act(&world, &key.id, "rotation/finish").await;
        in_force(enforcement).await;
        refused(
            "the old token after the finish",
            &world.send(&key.old).await,
        );
        passed(
            "the new token after the finish",
            &world.send(&key.new).await,
        );

        let key = rotated(&world, enforcement, 3600).await;
        for call in [&key.old, &key.new] {
            passed("in the grace", &world.send(call).await);
        }
        act(&world, &key.id, "rotation/cancel").await;
        in_force(enforcement).await;
        refused(
            "the new token after the cancellation",
            &world.send(&key.new).await,
        );
        // It has no end any more.
        for ahead in [0, 3_590, 3_610, 7_200] {
            world.edge.set_clock_ahead(Duration::from_secs(ahead)).await;
            passed(
                "the old token after the cancellation",
                &world.send(&key.old).await,
            );
        }
        world.edge.set_clock_ahead(Duration::ZERO).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_a_key_in_a_grace_stops_both_tokens() {
    let world = world!(WorldOptions::default());
    for enforcement in ["leased", "strict"] {
        let key = rotated(&world, enforcement, 3600).await;
        for call in [&key.old, &key.new] {
            passed("in the grace", &world.send(call).await);
        }
        act(&world, &key.id, "revoke").await;
        in_force(enforcement).await;
        refused("the old token", &world.send(&key.old).await);
        refused("the new token", &world.send(&key.new).await);
    }
}
