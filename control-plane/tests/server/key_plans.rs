//! How the databases read lists of keys: along an index, whatever is asked for, and sorting no more than what that found.
//! Time is not measured: a plan is the same for twenty thousand keys as for a million.

use keyward::http::page::Position;
use keyward::store::key_list::{KeyFilter, KeyStatus, Scope, Span, Statements, Way};
use keyward::store::{Conn, Query, Store, query};

use crate::support::Database;
use crate::support::database::on_postgres;

const NOW: u64 = 1_800_000_000_000;
const ACCOUNT: &str = "acc_00000000";
/// 40,000 keys, one a minute, half of them in another account: one in 100 revoked, one in 200 expired, one in 50 in staging, one in 20 owned.
const KEYS: &str = "insert into keys (id, account_id, owner_id, name, search_text, environment, environment_code, state,
      start, last8, permissions, resources, allowed_origins, allow_missing_origin, allowed_ips, enforcement, expires_at,
      metadata, version, created_at, updated_at, usage_count, used_day)
    with recursive n(i) as (select cast(1 as bigint) union all select i + 1 from n where i < 40000)
    select 'key_aa' || (100000000000000000 + i * 7919), case when i % 40 < 20 then 'acc_00000000' else 'acc_00000001' end, case when i % 20 = 0 then 'mem_a' end, 'name ' || i,
      'name ' || i || ' key_aa' || (100000000000000000 + i * 7919) || ' kw_prod_sk_' || (i * 31 % 9973),
      case when i % 50 = 0 then 'staging' else 'production' end, 'prod',
      case when i % 100 = 0 then 'revoked' when i % 1000 = 1 then 'deleted' else 'active' end, 'kw', '12345678', '[]', '[]',
      '[]', 0, '[]', 'leased', case when i % 200 = 3 then 1700000000000 else 1900000000000 end, '{}', i,
      1790000000000 + i * 60000, 1, 0, 20000 + i / 1440
    from n";

/// What half of the keys did in two hours, one in 500 of it refused for limits: in a table that is empty no index is worth its while.
const USAGE: &str = "insert into usage_minutes (key_id, minute, api_id, code, status_class, requests, cost, latency_ms, last_at)
    select k.id, m.minute, 'api_a', case when k.version % 500 = 7 then 'rate_limited' else 'ok' end, 2, 1, 1, 1, m.minute * 60000
    from keys k cross join (select cast(29999900 as bigint) as minute union all select 29999960) as m where k.version % 2 = 1";

/// A database with an account of many keys.
async fn filled() -> Database {
    let database = Database::fresh().await;
    let store = database.store().await;
    store.migrate().await.unwrap();
    store.close().await;
    for statement in [
        "insert into accounts (id, parent_id, name, token_prefix, version, created_at, updated_at)
         values ('acc_00000000', null, 'Root', 'kw', 1, 1, 1), ('acc_00000001', 'acc_00000000', 'Other', 'kw', 2, 2, 2)",
        "insert into account_tree (ancestor_id, account_id, depth) values ('acc_00000000', 'acc_00000000', 0), ('acc_00000001', 'acc_00000001', 0), ('acc_00000000', 'acc_00000001', 1)",
        KEYS,
        USAGE,
        "analyze",
    ] {
        database.meddle(statement).await;
    }
    database
}

/// A connection for questions. PostgreSQL reads and sorts tables as small as these, as it should: here it is to show which index
/// gives the order without that. Where none does, it scans and sorts all the same, and the plan tells.
async fn asked(store: &Store) -> Conn {
    let mut conn = store.read().await.unwrap();
    if matches!(conn, Conn::Postgres(_)) {
        for setting in ["set enable_seqscan = off", "set enable_sort = off"] {
            query(setting).execute(&mut conn).await.unwrap();
        }
    }
    conn
}

/// How the database would run a statement, a line for each step.
async fn plan(conn: &mut Conn, statement: Query) -> Vec<String> {
    match conn {
        Conn::Sqlite(_) => {
            let rows: Vec<(i64, i64, i64, String)> = statement
                .after("explain query plan")
                .fetch_all(conn)
                .await
                .unwrap();
            rows.into_iter().map(|(.., step)| step).collect()
        }
        Conn::Postgres(_) => statement.after("explain").fetch_all(conn).await.unwrap(),
    }
}

/// Whether a step is by an index. Where an account has a large share of all keys, PostgreSQL may as well go along the index of
/// all of them, which has the same order.
fn is_by(step: &str, index: &str) -> bool {
    let is_as_good = index == "keys_listed" && on_postgres() && step.contains("keys_created");
    is_as_good || step.contains(index)
}

/// Steps that read or sort more than they must.
fn is_waste(step: &str, way: Way) -> bool {
    let step = step.trim_start_matches([' ', '-', '>']);
    let is_scan = step.starts_with("Seq Scan on keys") || step == "SCAN k" || step == "SCAN keys";
    let sorts = step.starts_with("Sort")
        || step.starts_with("Incremental Sort")
        || step.contains("TEMP B-TREE FOR ORDER BY")
        || step.contains("TEMP B-TREE FOR RIGHT PART");
    is_scan || (sorts && way == Way::Order)
}

