//! Usage, as the guards report it.

use std::collections::BTreeMap;

use shared::Millis;
use shared::message::UsageBatch;
use shared::usage::{Tally, UsageRow};

use crate::store::{Conn, from_db, query, to_db};

/// Numbers above this are cut to it, so that no sum of them leaves what databases can hold.
const MAX_TALLY: u64 = 1 << 47;

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is counted now; `missing` batches before it never came.
    Counted {
        /// How many numbers were skipped.
        missing: u64,
    },
    /// It was counted before.
    Known,
}

/// Counts a batch, unless this one or a later one of the guard was counted before. Gives the guard's highest
/// number, too. Must run in a transaction of its own.
///
/// # Errors
/// When rows can't be written: nothing may be committed then.
pub async fn apply(conn: &mut Conn, batch: &UsageBatch, now: Millis) -> sqlx::Result<(Taken, u64)> {
    query(
        "insert into usage_cursors (guard_id, account_id, seq, updated_at) values ($1, $2, 0, $3)
         on conflict (guard_id) do nothing",
    )
    .bind(&batch.guard)
    .bind(&batch.account)
    .bind(to_db(now))
    .execute(conn)
    .await?;
    // Writing the row is what makes the same batch, when it comes twice at once, wait for its turn.
    let last: i64 =
        query("update usage_cursors set updated_at = $2 where guard_id = $1 returning seq")
            .bind(&batch.guard)
            .bind(to_db(now))
            .fetch_one(conn)
            .await?;
    let last = from_db(last);
    if batch.seq <= last {
        return Ok((Taken::Known, last));
    }
    let mut of_key: BTreeMap<&str, Tally> = BTreeMap::new();
    for row in &batch.rows {
        add(conn, row).await?;
        of_key.entry(&row.cell.key).or_default().add(&row.tally);
    }
    for (key, tally) in of_key {
        query(
            "update keys set usage_count = usage_count + $2,
               last_used_at = case when last_used_at >= $3 then last_used_at else $3 end,
               used_day = case when last_used_at >= $3 then used_day else $3 / 86400000 end
             where id = $1",
        )
        .bind(key)
        .bind(bounded(tally.count))
        .bind(bounded(tally.last_at))
        .execute(conn)
        .await?;
    }
    query("update usage_cursors set seq = $2 where guard_id = $1")
        .bind(&batch.guard)
        .bind(to_db(batch.seq))
        .execute(conn)
        .await?;
    let missing = batch.seq - last - 1;
    Ok((Taken::Counted { missing }, batch.seq))
}

async fn add(conn: &mut Conn, row: &UsageRow) -> sqlx::Result<()> {
    query(
        "insert into usage_minutes
           (key_id, minute, api_id, code, status_class, requests, cost, latency_ms, last_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (key_id, minute, api_id, code, status_class) do update set
           requests = usage_minutes.requests + excluded.requests,
           cost = usage_minutes.cost + excluded.cost,
           latency_ms = usage_minutes.latency_ms + excluded.latency_ms,
           last_at = case when excluded.last_at > usage_minutes.last_at
                     then excluded.last_at else usage_minutes.last_at end",
    )
    .bind(&row.cell.key)
    .bind(bounded(row.cell.minute))
    .bind(&row.cell.api)
    .bind(&row.cell.code)
    .bind(i64::from(row.cell.class))
    .bind(bounded(row.tally.count))
    .bind(bounded(row.tally.cost))
    .bind(bounded(row.tally.latency_ms))
    .bind(bounded(row.tally.last_at))
    .execute(conn)
    .await?;
    Ok(())
}

fn bounded(number: u64) -> i64 {
    to_db(number.min(MAX_TALLY))
}

/// Requests of a key with one outcome, in one span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// The span's number: time divided by the step.
    pub span: u64,
    /// `ok`, or the code of the refusal.
    pub code: String,
    /// How many.
    pub requests: u64,
    /// What they cost, in units.
    pub cost: u64,
}

/// The sums of a key by span and outcome, in order, for the minutes from `from` to before `to`. `step` is the length
/// of a span in minutes.
///
/// # Errors
/// When the rows can't be read.
pub async fn sums(
    conn: &mut Conn,
    key_id: &str,
    from: u64,
    to: u64,
    step: u64,
) -> sqlx::Result<Vec<Sum>> {
    let rows: Vec<(i64, String, i64, i64)> = query(
        "select minute / $4 as span, code, cast(sum(requests) as bigint), cast(sum(cost) as bigint)
         from usage_minutes where key_id = $1 and minute >= $2 and minute < $3
         group by span, code order by span, code",
    )
    .bind(key_id)
    .bind(to_db(from))
    .bind(to_db(to))
    .bind(to_db(step.max(1)))
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(span, code, requests, cost)| Sum {
            span: from_db(span),
            code,
            requests: from_db(requests),
            cost: from_db(cost),
        })
        .collect())
}
