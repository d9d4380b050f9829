//! Whether a request gets dearer with the number of keys, or with the age of a guard.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use shared::ledger::{Ask, Books, Ledger};
use shared::record::RateLimits;
use shared::token::Token;

use crate::compare::{Entrant, Measured, measure, median, ratio_of};
use crate::distinct;
use crate::edge::{Edge, OPEN, Settings};
use crate::fill::Shelf;
use crate::lab::Lab;
use crate::report::Report;
use crate::request::{Request, Want};

/// Keys seen for the first time in a turn.
const NEW_KEYS: usize = 200;
/// Gates that a guard heard of in a day: isolates come and go.
const GATES_A_DAY: i64 = 20_000;
const DAY_SECONDS: u64 = 86_400;

struct Guarded {
    hot: &'static str,
    strict: &'static str,
    cold: &'static str,
    edge: Edge,
    hot_key: Request,
    strict_key: Request,
    new_keys: Vec<Token>,
    cold_cpu: Vec<f64>,
    cold_p50: Vec<f64>,
}

/// Measures it.
///
/// # Errors
/// When a part does not start or answers wrongly.
pub async fn run(lab: &Lab, report: &mut Report) -> Result<()> {
    let names = [
        (
            10,
            "hot, 10 keys",
            "strict, 10 keys",
            "new to the isolate, 10 keys",
        ),
        (
            10_000,
            "hot, 10,000 keys",
            "strict, 10,000 keys",
            "new to the isolate, 10,000 keys",
        ),
        (
            1_000_000,
            "hot, 1,000,000 keys",
            "strict, 1,000,000 keys",
            "new to the isolate, 1,000,000 keys",
        ),
    ];
    let rounds = lab.pace().rounds;
    let mut all = Vec::new();
    for (keys, hot, strict, cold) in names.into_iter().take(if lab.quick { 2 } else { 3 }) {
        all.push(Guarded::with(lab, keys, [hot, strict, cold], false).await?);
    }
    let aged = [
        "hot, guard a day old",
        "strict, guard a day old",
        "new to the isolate, guard a day old",
    ];
    all.push(Guarded::with(lab, 10, aged, true).await?);
    report.section(
        "Growth: keys in KV and guard, age of a guard",
        &format!(
            "Keys beyond the first are written straight into SQLite of guard and simulated KV. A guard of a day has a ledger that was leased \
             from every second for a day, {GATES_A_DAY} gates that it heard of, and a day of usage that nobody took. {NEW_KEYS} keys new to the \
             isolate come in each round, 16 at a time. Storage is {}.",
            lab.disk()
        ),
    );
    for round in 0..rounds {
        for guarded in &mut all {
            guarded.cold(round).await?;
        }
    }
    let mut entrants = Vec::new();
    for guarded in &all {
        entrants.push(guarded.entrant(guarded.hot, &guarded.hot_key));
        entrants.push(guarded.entrant(guarded.strict, &guarded.strict_key));
    }
    let measured = measure(lab.pace(), &entrants).await?;
    show(report, &all, &measured);
    Ok(())
}

impl Guarded {
    async fn with(lab: &Lab, keys: i64, names: [&'static str; 3], aged: bool) -> Result<Self> {
        let mut edge = lab.edge(&Settings::default()).await?;
        let hot_key = edge.key(json!({})).await?;
        let strict_key = edge
            .key(json!({ "enforcement": "strict", "id": "key_strict" }))
            .await?;
        let new_keys: Result<Vec<Token>> = (0..NEW_KEYS * lab.pace().rounds)
            .map(|_| edge.mint())
            .collect();
        let new_keys = new_keys?;
        let mut shelf = Shelf::open(&mut edge).await?;
        shelf.add(keys).await?;
        shelf.add_tokens(&new_keys).await?;
        if aged {
            age(&mut shelf).await?;
        }
        shelf.close(lab, &mut edge).await?;
        let [hot, strict, cold] = names;
        let verify = |key: String| Request::verify(vec![key], Want::Success);
        Ok(Self {
            hot,
            strict,
            cold,
            edge,
            hot_key: verify(hot_key),
            strict_key: verify(strict_key),
            new_keys,
            cold_cpu: Vec::new(),
            cold_p50: Vec::new(),
        })
    }

    fn entrant<'a>(&'a self, name: &'static str, request: &'a Request) -> Entrant<'a> {
        Entrant {
            name,
            workerd: &self.edge.workerd,
            worker: "edge",
            request,
            brief: true,
        }
    }

    async fn cold(&mut self, round: usize) -> Result<()> {
        let keys = self.new_keys.iter().skip(round * NEW_KEYS).take(NEW_KEYS);
        let keys: Vec<String> = keys.map(|token| token.expose().to_owned()).collect();
        let before = self.edge.workerd.cpu()?;
        let latencies = distinct::send(&self.edge.url(), keys)
            .await
            .context(self.cold)?;
        let cpu = self.edge.workerd.cpu()?.saturating_sub(before);
        self.cold_cpu
            .push(cpu.as_secs_f64() * 1e6 / NEW_KEYS as f64);
        self.cold_p50.push(median(&latencies));
        Ok(())
    }
}

