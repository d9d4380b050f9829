//! The guard's tables, in the Durable Object's SQLite.

use shared::Millis;
use shared::account::AccountRecord;
use shared::guard::bind;
use shared::ledger::{Ledger, Shared};
pub use shared::ledger::{PLAN_ROW, identity_row};
use shared::read::{self, FromJson, Json};
use shared::record::KeyRecord;
use shared::usage::UsageRow;
use shared::write::{self, ToJson};

use crate::boundary::Sql;

const SCHEMA: &str = "
create table if not exists meta (name text primary key, value text not null) without rowid;
create table if not exists records (
  kind text not null, id text not null, version integer not null, body text not null,
  primary key (kind, id)) without rowid;
create table if not exists names (
  name text not null, kind text not null, id text not null, gone_at_version integer,
  primary key (kind, name, id)) without rowid;
create table if not exists late (
  kind text not null, id text not null, place integer not null, primary key (kind, id)) without rowid;
create table if not exists latest (one integer primary key, place integer not null);
create table if not exists ledgers (
  key text primary key, next_lease integer not null, body text not null) without rowid;
create table if not exists gates (gate text primary key, seq integer not null, seen_at integer not null) without rowid;
create table if not exists deliveries (delivery text primary key, seen_at integer not null) without rowid;
create table if not exists usage (
  key text not null, api text not null, minute integer not null, code text not null, class integer not null,
  count integer not null, cost integer not null, latency_ms integer not null, last_at integer not null,
  primary key (key, api, minute, code, class)) without rowid;
create table if not exists sealed (seq integer primary key, body text not null);
";

/// The ledger of a key, and the next lease's id.
#[derive(Debug, Default)]
pub struct LedgerRow {
    /// Ids are never used twice for a key.
    pub next_lease: u64,
    /// The counters.
    pub ledger: Box<Ledger>,
}

/// All that a lease is debited to.
#[derive(Debug, Default)]
pub struct Rows {
    /// The key's own.
    pub key: LedgerRow,
    /// Its identity's.
    pub identity: Option<Box<Shared>>,
    /// The account's plan.
    pub plan: Option<Box<Shared>>,
}

/// The storage of a guard.
pub struct Store {
    sql: Sql,
}

type Result<T> = std::result::Result<T, String>;

/// A value that was read, as far as the guard uses them.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A count or a time, at most 2⁵³−1: JavaScript carries it as a double.
    Int(u64),
    /// A text.
    Text(String),
}

type Row = Vec<Value>;

/// The largest integer that JavaScript carries exactly.
const MAX_SAFE: u64 = (1 << 53) - 1;

/// A value that a statement is given.
#[derive(Debug, Clone, Copy)]
pub enum Param<'a> {
    /// A count or a time.
    Int(u64),
    /// A text.
    Text(&'a str),
}

/// A count or a time, for a statement. Above 2⁵³−1 the statement fails.
pub fn int(value: u64) -> Param<'static> {
    Param::Int(value)
}

/// A text, for a statement.
pub fn text(value: &str) -> Param<'_> {
    Param::Text(value)
}

impl ToJson for Param<'_> {
    fn write(&self, to: &mut String) {
        match self {
            Self::Int(n) => n.write(to),
            Self::Text(text) => text.write(to),
        }
    }
}

/// The rows of a statement; `None` for a value that the guard has no use for.
fn rows(json: Json<'_>) -> Option<Vec<Row>> {
    list(json)?
        .into_iter()
        .map(|row| list(row)?.into_iter().map(column).collect())
        .collect()
}

