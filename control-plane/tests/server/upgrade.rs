//! A database of the release before is brought up to date, and what was in it stays valid.

use keyward::admin_token::AdminToken;
use keyward::store::query;
use serde_json::{Value, json};
use shared::record::Record;
use sqlx::migrate::Migrator;
use sqlx::{PgPool, SqlitePool};

use crate::support::app::{text, version};
use crate::support::database::on_postgres;
use crate::support::{App, Database, Edge, until};

/// A database with the migrations up to this one.
async fn migrated_to(last: i64) -> Database {
    let database = Database::fresh().await;
    // Makes the file.
    database.store().await.close().await;
    let up_to = |all: Migrator| {
        let some = all.iter().filter(|m| m.version <= last).cloned();
        Migrator::with_migrations(some.collect())
    };
    if on_postgres() {
        let pool = PgPool::connect(database.url()).await.unwrap();
        let some = up_to(sqlx::migrate!("migrations/postgres"));
        some.run(&pool).await.unwrap();
        pool.close().await;
    } else {
        let pool = SqlitePool::connect(database.url()).await.unwrap();
        let some = up_to(sqlx::migrate!("migrations/sqlite"));
        some.run(&pool).await.unwrap();
        pool.close().await;
    }
    database
}

#[tokio::test]
async fn free_texts_that_owned_keys_become_members_and_tokens_become_owners() {
    let edge = Edge::start().await;
    let database = migrated_to(1).await;
    let token = AdminToken::mint().unwrap();
    let store = database.store().await;
    let mut tx = store.write().await.unwrap();
    for statement in [
        "update counters set value = 7",
        "insert into accounts (id, parent_id, name, token_prefix, version, created_at, updated_at)
         values ('acc_00000000', null, 'Root', 'kw', 1, 1, 1), ('acc_00000001', 'acc_00000000', 'A', 'kw', 2, 2, 2)",
        "insert into account_tree (ancestor_id, account_id, depth)
         values ('acc_00000000', 'acc_00000000', 0), ('acc_00000001', 'acc_00000001', 0),
           ('acc_00000000', 'acc_00000001', 1)",
        "insert into keys (id, account_id, owner_id, name, search_text, environment, environment_code, state, start,
           last8, permissions, resources, allowed_origins, allow_missing_origin, allowed_ips, enforcement, metadata,
           version, created_at, updated_at, usage_count)
         select 'key_aaaaaaaaaaaaaaaaaaa' || n, account, owner, 'k', 'k', 'production', 'prod', 'active', 'kw_p', '12345678', '[\"a.*\"]',
           '[]', '[]', 0, '[]', 'leased', '{}', 3 + n, 3, 3, 0
         from (select cast(0 as bigint) as n, 'acc_00000000' as account, 'Ada Lovelace' as owner
           union all select 1, 'acc_00000000', 'Ada Lovelace' union all select 2, 'acc_00000001', 'Ada Lovelace'
           union all select 3, 'acc_00000000', null) as old",
    ] {
        query(statement).execute(&mut tx).await.unwrap();
    }
    query("insert into admin_tokens (hash, account_id, name, created_at) values ($1, 'acc_00000001', 'old', 1)")
        .bind(token.hash())
        .execute(&mut tx)
        .await
        .unwrap();
    query("insert into edge_targets (url, delivered_seq, created_at) values ($1, 7, 1)")
        .bind(edge.url())
        .execute(&mut tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    store.close().await;

    let app = App::on(database, &[edge.url()]).await;
    let members = app.get("/v1/members").await.expect(200);
    let members = members["data"].as_array().unwrap();
    assert_eq!(members.len(), 2);
    for member in members {
        assert_eq!(member["name"], "Ada Lovelace");
        assert_eq!(
            (&member["role"], &member["status"]),
            (&json!("developer"), &json!("invited"))
        );
    }
    let member_of = |account: &str| {
        let found = members.iter().find(|m| m["accountId"] == account);
        text(&found.unwrap()["id"])
    };
    let mut keys = Vec::new();
    for (n, owner) in [
        Some(member_of("acc_00000000")),
        Some(member_of("acc_00000000")),
        Some(member_of("acc_00000001")),
        None,
    ]
    .into_iter()
    .enumerate()
    {
        let key = app
            .get(&format!("/v1/keys/key_aaaaaaaaaaaaaaaaaaa{n}"))
            .await;
        let key = key.expect(200);
        assert_eq!(key["ownerId"], json!(owner));
        assert_eq!(version(&key) == 3 + n as u64, owner.is_none());
        keys.push(key);
    }
    let state = || async { Some(edge.seen.state()).filter(|state| state.len() >= 8) };
    let state = until("everything is delivered anew", state).await;
    for key in &keys {
        let Record::Key(record) = &state[&text(&key["id"])] else {
            panic!("{key} is no key");
        };
        assert_eq!(json!(record.owner), key["ownerId"]);
        assert_eq!(record.version, version(key));
    }
    assert!(matches!(&state[&member_of("acc_00000001")], Record::Member(m) if !m.removed));

    let old = app.seen_by(token.expose());
    let me = old.get("/v1/me").await.expect(200);
    assert_eq!(me["account"]["id"], "acc_00000001");
    assert_eq!(me["token"]["id"], format!("tok_{}", &token.hash()[..20]));
    assert_eq!(me["permissions"].as_array().unwrap().len(), 18);
    let (key, _) = app.key(json!({"name": "new"})).await;
    assert!(version(&key) > 8);
}