fn show(report: &mut Report, all: &[Guarded], measured: &[Measured]) {
    let mut rows = Vec::new();
    let Some(base) = all.first() else { return };
    let of = |name: &str| measured.iter().find(|m| m.name == name);
    for pick in [(|g: &Guarded| g.hot) as fn(&Guarded) -> &'static str, |g| {
        g.strict
    }] {
        for guarded in all {
            let (Some(mine), Some(first)) = (of(pick(guarded)), of(pick(base))) else {
                continue;
            };
            let cheapness = mine.cheapness(first);
            rows.push(vec![
                mine.name.clone(),
                format!("{:.1}", median(&mine.cpu)),
                format!("{:.0}", median(&mine.per_second)),
                cheapness.to_string(),
                mine.throughput(first).to_string(),
            ]);
            if guarded.hot != base.hot {
                let what = format!("CPU, {} over the first's", mine.name);
                // An eighth is what noise makes of equal figures here.
                report.bar(
                    &what,
                    &cheapness.to_string(),
                    "≥ 0.88: does not grow",
                    cheapness.median >= 0.88,
                );
            }
        }
    }
    for guarded in all {
        let rate: Vec<f64> = guarded
            .cold_p50
            .iter()
            .map(|ms| 1.0 / ms.max(1e-9))
            .collect();
        let first: Vec<f64> = base.cold_p50.iter().map(|ms| 1.0 / ms.max(1e-9)).collect();
        rows.push(vec![
            guarded.cold.to_owned(),
            format!("{:.1}", median(&guarded.cold_cpu)),
            format!("p50 {:.1} ms", median(&guarded.cold_p50)),
            ratio_of(&base.cold_cpu, &guarded.cold_cpu).to_string(),
            ratio_of(&rate, &first).to_string(),
        ]);
    }
    report.table(
        &[
            "what",
            "CPU µs/request, median",
            "requests/s",
            "cheapness over 10 keys'",
            "speed over 10 keys'",
        ],
        &rows,
    );
    let cold = all.iter().map(|g| {
        (
            g.cold.to_owned(),
            json!({ "cpu": g.cold_cpu, "p50": g.cold_p50 }),
        )
    });
    report.keep(
        "growth",
        json!({ "hotAndStrict": measured, "cold": Value::Object(cold.collect()) }),
    );
}

/// Makes the guard a day old.
async fn age(shelf: &mut Shelf) -> Result<()> {
    let now = keyward_tests::now();
    let limits = RateLimits {
        requests_per_minute: Some(OPEN),
        requests_per_hour: Some(OPEN),
        requests_per_day: Some(OPEN),
    };
    let mut ledger = Ledger::default();
    let ask = Ask {
        want: 100,
        need: 1,
        ttl: 1_000,
    };
    for lease in 0..DAY_SECONDS {
        let at = now - (DAY_SECONDS - lease) * 1_000;
        if Books::of(&mut ledger, &limits)
            .grant(lease, at, ask)
            .is_ok()
        {
            ledger.close(lease, at + 900, 80);
        }
    }
    let body = shared::write::to_string(&ledger);
    let strict = "key_strict".to_owned();
    for key in [strict, shelf.model().to_owned()] {
        sqlx::query("insert or replace into ledgers (key, next_lease, body) values (?, ?, ?)")
            .bind(key)
            .bind(DAY_SECONDS.cast_signed())
            .bind(&body)
            .execute(&mut *shelf.guard())
            .await?;
    }
    sqlx::query(
        "insert into gates (gate, seq, seen_at)
         with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ?)
         select printf('gate-%d', i), 10, ? from n",
    )
    .bind(GATES_A_DAY)
    .bind(now.cast_signed())
    .execute(&mut *shelf.guard())
    .await?;
    sqlx::query(
        "insert into usage (key, api, minute, code, class, count, cost, latency_ms, last_at)
         with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < 14400)
         select printf('key_fill%012d', i % 10), 'api_bench', ? - i / 10, 'ok', 2, 100, 100, 0, 1 from n",
    )
    .bind((now / 60_000).cast_signed())
    .execute(&mut *shelf.guard())
    .await?;
    Ok(())
}
