//! A change of a member or a role is in force within the lease time, and at once for strict keys, under load, although KV
//! shows everybody the state of a minute ago.

use std::time::Duration;

use futures_util::future::join_all;
use keyward_tests::{Call, EdgeOptions, Load, PATIENCE, World, WorldOptions, eventually, world};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::staff::{OwnedKey, Staff, open, read};

const LEASE_MS: u64 = 1_000;
/// A gate reads its clock some time after the caller's, and to the millisecond.
const SLACK: Duration = Duration::from_millis(150);
/// How long every key is watched after its change is in force.
const WATCHED: Duration = Duration::from_millis(1_500);
/// How many requests show that a key was used steadily before its change.
const BEFORE: u64 = 20;

/// A change of one record, what a request comes to before and after it, and which request.
struct Case {
    name: &'static str,
    call: Call,
    codes: [&'static str; 2],
    /// The role and the member at first.
    before: [Value; 2],
    change: Value,
}

/// Each case has a role and a member of its own, with its number.
fn cases(staff: &Staff<'_>) -> Vec<Case> {
    let reads: &[&str] = &["customers.read"];
    let none: &[&str] = &[];
    let role = |n: u8, permissions: &[&str]| staff.role(&format!("role_{n}"), permissions);
    let member = |n: u8, role: &str| staff.member(&format!("mem_{n}"), role);
    let own = |n: u8| member(n, &format!("role_{n}"));
    let without = |mut record: Value, tombstone: &str| {
        record[tombstone] = true.into();
        record
    };
    let denied = "insufficient_permission";
    let case = |name, call, codes, before, change| Case {
        name,
        call,
        codes,
        before,
        change,
    };
    vec![
        case(
            "role narrowed",
            read(),
            ["ok", denied],
            [role(1, reads), own(1)],
            role(1, none),
        ),
        case(
            "role widened",
            read(),
            [denied, "ok"],
            [role(2, none), own(2)],
            role(2, reads),
        ),
        case(
            "role deleted",
            read(),
            ["ok", denied],
            [role(3, reads), own(3)],
            without(role(3, reads), "deleted"),
        ),
        case(
            "role exchanged for a lesser",
            read(),
            ["ok", denied],
            [role(4, reads), own(4)],
            member(4, "viewer"),
        ),
        case(
            "role exchanged for a greater",
            read(),
            [denied, "ok"],
            [role(5, reads), member(5, "viewer")],
            own(5),
        ),
        case(
            "member removed",
            open(),
            ["ok", "invalid_key"],
            [role(6, reads), own(6)],
            without(own(6), "removed"),
        ),
        case(
            "member taken back",
            open(),
            ["invalid_key", "ok"],
            [role(7, reads), without(own(7), "removed")],
            own(7),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_role_or_member_bounds_leased_keys_within_the_lease_time() {
    let world = world!(options());
    let bound = Duration::from_millis(LEASE_MS) + SLACK;
    changes_are_in_force_after(&world, "leased", bound, 25.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_role_or_member_bounds_strict_keys_at_once() {
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

async fn changes_are_in_force_after(
    world: &World,
    enforcement: &str,
    bound: Duration,
    per_second: f64,
) {
    let staff = Staff::of(world);
    let mut watches = Vec::new();
    for case in cases(&staff) {
        staff.push(&case.before).await;
        let owner = case.before[1]["id"].as_str().expect("an id");
        let key = staff
            .make(owner, &json!({"enforcement": enforcement}))
            .await;
        watches.push((case, key));
    }
    // What KV has now it shows for the next minute.
    world.edge.set_kv_lag(Duration::from_secs(60)).await;
    let watched = watches
        .iter()
        .map(|(case, key)| watch(&staff, case, key, bound, per_second));
    join_all(watched).await;
}

async fn watch(staff: &Staff<'_>, case: &Case, key: &OwnedKey, bound: Duration, per_second: f64) {
    let world = staff.world;
    let (name, [before, after]) = (case.name, case.codes);
    let call = key.on(case.call.clone());
    let first_gate = vec![world.edge.gate(0)];
    let load = Load::new(&world.client, first_gate, &call).per_second(per_second);
    let running = load.connections(4).start();
    eventually(
        &format!("{name}: the load gets {before}"),
        PATIENCE,
        || async { (running.count_of(before) >= BEFORE).then_some(()) },
    )
    .await;

    let began = Instant::now();
    staff.push(std::slice::from_ref(&case.change)).await;
    let known = Instant::now();
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
    assert!(
        early.iter().all(|code| *code == before),
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
    let last = samples.since(known).filter(|s| s.code == before).last();
    let until = last.map_or(Duration::ZERO, |sample| sample.started - known);
    println!("{name}: the old state until {until:?} after");
}
