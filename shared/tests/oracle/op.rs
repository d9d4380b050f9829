//! Generated lists of operations, with faults, and the circumstances they start from.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use shared::Millis;
use shared::record::RateLimits;
use shared::window::Window;

use super::naive::span_ms;

/// How many gates there are.
pub const GATES: usize = 3;
/// Days since the epoch, so that clocks may be off by hours either way.
const DAYS: u64 = 20_000;
const DAY_US: u64 = 86_400_000_000;

/// One step.
#[derive(Debug, Clone)]
pub enum Op {
    /// Time passes, in microseconds.
    AdvanceTime(u64),
    /// Time passes to the next multiple of so many milliseconds on the guard's clock, give or take microseconds.
    AdvanceToBoundary(Millis, i64),
    /// Time passes to when an earlier admission leaves a rolling window, give or take microseconds.
    AdvanceToLeaving(Window, usize, i64),
    /// Time passes to when a lease that a gate holds ends on its clock, give or take microseconds.
    AdvanceToLeaseEnd(usize, i64),
    /// A request arrives at a gate.
    GateRequest { gate: usize, cost: u32 },
    /// So many requests of one unit arrive at a gate, each call answered at once.
    Burst { gate: usize, requests: u32 },
    /// A gate's timer for reports fires.
    Report(usize),
    /// A call reaches the guard, which keeps what it does before it does anything else, or not yet.
    DeliverCall { pick: usize, kept: bool },
    /// The guard keeps what it did; its answers leave.
    Keep,
    /// An answer reaches its gate.
    DeliverAnswer(usize),
    /// Everything under way arrives, and what follows from it.
    DeliverAll,
    /// A call is lost; the gate is told so, or what awaits it is cut off too.
    LoseCall { pick: usize, told: bool },
    /// An answer is lost, likewise.
    LoseAnswer { pick: usize, told: bool },
    /// A call is under way twice.
    RepeatCall(usize),
    /// An answer is under way twice.
    RepeatAnswer(usize),
    /// What is under way changes places.
    ReorderNetwork(usize),
    /// A gate dies with its memory; another starts in its place.
    KillGate(usize),
    /// The guard crashes and starts from what it kept.
    RestartGuard,
    /// A gate's clock steps back, between two requests.
    GateClockStepBack { gate: usize, ms: Millis },
    /// The guard's clock steps back.
    GuardClockStepBack(Millis),
    /// The key's record changes.
    PatchLimits { limits: RateLimits, strict: bool },
}

/// What a run starts from.
#[derive(Debug, Clone)]
pub struct Start {
    /// The guard's clock, in microseconds: it reads whole milliseconds of it.
    pub guard_us: u64,
    /// True time less the guard's clock, in microseconds.
    pub guard_off_us: i64,
    /// The gates' clocks less true time, in microseconds.
    pub gates_off_us: [i64; GATES],
    /// The lease time.
    pub lease_ms: Millis,
    /// The key's limits.
    pub limits: RateLimits,
    /// Whether the key is strict.
    pub strict: bool,
}

/// Any start; some just before a boundary.
pub fn start() -> impl Strategy<Value = Start> {
    let before = 0..3_000_000_u64;
    let moment = prop_oneof![
        2 => 0..DAY_US,
        3 => before.clone().prop_map(|us| DAY_US - 1 - us),
        1 => (1..24_u64, before.clone()).prop_map(|(h, us)| h * 3_600_000_000 - us),
        1 => (1..1_440_u64, before).prop_map(|(m, us)| m * 60_000_000 - us),
    ];
    let offset = || {
        prop_oneof![
            Just(0),
            -2_000..2_000_i64,
            -20_000_000_000..20_000_000_000_i64
        ]
    };
    let lease_ms = prop_oneof![4 => Just(1_000), 1 => 1..=50_u64, 2 => 200..=15_000_u64];
    (
        moment,
        offset(),
        [offset(), offset(), offset()],
        lease_ms,
        limits(),
        prop::bool::weighted(0.2),
    )
        .prop_map(
            |(moment, guard_off_us, gates_off_us, lease_ms, limits, strict)| Start {
                guard_us: DAYS * DAY_US + moment,
                guard_off_us,
                gates_off_us,
                lease_ms,
                limits,
                strict,
            },
        )
}

