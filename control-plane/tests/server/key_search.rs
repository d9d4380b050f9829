//! `GET /v1/keys` of an account with more keys than are looked at one by one.

use keyward::store::query;
use serde_json::{Value, json};

use crate::support::App;
use crate::support::app::text;

/// 12,000 keys, older than what the test makes itself: every one is called `bulk`, ten at the old end `rare`, one a thousand is
/// unused, revoked or about to expire.
const KEYS: &str = "insert into keys (id, account_id, name, search_text, environment, environment_code, state, start, last8,
      permissions, resources, allowed_origins, allow_missing_origin, allowed_ips, enforcement, expires_at, metadata,
      version, created_at, updated_at, last_used_at, used_day, usage_count)
    with recursive n(i) as (select cast(1 as bigint) union all select i + 1 from n where i < 12000)
    select 'key_aa' || (100000000000000000 + i), (select id from accounts where parent_id is null), 'bulk ' || i,
      'bulk ' || i || case when i <= 10 then ' rare' else '' end || ' key_aa' || (100000000000000000 + i) || ' kw 12345678',
      'production', 'prod', case when i % 1000 = 5 then 'revoked' else 'active' end, 'kw', '12345678', '[]', '[]', '[]',
      0, '[]', 'leased', case when i % 1000 = 6 then 1700000000000 end, '{}', i, 1700000000000 + i, 1,
      case when i % 1000 = 7 then null else 1799999990000 end,
      case when i % 1000 = 7 then 1700000000000 else 1799999990000 end / 86400000, 0
    from n";

async fn filled() -> App {
    let app = App::start().await;
    let store = app.database.store().await;
    let mut tx = store.write().await.unwrap();
    query(KEYS).execute(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    app
}

/// The names of all keys that a query finds, page by page.
async fn found(app: &App, query: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app
            .get(&format!("/v1/keys?limit=200&{query}{cursor}"))
            .await
            .expect(200);
        let rows = page["data"].as_array().unwrap();
        names.extend(rows.iter().map(|k| text(&k["name"])));
        match &page["nextCursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            _ => return names,
        }
    }
}

fn bulk(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(|n| format!("bulk {n}")).collect()
}

#[tokio::test]
async fn what_is_rare_and_old_is_found_among_very_many() {
    let app = filled().await;
    let thousands = |n: u64| bulk((0..12).rev().map(|thousand| thousand * 1_000 + n));
    assert_eq!(found(&app, "q=RARE").await, bulk((1..=10).rev()));
    assert_eq!(found(&app, "q=bulk%2011999").await, bulk([11_999]));
    assert_eq!(found(&app, "q=no such key").await, Vec::<String>::new());
    assert_eq!(found(&app, "status=revoked").await, thousands(5));
    assert_eq!(found(&app, "status=expired").await, thousands(6));
    assert_eq!(found(&app, "unusedForDays=90").await, thousands(7));
    assert_eq!(found(&app, "unusedForDays=90&q=rare").await, bulk([7]));
    assert_eq!(
        found(&app, "status=expired&q=bulk 1").await,
        bulk([11_006, 10_006, 1_006])
    );
}

#[tokio::test]
async fn what_is_frequent_is_found_to_the_last() {
    let app = filled().await;
    let all = bulk((1..=12_000).rev());
    assert_eq!(found(&app, "q=bulk").await, all);
    // Two characters are in no index.
    assert_eq!(found(&app, "q=ul").await, all);
    assert_eq!(found(&app, "").await, all);
}

#[tokio::test]
async fn a_key_is_found_by_its_new_name_and_no_longer_by_the_old_one() {
    let app = filled().await;
    let (key, _) = app.key(json!({"name": "Zugvogel"})).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    // Older than the newest thousand, so that the index answers.
    app.database
        .meddle("update keys set created_at = 1600000000000 where name = 'Zugvogel'")
        .await;
    assert_eq!(found(&app, "q=zugv").await, ["Zugvogel"]);
    app.patch(&path, json!({"name": "Standvogel"}))
        .await
        .expect(200);
    assert_eq!(found(&app, "q=zugv").await, Vec::<String>::new());
    assert_eq!(found(&app, "q=STANDV").await, ["Standvogel"]);
}

#[tokio::test]
async fn characters_with_a_meaning_of_their_own_are_searched_for_as_they_are() {
    let app = filled().await;
    for name in ["50% \"off\"", "a_b' OR c*", "Übergröße Ünlü"] {
        app.key(json!({"name": name})).await;
    }
    // Older than the newest thousand, so that the index answers.
    app.database
        .meddle(
            "update keys set created_at = created_at - 200000000000 where name not like 'bulk%'",
        )
        .await;
    assert_eq!(found(&app, "q=50%25%20%22").await, ["50% \"off\""]);
    assert_eq!(found(&app, "q=%22off%22").await, ["50% \"off\""]);
    assert_eq!(found(&app, "q=a_b' OR").await, ["a_b' OR c*"]);
    assert_eq!(found(&app, "q=R C*").await, ["a_b' OR c*"]);
    assert_eq!(found(&app, "q=ÜBERGRÖSS").await, Vec::<String>::new());
    assert_eq!(found(&app, "q=übergröß").await, ["Übergröße Ünlü"]);
    assert_eq!(found(&app, "q=ÜNL").await, ["Übergröße Ünlü"]);
}

#[tokio::test]
async fn a_list_of_a_tree_is_merged_of_its_accounts() {
    let app = filled().await;
    let account = app.account(json!({"name": "below"})).await;
    for n in 0..3 {
        app.key(json!({"name": format!("below {n}"), "accountId": account}))
            .await;
        app.key(json!({"name": format!("above {n}")})).await;
        app.clock.advance(1);
    }
    let newest: Vec<String> = found(&app, "").await.into_iter().take(7).collect();
    let mut pairs: Vec<Vec<String>> = newest[..6].chunks(2).map(<[String]>::to_vec).collect();
    for pair in &mut pairs {
        pair.sort();
    }
    let pair = |n: u64| vec![format!("above {n}"), format!("below {n}")];
    assert_eq!(pairs, [pair(2), pair(1), pair(0)]);
    assert_eq!(newest[6], "bulk 12000");
    assert_eq!(
        found(&app, "q=below").await,
        ["below 2", "below 1", "below 0"]
    );
    assert_eq!(found(&app, &format!("account={account}")).await.len(), 3);
}