#[tokio::test]
async fn environments_in_use_become_environments_and_tokens_are_as_old_as_the_audit_log_tells() {
    let database = migrated_to(7).await;
    let store = database.store().await;
    let mut tx = store.write().await.unwrap();
    for statement in [
        "update counters set value = 7",
        "insert into accounts (id, parent_id, name, token_prefix, version, created_at, updated_at)
         values ('acc_00000000', null, 'Root', 'kw', 1, 1, 1), ('acc_00000001', 'acc_00000000', 'A', 'kw', 2, 2, 2)",
        "insert into account_tree (ancestor_id, account_id, depth)
         values ('acc_00000000', 'acc_00000000', 0), ('acc_00000001', 'acc_00000001', 0),
           ('acc_00000000', 'acc_00000001', 1)",
        "insert into keys (id, account_id, name, search_text, environment, environment_code, state, start,
           last8, permissions, resources, allowed_origins, allow_missing_origin, allowed_ips, enforcement, metadata,
           version, created_at, updated_at, usage_count)
         select 'key_aaaaaaaaaaaaaaaaaaa' || n, account, 'k', 'k', environment, code, 'active', 'kw_p', '12345678', '[]',
           '[]', '[]', 0, '[]', 'leased', '{}', 3 + n, 86400000, 3, 0
         from (select cast(0 as bigint) as n, 'acc_00000000' as account, 'preview' as environment, 'pv' as code
           union all select 1, 'acc_00000001', 'preview', 'pv' union all select 2, 'acc_00000001', 'twin', 'one'
           union all select 3, 'acc_00000001', 'twin', 'two' union all select 4, 'acc_00000000', 'staging', 'stg') as old",
        "insert into apis (id, account_id, name, settings, version, created_at, updated_at)
         values ('api_0000000000000000', 'acc_00000000', 'a', '{\"endpoints\":[{\"host\":\"a.example\",\"environment\":\"load-test\",\"code\":\"lt\"},{\"host\":\"b.example\",\"environment\":\"production\",\"code\":\"prod\"}],\"upstream\":\"https://upstream.example\",\"upstreamTimeoutMs\":1000,\"routes\":[],\"unlisted\":\"open\",\"cors\":{},\"onGuardFailure\":\"refuse\"}', 3, 3, 3)",
        // Of the first key one rotation counts; of the second the last was taken back.
        "insert into audit_log (seq, id, created_at, account_id, actor_kind, action, target_kind, target_id, target_name,
           outcome, previous_hash, hash)
         select seq, 'aud_' || seq, seq * 86400000, 'acc_00000000', 'system', action, 'key', 'key_aaaaaaaaaaaaaaaaaaa' || n, 'k',
           'done', '', ''
         from (select cast(2 as bigint) as seq, 'key.rotate' as action, cast(0 as bigint) as n
           union all select 3, 'key.rotate', 1 union all select 4, 'key.rotate', 1
           union all select 5, 'key.cancel_rotation', 1) as acts",
    ] {
        query(statement).execute(&mut tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    store.close().await;

    let app = App::on(database, &[]).await;
    let names = async |account: &str| {
        let path = format!("/v1/environments?account={account}");
        let list = app.get(&path).await.expect(200);
        let rows = list["data"].as_array().unwrap().iter();
        let mut names: Vec<_> = rows
            .filter(|row| row["accountId"].is_string())
            .map(|row| format!("{}/{}", text(&row["name"]), text(&row["code"])))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("acc_00000000").await, ["load-test/lt", "preview/pv"]);
    assert_eq!(
        names("acc_00000001").await,
        ["load-test/lt", "preview/pv", "twin/one", "twin/two"]
    );
    let environment = |code: Value| json!({"name": "k", "accountId": "acc_00000001", "environment": "twin", "environmentCode": code});
    let (_, token) = app.key(environment(json!("two"))).await;
    assert!(token.starts_with("kw_two_sk_"));
    let mut ambiguous = environment(json!("two"));
    ambiguous.as_object_mut().unwrap().remove("environmentCode");
    app.post("/v1/keys", ambiguous)
        .await
        .refuses(&["environmentCode"]);

    let list = app.get("/v1/environments").await.expect(200);
    let preview = list["data"].as_array().unwrap().iter();
    let preview = preview
        .clone()
        .find(|row| row["name"] == "preview")
        .unwrap();
    let path = format!("/v1/environments/{}", text(&preview["id"]));
    app.patch(&path, json!({"rotateAfterDays": 1}))
        .await
        .expect(200);
    for (n, due) in [(0, "1970-01-04"), (1, "1970-01-05")] {
        let key = app
            .get(&format!("/v1/keys/key_aaaaaaaaaaaaaaaaaaa{n}"))
            .await;
        let due_at = text(&key.expect(200)["rotationDueAt"]);
        assert!(due_at.starts_with(due), "{n}: {due_at}");
    }
}
