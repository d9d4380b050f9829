//! Once an admin call has returned `propagated: true`, no gate decides on the old state for longer than the lease
//! time, and not at all for a strict key; although KV shows everybody the state of a minute ago.

use std::time::Duration;

use futures_util::future::join_all;
use keyward_tests::{
    Call, EdgeOptions, Load, NewKey, PATIENCE, Running, Samples, World, WorldOptions, eventually,
    now, rfc3339, world,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

const LEASE_MS: u64 = 1_000;
/// A gate reads its clock some time after the caller's, and to the millisecond.
const SLACK: Duration = Duration::from_millis(150);
/// How long every key is watched after its change is in force.
const WATCHED: Duration = Duration::from_millis(1_500);
/// How many requests show that a key was used steadily before its change.
const BEFORE: u64 = 20;
const ORIGIN: &str = "https://app.example.test";
const OTHER_ORIGIN: &str = "https://other.example.test";
const DEMO_IP: &str = "198.51.100.7";

/// A change of a key, and what it does to requests.
struct Case {
    name: &'static str,
    /// The key at first, over an open one.
    settings: Value,
    /// What is done to it before the load begins.
    prepare: Act,
    act: Act,
    /// What requests come to before and after.
    codes: [&'static str; 2],
}

enum Act {
    Nothing,
    Revoke,
    Reactivate,
    Delete,
    Rotate,
    Patch(Value),
    ExpireIn(Duration),
}

fn case(name: &'static str, settings: Value, act: Act, codes: [&'static str; 2]) -> Case {
    Case {
        name,
        settings,
        prepare: Act::Nothing,
        act,
        codes,
    }
}

fn patch(name: &'static str, from: Value, to: Value, codes: [&'static str; 2]) -> Case {
    case(name, from, Act::Patch(to), codes)
}

