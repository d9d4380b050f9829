//! `keyward bootstrap`, `keyward migrate`, and the refusals of `keyward serve`.

use std::os::unix::fs::PermissionsExt;

use keyward::admin_token::AdminToken;
use reqwest::Method;
use tokio::time::timeout;

use crate::support::database::on_postgres;
use crate::support::process::{Process, keyward};
use crate::support::wait::PATIENCE;
use crate::support::{Database, PUSH_SECRET, TAG_SECRET};

#[tokio::test]
async fn bootstrap_prints_a_token_once_and_it_works() {
    let database = Database::fresh().await;
    let first = keyward(&database).arg("bootstrap").output().unwrap();
    assert!(first.status.success());
    let printed = String::from_utf8(first.stdout).unwrap();
    let token = AdminToken::parse(printed.trim()).unwrap();

    let second = keyward(&database).arg("bootstrap").output().unwrap();
    assert!(!second.status.success());
    assert!(second.stdout.is_empty());
    assert!(
        String::from_utf8(second.stderr)
            .unwrap()
            .contains("--force")
    );

    let forced = keyward(&database)
        .args(["bootstrap", "--force"])
        .output()
        .unwrap();
    let other = String::from_utf8(forced.stdout).unwrap();
    assert_ne!(other.trim(), token.expose());

    let mut server = Process::serve(&database, "", &[], "log").await;
    for token in [token.expose(), other.trim()] {
        let answer = server
            .call(Method::GET, "/v1/accounts", token, None)
            .await
            .unwrap();
        let accounts = answer.expect(200);
        assert_eq!(accounts["data"].as_array().unwrap().len(), 1);
    }
    assert!(server.terminate());
}

#[tokio::test]
async fn a_token_from_the_environment_is_valid_and_stays_one_token() {
    let database = Database::fresh().await;
    let token = AdminToken::mint().unwrap();
    for _ in 0..2 {
        let mut server = Process::serve(&database, token.expose(), &[], "log").await;
        let answer = server
            .call(Method::GET, "/v1/accounts", token.expose(), None)
            .await
            .unwrap();
        assert_eq!(answer.expect(200)["data"].as_array().unwrap().len(), 1);
        assert!(server.terminate());
    }
    let refused = keyward(&database).arg("bootstrap").output().unwrap();
    assert!(!refused.status.success());
}

fn migrated(database: &Database) -> bool {
    let output = keyward(database).arg("migrate").output().unwrap();
    output.status.success()
}

#[tokio::test]
async fn migrate_can_be_repeated() {
    let database = Database::fresh().await;
    for _ in 0..2 {
        assert!(migrated(&database));
    }
}

#[tokio::test]
async fn others_cannot_read_the_database_file() {
    // A PostgreSQL server keeps its files by itself.
    if on_postgres() {
        return;
    }
    let database = Database::fresh().await;
    assert!(migrated(&database));
    let file = database.folder().join("keyward.db");
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

#[tokio::test]
async fn serve_says_in_one_sentence_what_is_missing() {
    let database = Database::fresh().await;
    let all = [
        ("KEYWARD_TAG_SECRET", TAG_SECRET),
        ("KEYWARD_PUSH_SECRET", PUSH_SECRET),
        ("KEYWARD_LISTEN", "127.0.0.1:0"),
    ];
    for (name, value, sentence) in [
        ("KEYWARD_TAG_SECRET", "", "KEYWARD_TAG_SECRET is not set"),
        (
            "KEYWARD_TAG_SECRET",
            "short",
            "KEYWARD_TAG_SECRET: a secret needs at least 16 bytes",
        ),
        ("KEYWARD_PUSH_SECRET", "", "KEYWARD_PUSH_SECRET is not set"),
        (
            "KEYWARD_PUSH_SECRET",
            "secretsecretsecret",
            "KEYWARD_PUSH_SECRET: a push secret is written whsec_",
        ),
        (
            "KEYWARD_ADMIN_TOKEN",
            "kwa_nonsense",
            "KEYWARD_ADMIN_TOKEN: an admin token is kwa_",
        ),
        ("KEYWARD_LISTEN", "0.0.0.0:0", "--behind-proxy"),
        ("KEYWARD_EDGE_TARGETS", "nonsense", "KEYWARD_EDGE_TARGETS"),
        (
            "KEYWARD_DATABASE_URL",
            "mysql://u:passw0rd@h/d",
            "must begin with sqlite:// or postgres://",
        ),
        (
            "KEYWARD_DATABASE_URL",
            "postgres://u:passw0rd@127.0.0.1:1/d",
            "the database server 127.0.0.1 can't be reached",
        ),
        ("KEYWARD_DATABASE_URL", "sqlite::memory:", "must be a file"),
    ] {
        let mut command = keyward(&database);
        command
            .arg("serve")
            .envs(all)
            .env(name, value)
            .env("RUST_LOG", "off");
        let mut command = tokio::process::Command::from(command);
        let ended = timeout(PATIENCE, command.kill_on_drop(true).output()).await;
        let output = ended
            .unwrap_or_else(|_| panic!("it serves with {name}={value}"))
            .unwrap();
        assert!(!output.status.success(), "{name}={value}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(sentence), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(
            !message.contains("passw0rd") && !message.contains("secretsecret"),
            "{message}"
        );
    }
}
