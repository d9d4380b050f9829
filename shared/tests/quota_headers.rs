//! What callers are told of their limits, at every step of accelerated minutes, against a plain log of what was admitted.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use shared::Millis;
use shared::fields::Fields;
use shared::guard::answer;
use shared::lease::{Granted, Purse, QuotaRefusal, Spend};
use shared::ledger::Ledger;
use shared::message::{KeyAnswer, KeyAsk};
use shared::ratelimit::{put_fields, whole_seconds};
use shared::read;
use shared::record::{KeyRecord, RateLimits};
use shared::token::KeyHash;
use shared::window::Window;

const LEASE_MS: Millis = 1_000;
const FLUSH_MS: Millis = 1_050;
const START: Millis = 20_000 * 86_400_000 + 43_200_000;

fn record(limits: RateLimits, strict: bool) -> KeyRecord {
    let record = serde_json::json!({
        "id": "key_1", "version": 1, "account": "acc_1", "environment": "prod", "state": "active", "credentials": [],
        "limits": limits, "enforcement": if strict { "strict" } else { "leased" },
    });
    read::from_str(&record.to_string()).unwrap()
}

fn bucket(window: Window) -> Millis {
    match window {
        Window::Minute => 200,
        Window::Hour => 15_000,
        Window::Day => 86_400_000,
    }
}

/// Gates that share a key, each with one request at a time; time is the same for all.
#[derive(Clone)]
struct World {
    record: KeyRecord,
    ledger: Ledger,
    leases: u64,
    purses: Vec<Purse>,
    timers: Vec<Option<Millis>>,
    /// Units given back, and when: they are shown again when the guard is asked next.
    given_back: Vec<(Millis, u32)>,
    /// There and back.
    latency: Millis,
    /// What was admitted, and when.
    admitted: Vec<(Millis, u32)>,
}

/// What a caller was told.
#[derive(Debug)]
struct Told {
    passed: bool,
    limit: u32,
    remaining: u32,
    reset: u64,
    window: Window,
    t: u64,
    retry_after: Option<u64>,
    policy: String,
}

impl World {
    fn new(limits: RateLimits, strict: bool, gates: usize, latency: Millis) -> Self {
        Self {
            record: record(limits, strict),
            ledger: Ledger::default(),
            leases: 0,
            purses: vec![Purse::default(); gates],
            timers: vec![None; gates],
            given_back: Vec::new(),
            latency,
            admitted: Vec::new(),
        }
    }

    /// Gates report leases that are over by a timer, as long as they hold any.
    fn flush(&mut self, now: Millis) {
        for (purse, timer) in self.purses.iter_mut().zip(&mut self.timers) {
            while let Some(at) = timer.filter(|at| *at < now) {
                for over in purse.take_over(at) {
                    let back = self.ledger.close(over.lease, at, over.spent);
                    self.given_back.push((at, back));
                }
                *timer = purse.last_end().map(|_| at + FLUSH_MS);
            }
        }
    }

    /// A request; gives what its caller is told, and when.
    fn request(&mut self, gate: usize, now: Millis, cost: u32) -> (Millis, Told) {
        self.flush(now);
        let spend = match self.record.is_strict() {
            true => Spend::Ask,
            false => self.purses[gate].spend(now, cost),
        };
        let (at, refusal) = match spend {
            Spend::Paid { renew } => {
                self.admitted.push((now, cost));
                if renew {
                    self.ask(gate, now, 1, false);
                }
                (now, None)
            }
            Spend::Refused(refusal) => (now, Some(refusal)),
            Spend::Ask => (now + self.latency, self.ask(gate, now, cost, true)),
        };
        (at, self.told(gate, at, refusal))
    }

    /// Asks the guard, which decides halfway.
    fn ask(&mut self, gate: usize, now: Millis, need: u32, waits: bool) -> Option<QuotaRefusal> {
        let (decided, back) = (now + self.latency / 2, now + self.latency);
        self.timers[gate].get_or_insert(back + FLUSH_MS);
        let purse = &mut self.purses[gate];
        for over in purse.take_over(now) {
            self.ledger.close(over.lease, decided, over.spent);
        }
        let ask = KeyAsk {
            hash: KeyHash::of("token"),
            version: 1,
            want: purse.want(LEASE_MS).max(need),
            need,
        };
        self.leases += 1;
        let record = Some(&self.record);
        match answer(
            record,
            &mut self.ledger,
            &ask,
            self.leases,
            decided,
            LEASE_MS,
        ) {
            KeyAnswer::Granted {
                lease,
                units,
                ttl,
                standing,
            } => {
                let need = if waits { need } else { 0 };
                let grant = Granted {
                    lease,
                    units,
                    ttl,
                    need,
                };
                purse.granted(now, back, &grant, &standing);
                if waits {
                    self.admitted.push((decided, need));
                }
                None
            }
            KeyAnswer::Exhausted {
                retry_in,
                violated,
                ttl,
                standing,
            } => {
                let refusal = QuotaRefusal { retry_in, violated };
                purse.exhausted(now, back, need, &refusal, ttl, &standing);
                Some(refusal)
            }
            other => panic!("{other:?}"),
        }
    }

