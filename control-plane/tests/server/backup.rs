//! `keyward backup` under load, and `keyward restore`: a consistent state, which the edges take although they have seen
//! newer versions.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use keyward::admin_token::AdminToken;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{text, version};
use crate::support::database::on_postgres;
use crate::support::process::{Process, keyward};
use crate::support::{Database, Edge, until};

fn backup(database: &Database, to: &Path) -> Output {
    let mut command = keyward(database);
    command.arg("backup").arg(to).output().unwrap()
}

fn restore(database: &Database, more: &[&str]) -> Output {
    let mut command = keyward(database);
    command.arg("restore").args(more).output().unwrap()
}

#[track_caller]
fn succeeded(output: &Output) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
}

async fn call(server: &Process, admin: &str, method: Method, path: &str, body: Value) -> Value {
    let answer = server.call(method, path, admin, Some(&body)).await.unwrap();
    assert!(answer.status < 300, "{}", answer.body);
    answer.body
}

#[tokio::test]
async fn a_backup_under_load_restores_to_one_moment_and_the_edge_takes_it_over_newer_versions() {
    // A server has tools of its own; what follows a restore is tested below for both.
    if on_postgres() {
        return;
    }
    let database = Database::fresh().await;
    let edge = Edge::start().await;
    let admin = AdminToken::mint().unwrap();
    let admin = admin.expose();
    let mut server = Process::serve(&database, admin, &[edge.url()], "log").await;
    let made = call(
        &server,
        admin,
        Method::POST,
        "/v1/keys",
        json!({"name": "0", "metadata": {"n": 0}}),
    )
    .await;
    let id = text(&made["key"]["id"]);
    let path = format!("/v1/keys/{id}");
    let file = database.folder().join("copy.db");
    // Name and metadata change together, all the while.
    let load = async {
        for n in 1.. {
            let body = json!({"name": n.to_string(), "metadata": {"n": n}});
            call(&server, admin, Method::PATCH, &path, body).await;
        }
    };
    let copy = async {
        let (database, file) = (database.url().to_owned(), file.clone());
        let copied = tokio::task::spawn_blocking(move || {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_keyward"));
            let command = command.env("KEYWARD_DATABASE_URL", database);
            command.arg("backup").arg(&file).output().unwrap()
        });
        succeeded(&copied.await.unwrap());
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    tokio::select! {
        () = load => {}
        () = copy => {}
    }
    let after = call(
        &server,
        admin,
        Method::POST,
        "/v1/keys",
        json!({"name": "later"}),
    )
    .await;
    call(
        &server,
        admin,
        Method::POST,
        &format!("{path}/revoke"),
        json!({}),
    )
    .await;
    let newest = until("the revocation is at the edge", || async {
        let key = edge.seen.key(&id)?;
        (key.state == shared::record::KeyState::Revoked).then_some(key.version)
    })
    .await;
    assert!(server.terminate());

    let refused = restore(&database, &[file.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--force"));
    succeeded(&restore(&database, &[file.to_str().unwrap(), "--force"]));
    let mut server = Process::serve(&database, admin, &[edge.url()], "log2").await;
    let key = call_get(&server, admin, &path).await;
    assert_eq!(key["status"], "active");
    assert_eq!(key["name"], key["metadata"]["n"].to_string());
    assert!(version(&key) > newest);
    until("the edge has the restored key", || async {
        edge.seen.key(&id).filter(|k| k.version == version(&key))
    })
    .await;
    let gone = format!("/v1/keys/{}", text(&after["key"]["id"]));
    let answer = server.call(Method::GET, &gone, admin, None).await.unwrap();
    assert_eq!(answer.status, 404);
    // What is changed from now on is newer still.
    let changed = call(&server, admin, Method::PATCH, &path, json!({"name": "new"})).await;
    assert!(version(&changed["key"]) > version(&key));
    assert!(server.terminate());
    let kept = std::fs::read_dir(database.folder()).unwrap().any(|entry| {
        let name = entry.unwrap().file_name();
        name.to_string_lossy().contains("before-restore")
    });
    assert!(kept, "the database that was there is kept");
}

async fn call_get(server: &Process, admin: &str, path: &str) -> Value {
    let answer = server.call(Method::GET, path, admin, None).await.unwrap();
    answer.expect(200)
}

#[tokio::test]
async fn an_adopted_database_is_given_to_every_edge_in_newer_versions() {
    let database = Database::fresh().await;
    let edge = Edge::start().await;
    let admin = AdminToken::mint().unwrap();
    let admin = admin.expose();
    let mut server = Process::serve(&database, admin, &[edge.url()], "log").await;
    let made = call(
        &server,
        admin,
        Method::POST,
        "/v1/keys",
        json!({"name": "k"}),
    )
    .await;
    let id = text(&made["key"]["id"]);
    assert!(server.terminate());
    succeeded(&restore(&database, &["--adopt"]));
    let mut server = Process::serve(&database, admin, &[edge.url()], "log2").await;
    until("the edge has the key in a newer version", || async {
        edge.seen
            .key(&id)
            .filter(|k| k.version > version(&made["key"]))
    })
    .await;
    assert!(server.terminate());
}

#[tokio::test]
async fn what_is_no_whole_backup_is_refused_and_the_database_stays() {
    if on_postgres() {
        let database = Database::fresh().await;
        let told = backup(&database, &database.folder().join("copy.db"));
        assert!(String::from_utf8_lossy(&told.stderr).contains("pg_dump"));
        return;
    }
    let database = Database::fresh().await;
    succeeded(&keyward(&database).arg("bootstrap").output().unwrap());
    let file = database.folder().join("copy.db");
    succeeded(&backup(&database, &file));
    let again = backup(&database, &file);
    assert!(
        !again.status.success(),
        "a file that is there is not written over"
    );
    let before = std::fs::read(database.folder().join("keyward.db")).unwrap();
    let mut damaged = std::fs::read(&file).unwrap();
    let cut = damaged.len() / 2;
    damaged.truncate(cut);
    for (name, bytes) in [("cut.db", damaged.as_slice()), ("text.db", b"no database")] {
        let file = database.folder().join(name);
        std::fs::write(&file, bytes).unwrap();
        let told = restore(&database, &[file.to_str().unwrap(), "--force"]);
        assert!(!told.status.success(), "{name}");
        assert!(
            String::from_utf8_lossy(&told.stderr).contains("can't be"),
            "{name}"
        );
    }
    assert_eq!(
        std::fs::read(database.folder().join("keyward.db")).unwrap(),
        before
    );
}
