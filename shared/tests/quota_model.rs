//! The quota protocol, checked over every interleaving within bounds: two gates and a guard that run the real
//! code, a network that loses, repeats and reorders, crashes of each.

mod model;
mod quota;

use std::collections::BTreeSet;
use std::time::Instant;

use model::{Bounds, Quota};
use quota::Mutation;
use stateright::{Checker, HasDiscoveries, Model};

fn bounds() -> Bounds {
    Bounds {
        requests: 3,
        ticks: 2,
        leaps: 1,
        reports: 2,
        faults: 2,
    }
}

fn check(what: &str, model: Quota) -> impl Checker<Quota> {
    let began = Instant::now();
    let checker = model.checker().threads(2).spawn_bfs().join();
    println!(
        "{what}: {} states, {} of them different, depth {}, {:?}",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        began.elapsed()
    );
    checker
}

#[test]
fn probe() {
    let n = |name: &str, default: u8| {
        std::env::var(name)
            .ok()
            .and_then(|v| v.parse().ok())
            .unwrap_or(default)
    };
    let b = bounds();
    let model = Quota {
        limit: u32::from(n("LIMIT", 8)),
        strict: n("STRICT", 0) == 1,
        costs: std::env::var("COSTS")
            .unwrap_or("1,7".into())
            .split(',')
            .map(|c| c.parse().unwrap())
            .collect(),
        bounds: Bounds {
            requests: n("REQ", b.requests),
            ticks: n("TICKS", b.ticks),
            leaps: n("LEAPS", b.leaps),
            reports: n("REPORTS", b.reports),
            faults: n("FAULTS", b.faults),
        },
        mutation: Mutation::None,
    };
    let c = check("probe", model);
    for (name, path) in c.discoveries() {
        println!("{name}: {:?}", path.into_actions());
    }
}