    fn told(&self, gate: usize, now: Millis, refusal: Option<QuotaRefusal>) -> Told {
        let mut fields = Fields::default();
        put_fields(&mut fields, &self.purses[gate].view(now), now);
        let number = |name| fields.get(name).unwrap().parse::<u64>().unwrap();
        let state: sfv::List = sfv::Parser::new(fields.get("ratelimit").unwrap())
            .parse()
            .unwrap();
        let sfv::ListEntry::Item(item) = &state[0] else {
            panic!("no item")
        };
        let parameter = |name: &str| {
            let value = item.params.get(name).unwrap().as_integer().unwrap();
            u64::try_from(i64::from(value)).unwrap()
        };
        let name = item.bare_item.as_string().unwrap().as_str();
        let remaining = u32::try_from(number("x-ratelimit-remaining")).unwrap();
        assert_eq!(parameter("r"), u64::from(remaining));
        Told {
            passed: refusal.is_none(),
            limit: u32::try_from(number("x-ratelimit-limit")).unwrap(),
            remaining,
            reset: number("x-ratelimit-reset"),
            window: Window::ALL.into_iter().find(|w| w.name() == name).unwrap(),
            t: parameter("t"),
            retry_after: refusal.map(|r| whole_seconds(r.retry_in)),
            policy: fields.get("ratelimit-policy").unwrap().to_owned(),
        }
    }

    /// Units admitted in a window that ends with `now` and is so much longer.
    fn used(&self, window: Window, now: Millis, longer: Millis) -> u32 {
        let counts = |at: Millis| match window {
            Window::Day => at / window.span() == now / window.span(),
            _ => at + window.span() + longer > now,
        };
        let counted = self
            .admitted
            .iter()
            .filter(|(at, _)| *at <= now && counts(*at));
        counted.map(|(_, cost)| cost).sum()
    }

    fn limited(&self) -> impl Iterator<Item = (Window, u32)> + '_ {
        let limits = &self.record.limits;
        Window::ALL
            .into_iter()
            .filter_map(|w| limits.of(w).map(|limit| (w, limit)))
    }

    /// The least that is left in any window, each so many milliseconds longer.
    fn left(&self, now: Millis, longer: impl Fn(Window) -> Millis) -> u32 {
        let left = self
            .limited()
            .map(|(w, limit)| limit.saturating_sub(self.used(w, now, longer(w))));
        left.min().unwrap()
    }
}

/// What holds of every answer of a gate that is the only one to use a key.
fn check_alone(world: &World, at: Millis, told: &Told) -> Result<(), TestCaseError> {
    let policy: Vec<String> = world
        .limited()
        .map(|(w, limit)| format!("\"{}\";q={limit};w={}", w.name(), w.span() / 1_000))
        .collect();
    prop_assert_eq!(&told.policy, &policy.join(", "));
    prop_assert_eq!(Some(told.limit), world.record.limits.of(told.window));
    // Never more than there is.
    prop_assert!(told.remaining <= world.left(at, |_| 0), "{told:?}");
    // Less by what left the window within a bucket, the time of a lease, and that since the guard was asked; and by what
    // the gate gave back since.
    let late = |window| bucket(window) + 2 * LEASE_MS + world.latency;
    let back = world
        .given_back
        .iter()
        .filter(|(when, _)| when + LEASE_MS > at);
    let back: u32 = back.map(|(_, units)| units).sum();
    prop_assert!(
        told.remaining + back >= world.left(at, late),
        "{told:?}, {back}"
    );
    prop_assert!(told.reset.abs_diff(at / 1_000 + told.t) <= 1);
    // Units come back at the time told, and none are told of that are not used.
    let used = world.used(told.window, at, late(told.window));
    prop_assert_eq!(told.t == 0, used == 0, "{:?}", told);
    if told.window != Window::Day && used > 0 {
        let then = at + told.t * 1_000;
        let oldest = world.used(told.window, at, late(told.window));
        let later = world.used(told.window, then, 0);
        prop_assert!(later < oldest, "nothing comes back: {told:?}");
    }
    Ok(())
}