fn list(json: Json<'_>) -> Option<Vec<Json<'_>>> {
    match json {
        Json::List(items) => Some(items),
        _ => None,
    }
}

fn column(json: Json<'_>) -> Option<Value> {
    match json {
        Json::Text(text) => Some(Value::Text(text.into_owned())),
        Json::Number(n) if n <= MAX_SAFE => Some(Value::Int(n)),
        _ => None,
    }
}

fn as_u64(value: Option<&Value>) -> Result<u64> {
    match value {
        Some(Value::Int(n)) => Ok(*n),
        _ => Err("a stored number can't be read".to_owned()),
    }
}

fn as_text(value: Option<&Value>) -> Result<&str> {
    match value {
        Some(Value::Text(text)) => Ok(text),
        _ => Err("a stored text can't be read".to_owned()),
    }
}

fn parse<T: FromJson>(value: Option<&Value>) -> Result<T> {
    read::from_str(as_text(value)?).map_err(|e| format!("a stored record can't be read: {e}"))
}

/// A record that an outer join has found, or an empty text.
fn parse_some<T: FromJson>(value: &Value) -> Result<Option<T>> {
    let found = as_text(Some(value))?;
    (!found.is_empty()).then(|| parse(Some(value))).transpose()
}

impl Store {
    /// Makes the tables; `id` names this guard if it has no name yet.
    pub fn open(sql: Sql, id: &str) -> Result<Self> {
        let store = Self { sql };
        store.exec(SCHEMA, &[])?;
        store.exec(
            "insert into meta (name, value) values ('guard', ?) on conflict do nothing",
            &[text(id)],
        )?;
        Ok(store)
    }

    /// Runs a statement and gives its rows. What a failed one says are never its values.
    pub fn exec(&self, query: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        let is_safe = |param: &Param<'_>| !matches!(param, Param::Int(n) if *n > MAX_SAFE);
        if !params.iter().all(is_safe) {
            return Err("a number is out of range".to_owned());
        }
        let told = self.sql.exec(query, &write::to_string(&params));
        let told = told.map_err(|e| format!("storage: {}", e.0))?;
        let found = read::parse(&told).ok().and_then(rows);
        found.ok_or_else(|| "a stored value can't be read".to_owned())
    }

    /// A value of `meta`.
    pub fn meta(&self, name: &str) -> Result<Option<String>> {
        let rows = self.exec("select value from meta where name = ?", &[text(name)])?;
        rows.first()
            .map(|r| as_text(r.first()).map(str::to_owned))
            .transpose()
    }

    /// Sets a value of `meta`.
    pub fn put_meta(&self, name: &str, value: &str) -> Result<()> {
        self.exec(
            "insert into meta (name, value) values (?, ?) on conflict (name) do update set value = excluded.value",
            &[text(name), text(value)],
        )
        .map(drop)
    }

    /// The key that has or had this hash, in hex, as its owner binds it; none if that is not known. Each record's version
    /// is its place here.
    pub fn key_by_hash(&self, hash: &str) -> Result<Option<KeyRecord>> {
        let rows = self.exec(
            "select
               coalesce((select json_set(k.body, '$.version', place) from late where kind = 'key' and id = k.id), k.body),
               coalesce((select json_set(m.body, '$.version', place) from late where kind = 'member' and id = m.id), m.body, ''),
               coalesce((select json_set(r.body, '$.version', place) from late where kind = 'role' and id = r.id), r.body, '')
             from names n join records k on k.kind = 'key' and k.id = n.id
               left join records m on m.kind = 'member' and m.id = k.body ->> 'owner'
               left join records r on r.kind = 'role' and r.id = m.body ->> 'role'
             where n.kind = 'key' and n.name = ?",
            &[text(hash)],
        )?;
        let Some([key, member, role]) = rows.first().map(Vec::as_slice) else {
            return Ok(None);
        };
        let mut key = parse(Some(key))?;
        let is_bound = bind(&mut key, parse_some(member)?, parse_some(role)?);
        Ok(is_bound.then_some(key))
    }

    /// Notes the place of a record; `is_late` if it is or was not its version.
    pub fn put_place(&self, kind: &str, id: &str, place: u64, is_late: bool) -> Result<()> {
        self.exec(
            "insert into latest (one, place) values (1, ?)
             on conflict (one) do update set place = max(place, excluded.place)",
            &[int(place)],
        )?;
        if is_late {
            self.exec(
                "insert or replace into late (kind, id, place) values (?, ?, ?)",
                &[text(kind), text(id), int(place)],
            )?;
        }
        Ok(())
    }

    /// An account of this guard's, or one below.
    pub fn account(&self, id: &str) -> Result<Option<AccountRecord>> {
        let rows = self.exec(
            "select body from records where kind = 'account' and id = ?",
            &[text(id)],
        )?;
        rows.first().map(|r| parse(r.first())).transpose()
    }

    /// All that a lease of a key is debited to, in one look: what is not there costs nothing.
    pub fn rows(&self, record: &KeyRecord) -> Result<Rows> {
        let identity = record.identity.as_deref().map(identity_row);
        self.read([&record.id, identity.as_deref().unwrap_or(""), PLAN_ROW])
    }

    fn read(&self, names: [&str; 3]) -> Result<Rows> {
        let mut rows = Rows::default();
        for row in self.exec(
            "select key, next_lease, body from ledgers where key in (?, ?, ?)",
            &names.map(text),
        )? {
            let (name, body) = (as_text(row.first())?, row.get(2));
            if name == names[0] {
                rows.key = LedgerRow {
                    next_lease: as_u64(row.get(1))?,
                    ledger: parse(body)?,
                };
            } else {
                let place = match name {
                    PLAN_ROW => &mut rows.plan,
                    _ => &mut rows.identity,
                };
                *place = Some(parse(body)?);
            }
        }
        Ok(rows)
    }

    /// Keeps all that a lease of a key was debited to.
    pub fn put_rows(&self, record: &KeyRecord, rows: &Rows) -> Result<()> {
        self.put_ledger(&record.id, &rows.key)?;
        if let (Some(id), Some(identity)) = (&record.identity, &rows.identity) {
            self.put_shared(&identity_row(id), identity)?;
        }
        match &rows.plan {
            Some(plan) if plan.is_plan() => self.put_shared(PLAN_ROW, plan),
            _ => Ok(()),
        }
    }

    /// The ledger of a key; a new one if it has none.
    pub fn ledger(&self, key: &str) -> Result<LedgerRow> {
        Ok(self.read([key, "", ""])?.key)
    }

    /// Keeps the ledger of a key.
    pub fn put_ledger(&self, key: &str, row: &LedgerRow) -> Result<()> {
        self.put_row(key, row.next_lease, &write::to_string(&*row.ledger))
    }

    /// What keys share, by its row.
    pub fn shared(&self, name: &str) -> Result<Option<Box<Shared>>> {
        let rows = self.read(["", name, name])?;
        Ok(rows.plan.or(rows.identity))
    }

    /// Keeps what keys share.
    pub fn put_shared(&self, name: &str, shared: &Shared) -> Result<()> {
        self.put_row(name, 0, &write::to_string(shared))
    }

    fn put_row(&self, key: &str, next_lease: u64, body: &str) -> Result<()> {
        self.exec(
            "insert into ledgers (key, next_lease, body) values (?, ?, ?)
             on conflict (key) do update set next_lease = excluded.next_lease, body = excluded.body",
            &[text(key), int(next_lease), text(body)],
        )
        .map(drop)
    }

    /// The number of the last report taken from a gate.
    pub fn last_report(&self, gate: &str) -> Result<Option<u64>> {
        let rows = self.exec("select seq from gates where gate = ?", &[text(gate)])?;
        rows.first().map(|r| as_u64(r.first())).transpose()
    }

    /// Notes the number of a report.
    pub fn put_last_report(&self, gate: &str, seq: u64, now: Millis) -> Result<()> {
        self.exec(
            "insert into gates (gate, seq, seen_at) values (?, ?, ?)
             on conflict (gate) do update set seq = excluded.seq, seen_at = excluded.seen_at",
            &[text(gate), int(seq), int(now)],
        )
        .map(drop)
    }

    /// Forgets gates that were last heard of before a moment.
    pub fn forget_gates(&self, before: Millis) -> Result<()> {
        self.exec("delete from gates where seen_at < ?", &[int(before)])
            .map(drop)
    }

    /// Adds to what was counted.
    pub fn add_usage(&self, row: &UsageRow) -> Result<()> {
        let (cell, tally) = (&row.cell, &row.tally);
        self.exec(
            "insert into usage (key, api, minute, code, class, count, cost, latency_ms, last_at)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?)
             on conflict (key, api, minute, code, class) do update set
               count = count + excluded.count, cost = cost + excluded.cost,
               latency_ms = latency_ms + excluded.latency_ms, last_at = max(last_at, excluded.last_at)",
            &[
                text(&cell.key),
                text(&cell.api),
                int(cell.minute),
                text(&cell.code),
                int(u64::from(cell.class)),
                int(tally.count),
                int(tally.cost),
                int(tally.latency_ms),
                int(tally.last_at),
            ],
        )
        .map(drop)
    }

    /// Takes at most `limit` rows of usage out.
    pub fn take_usage(&self, limit: usize) -> Result<Vec<UsageRow>> {
        let rows = self.exec(
            "delete from usage where (key, api, minute, code, class) in
               (select key, api, minute, code, class from usage order by minute limit ?)
             returning key, api, minute, code, class, count, cost, latency_ms, last_at",
            &[int(limit as u64)],
        )?;
        rows.iter().map(|row| usage_row(row)).collect()
    }
}

fn usage_row(row: &[Value]) -> Result<UsageRow> {
    let number = |i: usize| as_u64(row.get(i));
    let owned = |i: usize| as_text(row.get(i)).map(str::to_owned);
    Ok(UsageRow {
        cell: shared::usage::UsageCell {
            key: owned(0)?,
            api: owned(1)?,
            minute: number(2)?,
            code: owned(3)?,
            class: u8::try_from(number(4)?).unwrap_or(0),
        },
        tally: shared::usage::Tally {
            count: number(5)?,
            cost: number(6)?,
            latency_ms: number(7)?,
            last_at: number(8)?,
        },
    })
}

/// The first row, as numbers.
pub fn first_numbers<const N: usize>(rows: &[Row]) -> Result<[u64; N]> {
    let mut numbers = [0; N];
    for (i, number) in numbers.iter_mut().enumerate() {
        *number = as_u64(rows.first().and_then(|row| row.get(i)))?;
    }
    Ok(numbers)
}

/// The first column of every row, as texts.
pub fn first_texts(rows: &[Row]) -> Result<Vec<String>> {
    rows.iter()
        .map(|r| as_text(r.first()).map(str::to_owned))
        .collect()
}