/// Lists of operations.
pub fn ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    vec(op(), 1..most)
}

fn limits() -> impl Strategy<Value = RateLimits> {
    let limit = || prop_oneof![4 => 1..=12_u32, 4 => 8..=60_u32, 1 => 60..=1_000_u32];
    (
        option::weighted(0.8, limit()),
        option::weighted(0.4, limit()),
        option::weighted(0.4, limit()),
    )
        .prop_map(|(minute, hour, day)| RateLimits {
            requests_per_minute: minute,
            requests_per_hour: hour,
            requests_per_day: day,
        })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        30 => traffic(),
        12 => passing_time(),
        8 => fault(),
        1 => (limits(), any::<bool>())
            .prop_map(|(limits, strict)| Op::PatchLimits { limits, strict }),
    ]
}

fn traffic() -> impl Strategy<Value = Op> {
    let cost = prop_oneof![4 => Just(1), 2 => 2..=4_u32, 1 => 4..=15_u32];
    prop_oneof![
        10 => (0..GATES, cost).prop_map(|(gate, cost)| Op::GateRequest { gate, cost }),
        3 => (0..GATES, 1..=30_u32).prop_map(|(gate, requests)| Op::Burst { gate, requests }),
        2 => (0..GATES).prop_map(Op::Report),
        5 => (any::<usize>(), prop::bool::weighted(0.7))
            .prop_map(|(pick, kept)| Op::DeliverCall { pick, kept }),
        1 => Just(Op::Keep),
        5 => any::<usize>().prop_map(Op::DeliverAnswer),
        4 => Just(Op::DeliverAll),
    ]
}

fn passing_time() -> impl Strategy<Value = Op> {
    let nearly = || -1_500..=1_500_i64;
    let boundary = prop_oneof![
        4 => Just(1_000),
        2 => Just(60_000),
        1 => Just(3_600_000),
        2 => Just(span_ms(Window::Day)),
    ];
    let rolling = prop_oneof![3 => Just(Window::Minute), 1 => Just(Window::Hour)];
    prop_oneof![
        3 => (0..3_000_u64).prop_map(Op::AdvanceTime),
        6 => (1..1_500_000_u64).prop_map(Op::AdvanceTime),
        3 => (1..15_000_000_u64).prop_map(Op::AdvanceTime),
        2 => (55_000_000..65_000_000_u64).prop_map(Op::AdvanceTime),
        1 => (3_500_000_000..3_700_000_000_u64).prop_map(Op::AdvanceTime),
        2 => (boundary, nearly()).prop_map(|(ms, us)| Op::AdvanceToBoundary(ms, us)),
        4 => (rolling, any::<usize>(), nearly())
            .prop_map(|(window, pick, us)| Op::AdvanceToLeaving(window, pick, us)),
        4 => (any::<usize>(), nearly()).prop_map(|(pick, us)| Op::AdvanceToLeaseEnd(pick, us)),
    ]
}

fn fault() -> impl Strategy<Value = Op> {
    let step = || prop_oneof![3 => 1..3_000_u64, 1 => 1..14_400_000_u64];
    prop_oneof![
        2 => (any::<usize>(), any::<bool>()).prop_map(|(pick, told)| Op::LoseCall { pick, told }),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(pick, told)| Op::LoseAnswer { pick, told }),
        2 => any::<usize>().prop_map(Op::RepeatCall),
        1 => any::<usize>().prop_map(Op::RepeatAnswer),
        2 => any::<usize>().prop_map(Op::ReorderNetwork),
        1 => (0..GATES).prop_map(Op::KillGate),
        2 => Just(Op::RestartGuard),
        1 => (0..GATES, step()).prop_map(|(gate, ms)| Op::GateClockStepBack { gate, ms }),
        1 => step().prop_map(Op::GuardClockStepBack),
    ]
}
