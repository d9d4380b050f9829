use shared::lease::{Effect, Wait};
use shared::message::{KeyAnswer, KeyAsk, Settled};
use shared::secret::Secret;
use shared::token::TagSecrets;

use super::*;

const NOW: Millis = 1_700_000_000_000;

fn isolate() -> Isolate {
    let secret = Secret::from_text(&"s".repeat(32)).unwrap();
    let config = Config {
        tags: TagSecrets::new(&secret, None),
        push: secret,
        assertion: None,
        control_plane: None,
        lease_ms: 1_000,
        usage_interval_ms: 5_000,
    };
    Isolate::new(config, "gate", &[7; 16])
}

fn record(id: &str) -> KeyRecord {
    let record = format!(
        r#"{{"id":"{id}","version":1,"account":"acc_1","environment":"prod","state":"active","credentials":[],
            "limits":{{"requestsPerMinute":100}}}}"#
    );
    shared::read::from_str(&record).unwrap()
}

#[test]
fn a_key_that_gives_way_reports_its_leases() {
    let mut isolate = isolate();
    let first = KeyHash::of("0");
    isolate.install(first, record("key_0"), NOW);
    let ask = KeyAsk {
        hash: first,
        version: 1,
        want: 2,
        need: 2,
    };
    let desk = &mut isolate.slot(first, NOW).desk;
    let asked = desk.question(NOW, 1_000, ask, true);
    let granted = KeyAnswer::Granted {
        lease: 9,
        units: 5,
        ttl: 1_000,
        standing: Vec::new(),
    };
    let effect = desk.take_in(NOW, 1_000, &asked, Some(granted), &mut Wait::default());
    assert_eq!(effect, Effect::Holds);
    isolate.holds(first);
    for n in 1..2 * MAX_KEYS {
        isolate.slot(KeyHash::of(&n.to_string()), NOW);
    }
    assert!(isolate.keys.peek(&first).is_none());
    assert!(isolate.holding.is_empty() && !isolate.is_settled());
    assert_eq!(isolate.to_report(), ["acc_1"]);
    let report = isolate.reporter("acc_1").take(NOW).unwrap();
    let settled = Settled {
        key: "key_0".to_owned(),
        lease: 9,
        spent: 2,
    };
    assert_eq!(report.settled, [settled]);
}

#[test]
fn a_key_that_is_used_does_not_give_way() {
    let mut isolate = isolate();
    let used = KeyHash::of("used");
    isolate.install(used, record("key_0"), NOW);
    for n in 0..3 * MAX_KEYS {
        isolate.slot(KeyHash::of(&n.to_string()), NOW);
        assert_eq!(isolate.slot(used, NOW).version(), 1, "after {n}");
    }
}