fn filter(change: impl FnOnce(&mut KeyFilter)) -> KeyFilter {
    let mut filter = KeyFilter::default();
    change(&mut filter);
    filter
}

/// What is asked for, and the index that finds it in the order of the list.
fn cases() -> Vec<(KeyFilter, &'static str)> {
    let staging = || Some("staging".to_owned());
    let status = |status| filter(move |f| f.status = Some(status));
    vec![
        (filter(|_| {}), "keys_listed"),
        (filter(|f| f.environment = staging()), "keys_environment"),
        (
            filter(|f| f.owner = Some("mem_a".to_owned())),
            "keys_of_owner",
        ),
        (status(KeyStatus::Active), "keys_listed"),
        (status(KeyStatus::Revoked), "keys_state"),
        (status(KeyStatus::Deleted), "keys_state"),
        (
            filter(|f| {
                f.environment = staging();
                f.status = Some(KeyStatus::Active);
            }),
            "keys_environment",
        ),
    ]
}

fn page_thousand() -> Span {
    Span {
        after: Some(Position {
            created_at: 1_790_600_000_000,
            id: "key_x".to_owned(),
        }),
        down_to: None,
    }
}

async fn assert_plan(conn: &mut Conn, statement: Query, way: Way, index: &str) {
    let steps = plan(conn, statement.clone()).await;
    let wasted: Vec<&String> = steps.iter().filter(|step| is_waste(step, way)).collect();
    assert!(wasted.is_empty(), "{statement:?}\n{steps:#?}");
    assert!(
        steps.iter().any(|step| is_by(step, index)),
        "not by {index}: {statement:?}\n{steps:#?}"
    );
}

#[tokio::test]
async fn every_page_is_read_from_an_index_in_the_order_of_the_list() {
    let database = filled().await;
    let store = database.store().await;
    let mut conn = asked(&store).await;
    let scope = Scope::Account(ACCOUNT.to_owned());
    for (filter, index) in cases() {
        let statements = Statements {
            scope: &scope,
            filter: &filter,
            now: NOW,
        };
        for span in [Span::default(), page_thousand()] {
            let rows = statements.rows(&conn, Way::Order, &span, 51);
            assert_plan(&mut conn, rows, Way::Order, index).await;
        }
    }
    drop(conn);
    store.close().await;
}

#[tokio::test]
async fn what_is_rare_is_looked_up_and_what_is_frequent_is_found_among_the_newest() {
    let database = filled().await;
    let store = database.store().await;
    let mut conn = asked(&store).await;
    let scope = Scope::Account(ACCOUNT.to_owned());
    let text_index = match &conn {
        Conn::Sqlite(_) => "key_search",
        Conn::Postgres(_) => "keys_search",
    };
    for (filter, way, index) in [
        (
            filter(|f| f.text = Some("name 777".to_owned())),
            Way::Text,
            text_index,
        ),
        (
            filter(|f| f.status = Some(KeyStatus::Expired)),
            Way::Expiry,
            "keys_expiring",
        ),
        (
            filter(|f| f.unused_since = Some(20_000 * 86_400_000)),
            Way::Use,
            "keys_used",
        ),
        (
            filter(|f| f.status = Some(KeyStatus::RateLimited)),
            Way::Throttled,
            "usage_throttled",
        ),
    ] {
        let statements = Statements {
            scope: &scope,
            filter: &filter,
            now: NOW,
        };
        assert_eq!(statements.ways(), [way]);
        let span = Span::default();
        let rows = statements.rows(&conn, way, &span, 51);
        assert_plan(&mut conn, rows, way, index).await;
        let count = statements.count(&conn, way, 100);
        assert_plan(&mut conn, count, way, index).await;
        let place: (i64, String) = {
            let place = statements.place(&span, 1_000);
            assert_plan(&mut conn, place.clone(), Way::Order, "keys_listed").await;
            place.fetch_one(&mut conn).await.unwrap()
        };
        let newest = Span {
            after: None,
            down_to: Some(Position {
                created_at: place.0.unsigned_abs(),
                id: place.1,
            }),
        };
        let rows = statements.rows(&conn, Way::Order, &newest, 51);
        assert_plan(&mut conn, rows, Way::Order, "keys_listed").await;
    }
    drop(conn);
    store.close().await;
}

#[tokio::test]
async fn a_plan_without_an_index_is_noticed() {
    let database = filled().await;
    let store = database.store().await;
    let mut conn = asked(&store).await;
    let scan = query("select * from keys k where k.metadata = '{}' order by k.name");
    let steps = plan(&mut conn, scan).await;
    assert!(
        steps.iter().any(|step| is_waste(step, Way::Order)),
        "{steps:?}"
    );
    drop(conn);
    store.close().await;
}