/// A retry at the time told passes if nothing else spends.
fn check_retry(
    world: &World,
    gate: usize,
    at: Millis,
    cost: u32,
    told: &Told,
) -> Result<(), TestCaseError> {
    let fits = world.limited().all(|(_, limit)| cost <= limit);
    if let Some(seconds) = told.retry_after.filter(|_| fits) {
        let mut then = world.clone();
        let (_, retried) = then.request(gate, at + seconds * 1_000, cost);
        prop_assert!(retried.passed, "{told:?}, then {retried:?}");
    }
    Ok(())
}

fn limits() -> impl Strategy<Value = RateLimits> {
    (
        1..80_u32,
        prop::option::of(20..200_u32),
        prop::option::of(30..300_u32),
    )
        .prop_map(|(minute, hour, day)| RateLimits {
            requests_per_minute: Some(minute),
            requests_per_hour: hour,
            requests_per_day: day,
        })
}

/// Requests: how long after the answer to the last, which gate, what they cost.
fn requests() -> impl Strategy<Value = Vec<(Millis, usize, u32)>> {
    let pause = prop_oneof![6 => 0..300_u64, 3 => 0..2_000_u64, 1 => 0..30_000_u64];
    let cost = prop_oneof![6 => Just(1_u32), 1 => 2..6_u32];
    prop::collection::vec((pause, 0..3_usize, cost), 1..200)
}

proptest! {
    // The same runs each time: bounds of display, unlike those of admission, are not proven for every run.
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(3),
        ..ProptestConfig::default()
    })]

    #[test]
    fn one_gate_tells_what_is_left_and_when_more_comes_at_every_step(
        limits in limits(),
        strict in prop::bool::weighted(0.3),
        latency in 0..300_u64,
        requests in requests(),
    ) {
        let mut world = World::new(limits, strict, 1, latency);
        let mut now = START;
        for (pause, _, cost) in requests {
            let asked = now + pause;
            let (at, told) = world.request(0, asked, cost);
            check_alone(&world, at, &told)?;
            check_retry(&world, 0, at, cost, &told)?;
            now = at.max(asked + latency);
        }
    }

    #[test]
    fn several_gates_tell_of_no_more_than_was_left_within_the_lease_time(
        limits in limits(),
        latency in 0..300_u64,
        requests in requests(),
    ) {
        let mut world = World::new(limits, false, 3, latency);
        let mut now = START;
        for (pause, gate, cost) in requests {
            let asked = now + pause;
            let (at, told) = world.request(gate, asked, cost);
            let known = at.saturating_sub(LEASE_MS + latency);
            // What others were granted since is not known; what the window lost since may be.
            let lost = |window: Window| (LEASE_MS + latency).min(window.span());
            let left = world.limited().map(|(w, limit)| {
                let still = world.admitted.iter().filter(|(when, _)| {
                    *when <= known && (w == Window::Day || when + w.span() > known + lost(w))
                });
                limit.saturating_sub(still.map(|(_, cost)| cost).sum())
            });
            prop_assert!(told.remaining <= left.min().unwrap(), "{told:?}");
            prop_assert!(told.remaining <= told.limit);
            now = at.max(asked + latency);
        }
    }
}

#[test]
fn a_minute_of_one_request_a_second_counts_down_to_nothing_and_back_up() {
    let limits = RateLimits {
        requests_per_minute: Some(30),
        ..RateLimits::default()
    };
    let mut world = World::new(limits, false, 1, 20);
    let told: Vec<Told> = (0..120)
        .map(|second| world.request(0, START + second * 1_000, 1).1)
        .collect();
    let remaining: Vec<u32> = told.iter().map(|t| t.remaining).collect();
    let down: Vec<u32> = (0..30).rev().collect();
    assert_eq!(remaining[..30], down);
    assert!(told[30..60].iter().all(|t| !t.passed && t.remaining == 0));
    // The first unit was decided 10 ms into its second, and leased to the end of the next.
    let resets: Vec<u64> = told[..60].iter().map(|t| t.t).collect();
    let to_first: Vec<u64> = (0..60)
        .map(|second| 61_u64.saturating_sub(second).max(1))
        .collect();
    assert!(
        resets
            .iter()
            .zip(&to_first)
            .all(|(t, first)| t.abs_diff(*first) <= 1),
        "{resets:?}"
    );
    assert_eq!(told[62..92].iter().filter(|t| t.passed).count(), 30);
}