fn cases() -> Vec<Case> {
    let per_minute = |n: u32| json!({"rateLimits": {"requestsPerMinute": n}});
    let none = || json!({});
    let soon = Duration::from_secs(6);
    let reactivate = Case {
        prepare: Act::Revoke,
        ..case(
            "reactivated",
            none(),
            Act::Reactivate,
            ["invalid_key", "ok"],
        )
    };
    let unexpire = Case {
        prepare: Act::ExpireIn(Duration::from_secs(6)),
        ..patch(
            "expiry taken away",
            none(),
            json!({"expiresAt": null}),
            ["expired_key", "ok"],
        )
    };
    vec![
        case("revoked", none(), Act::Revoke, ["ok", "invalid_key"]),
        reactivate,
        case("deleted", none(), Act::Delete, ["ok", "invalid_key"]),
        case("rotated", none(), Act::Rotate, ["ok", "invalid_key"]),
        case(
            "expires",
            none(),
            Act::ExpireIn(soon),
            ["ok", "expired_key"],
        ),
        unexpire,
        patch(
            "permission taken",
            none(),
            json!({"permissions": ["agents.read"]}),
            ["ok", "insufficient_permission"],
        ),
        patch(
            "permission given",
            json!({"permissions": []}),
            json!({"permissions": ["customers.*"]}),
            ["insufficient_permission", "ok"],
        ),
        patch(
            "resources bound",
            none(),
            json!({"resources": ["customer:c_9"]}),
            ["ok", "resource_not_allowed"],
        ),
        patch(
            "limit lowered",
            none(),
            per_minute(1),
            ["ok", "rate_limited"],
        ),
        patch(
            "limit raised",
            per_minute(1),
            per_minute(1_000_000),
            ["rate_limited", "ok"],
        ),
        patch(
            "origins narrowed",
            none(),
            json!({"allowedOrigins": [OTHER_ORIGIN]}),
            ["ok", "origin_not_allowed"],
        ),
        patch(
            "origins widened",
            json!({"allowedOrigins": [OTHER_ORIGIN]}),
            json!({"allowedOrigins": [OTHER_ORIGIN, ORIGIN]}),
            ["origin_not_allowed", "ok"],
        ),
        patch(
            "addresses narrowed",
            none(),
            json!({"allowedIps": ["203.0.113.0/24"]}),
            ["ok", "ip_not_allowed"],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_leased_key_is_in_force_within_the_lease_time() {
    let world = world!(options());
    let bound = Duration::from_millis(LEASE_MS) + SLACK;
    changes_are_in_force_after(&world, "leased", bound, 25.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_strict_key_is_in_force_at_once() {
    let world = world!(options());
    changes_are_in_force_after(&world, "strict", Duration::ZERO, 8.0).await;
}

/// The load runs on the first gate. The second one is cold: of each key it knows what KV says.
fn options() -> WorldOptions {
    WorldOptions {
        edge: EdgeOptions {
            lease_ms: LEASE_MS,
            gates: 2,
            ..EdgeOptions::default()
        },
        ..WorldOptions::default()
    }
}

/// Every key has its own load, and all changes happen at the same time.
async fn changes_are_in_force_after(
    world: &World,
    enforcement: &str,
    bound: Duration,
    per_second: f64,
) {
    let mut watches = Vec::new();
    for case in cases() {
        let mut settings = case.settings.clone();
        settings["enforcement"] = enforcement.into();
        let key = world.key(settings).await;
        let _ = apply(world, &key, &case.prepare).await;
        watches.push((case, key));
    }
    // What KV has now it shows for the next minute.
    world.edge.set_kv_lag(Duration::from_secs(60)).await;
    let watched = watches
        .iter()
        .map(|(case, key)| watch(world, case, key, bound, per_second));
    join_all(watched).await;
}

async fn watch(world: &World, case: &Case, key: &NewKey, bound: Duration, per_second: f64) {
    let name = case.name;
    let [before, after] = case.codes;
    let call = Call::get("/v1/customers/c_1")
        .origin(ORIGIN)
        .header("cf-connecting-ip", DEMO_IP)
        .key(&key.token);
    let first_gate = vec![world.edge.gate(0)];
    let load = Load::new(&world.client, first_gate, &call).per_second(per_second);
    let running = load.connections(4).start();
    steady(name, &running, before).await;

    let began = Instant::now();
    let in_force = apply(world, key, &case.act).await;
    let known = Instant::now().max(in_force);
    sleep_until(known).await;
    // A gate that has no lease is not bound to the old state for any time.
    let cold = world.send_to(1, &call).await;
    assert_eq!(
        cold.code(),
        after,
        "{name}, at a cold gate: {}",
        cold.text()
    );

    sleep_until(known + bound + WATCHED).await;
    let samples = running.stop().await;
    let early: Vec<_> = samples.before(began).map(|s| s.code.as_str()).collect();
    // A key with a small limit passes some requests first.
    assert!(
        early.iter().all(|code| [before, "ok"].contains(code)),
        "{name}: {early:?}"
    );
    let late: Vec<_> = samples.since(known + bound).collect();
    assert!(!late.is_empty(), "{name}: nothing was sent after the bound");
    for sample in late {
        let after_change = sample.started - known;
        assert_eq!(
            sample.code, after,
            "{name}: started {after_change:?} after the change was known"
        );
    }
    report(name, &samples, known, before);
}

/// Waits until the load gets what it should get before the change.
async fn steady(name: &str, running: &Running, code: &str) {
    eventually(
        &format!("{name}: the load gets {code}"),
        PATIENCE,
        || async { (running.count_of(code) >= BEFORE).then_some(()) },
    )
    .await;
}

/// Makes a change. Gives the moment from which it may be asked for, if that is not when the call returns.
async fn apply(world: &World, key: &NewKey, act: &Act) -> Instant {
    let id = key.key.id.as_str();
    let admin = &world.admin;
    let mut in_force = Instant::now();
    let propagated = match act {
        Act::Nothing => true,
        Act::Revoke => admin.revoke(id).await.unwrap(),
        Act::Reactivate => admin.reactivate(id).await.unwrap(),
        Act::Delete => admin.delete_key(id).await.unwrap(),
        Act::Patch(body) => admin.patch_key(id, body).await.unwrap(),
        Act::ExpireIn(span) => {
            let end = now() + span.as_millis() as u64;
            in_force = Instant::now() + *span;
            let body = json!({"expiresAt": rfc3339(end)});
            admin.patch_key(id, &body).await.unwrap()
        }
        Act::Rotate => {
            let new = admin.rotate(id, 0).await.unwrap();
            let call = Call::get("/v1/customers/c_1").key(&new.token);
            let answer = world.send(&call).await;
            assert_eq!(answer.status, 200, "the new token: {}", answer.text());
            new.propagated
        }
    };
    assert!(
        propagated,
        "{id}: the edge has the change when the call returns"
    );
    in_force
}

/// How long requests went on getting what they got before.
fn report(name: &str, samples: &Samples, known: Instant, before: &str) {
    let last = samples.since(known).filter(|s| s.code == before).last();
    match last {
        Some(sample) => println!(
            "{name}: the old state until {:?} after",
            sample.started - known
        ),
        None => println!("{name}: at once"),
    }
}
