//! What a decision costs, natively: `cargo xtask bench` compares each with the SHA-256 of a token, which no
//! gate can do without.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use shared::decide::{Facts, NamedAccount, decide, route};
use shared::lease::{Granted, Purse};
use shared::ledger::{Ask, Books, Ledger, Standing};
use shared::record::{ApiRecord, KeyRecord, RateLimits};
use shared::route::RouteTable;
use shared::secret::Secret;
use shared::token::{KeyHash, ParsedToken, TagSecrets, Token};
use shared::window::Window;

fn secret() -> Secret {
    Secret::from_text("a tag secret for the benchmark").unwrap()
}

fn secrets() -> TagSecrets {
    TagSecrets::new(&secret(), None)
}

fn token() -> Token {
    Token::mint("kw", "prod", "Ab3dE6gH", &[7; 32], &secret()).unwrap()
}

fn key(hash: &KeyHash) -> KeyRecord {
    let json = serde_json::json!({
        "id": "key_1", "version": 1, "account": "acc_Ab3dE6gH", "environment": "prod", "state": "active",
        "credentials": [{ "hash": hash }], "permissions": ["customers.*"],
    });
    serde_json::from_value(json).unwrap()
}

fn api() -> ApiRecord {
    let routes: Vec<_> = (0..50)
        .map(|n| serde_json::json!({ "method": "GET", "path": format!("/v1/things{n}/{{id}}"), "permission": "customers.read" }))
        .collect();
    let json = serde_json::json!({
        "id": "api_1", "version": 1, "account": "acc_Ab3dE6gH", "name": "Demo", "upstream": "http://localhost",
        "endpoints": [{ "host": "*", "environment": "production", "code": "prod" }], "routes": routes,
    });
    serde_json::from_value(json).unwrap()
}

fn tokens(c: &mut Criterion) {
    let (secrets, token) = (secrets(), token());
    let mut forged = token.expose().to_owned();
    forged.replace_range(15..16, "#");
    c.bench_function("sha256 of a token", |b| {
        b.iter(|| KeyHash::of(black_box(token.expose())));
    });
    c.bench_function("token check", |b| {
        b.iter(|| {
            let parsed = ParsedToken::parse(black_box(token.expose())).unwrap();
            (parsed.is_genuine(&secrets), parsed.hash())
        });
    });
    c.bench_function("token refused for its form", |b| {
        b.iter(|| ParsedToken::parse(black_box(&forged)).is_err());
    });
}

fn decisions(c: &mut Criterion) {
    let hash = token().hash();
    let (key, api) = (key(&hash), api());
    let table = RouteTable::compile(&api.routes).unwrap();
    c.bench_function("route and decide", |b| {
        b.iter(|| {
            let path = shared::path::canonical(black_box("/v1/things7/c_9")).unwrap();
            let matched = route(&table, api.unlisted, "GET", &path).unwrap();
            decide(&Facts {
                now: 1,
                hash: &hash,
                key: &key,
                api: &api,
                endpoint: &api.endpoints[0],
                route: matched.as_ref(),
                account: NamedAccount::Own,
                ip: None,
                origin: None,
            })
        });
    });
}

fn quotas(c: &mut Criterion) {
    let mut purse = Purse::default();
    let mut now = 0;
    c.bench_function("spend from a lease", |b| {
        b.iter(|| {
            now += 1;
            if now % 1_000 == 1 {
                let grant = Granted {
                    lease: now,
                    units: 1_000_000,
                    ttl: 10_000,
                    need: 0,
                };
                purse.clear();
                purse.take_over(now);
                purse.granted(now, now, &grant, &[]);
            }
            purse.spend(black_box(now), 1)
        });
    });
    c.bench_function("how the windows stand for a caller", |b| {
        let standing = Window::OF_RATES.map(|window| Standing {
            policy: window.into(),
            limit: 1_000,
            left: 500,
            reset_in: 30_000,
        });
        let grant = Granted {
            lease: 1,
            units: 10,
            ttl: 10_000,
            need: 0,
        };
        let mut purse = Purse::default();
        purse.granted(0, 0, &grant, &standing);
        b.iter(|| purse.view(black_box(1)).len());
    });
    let limits = RateLimits {
        requests_per_minute: Some(u32::MAX),
        requests_per_hour: Some(u32::MAX),
        requests_per_day: Some(u32::MAX),
    };
    let ask = Ask {
        want: 10,
        need: 1,
        ttl: 1_000,
    };
    let mut ledger = Ledger::default();
    let mut at = 1_700_000_000_000;
    c.bench_function("grant and close a lease, full ledger", |b| {
        b.iter(|| {
            at += 200;
            let granted = Books::of(&mut ledger, &limits).grant(at, at, ask);
            ledger.close(at, at + 100, 5);
            granted.is_ok()
        });
    });
    // All buckets filled, and the leases of 300 gates open.
    for _ in 0..300 {
        at += 1;
        let _ = Books::of(&mut ledger, &limits).grant(at, at, ask);
    }
    let text = shared::write::to_string(&ledger);
    println!("a full ledger as stored: {} bytes", text.len());
    c.bench_function("read a full ledger", |b| {
        b.iter(|| shared::read::from_str::<Ledger>(black_box(&text)).is_ok());
    });
    c.bench_function("write a full ledger", |b| {
        b.iter(|| shared::write::to_string(black_box(&ledger)).len());
    });
}

criterion_group!(benches, tokens, decisions, quotas);
criterion_main!(benches);
