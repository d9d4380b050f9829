//! `keyward check-config`.

use std::fs;
use std::process::Output;

use crate::support::database::on_postgres;
use crate::support::process::keyward;
use crate::support::{Database, Edge, PUSH_SECRET, TAG_SECRET};

const OTHER_PUSH_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// Runs it with these settings beside two good secrets.
async fn check(database: &Database, more: &[(&str, &str)]) -> (bool, String) {
    let mut command = keyward(database);
    command
        .arg("check-config")
        .env("KEYWARD_TAG_SECRET", TAG_SECRET)
        .env("KEYWARD_PUSH_SECRET", PUSH_SECRET)
        .env("RUST_LOG", "off")
        .envs(more.iter().copied());
    let mut command = tokio::process::Command::from(command);
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().await.unwrap();
    assert_eq!(String::from_utf8(stderr).unwrap(), "");
    let text = String::from_utf8(stdout).unwrap();
    for secret in [TAG_SECRET, PUSH_SECRET, OTHER_PUSH_SECRET, "passw0rd"] {
        assert!(!text.contains(secret), "{text}");
    }
    (status.success(), text)
}

/// The line of one check.
fn line<'a>(text: &'a str, what: &str) -> &'a str {
    let found = text
        .lines()
        .find(|l| l[6..].starts_with(&format!("{what}: ")));
    found.unwrap_or_else(|| panic!("{what}: {text}"))
}

#[tokio::test]
async fn a_good_configuration_passes_and_nothing_is_made_or_changed() {
    let database = Database::fresh().await;
    let edge = Edge::start().await;
    let more = [("KEYWARD_EDGE_TARGETS", edge.url())];
    let more = [(more[0].0, more[0].1.as_str())];
    let (good, text) = check(&database, &more).await;
    assert!(good, "{text}");
    if on_postgres() {
        assert!(line(&text, "database").contains("schema 0; `keyward serve` brings it to"));
    } else {
        assert!(line(&text, "database").contains("not there yet"));
        assert!(!database.folder().join("keyward.db").exists());
    }
    assert!(line(&text, &format!("edge {}", edge.url())).starts_with("ok "));
    assert_eq!(edge.seen.batches(), [0]);

    let migrated = keyward(&database).arg("migrate").output().unwrap();
    assert!(migrated.status.success());
    let (good, text) = check(&database, &more).await;
    assert!(good, "{text}");
    assert!(line(&text, "database").ends_with("up to date"), "{text}");
    database
        .meddle("update _sqlx_migrations set success = (1 = 0)")
        .await;
    let (good, text) = check(&database, &[]).await;
    assert!(good, "{text}");
    assert!(line(&text, "database").contains("schema 0;"), "{text}");
    let applied = "select count(*) from _sqlx_migrations where success";
    assert_eq!(database.number(applied).await, Some(0));
}

#[tokio::test]
async fn each_fault_is_named_and_the_other_checks_are_made() {
    let database = Database::fresh().await;
    let edge = Edge::start().await;
    let url = edge.url();
    let absent = "http://127.0.0.1:1";
    let weak = "aaaaaaaaaaaaaaaaaaaaaaaa";
    for (name, value, what, sentence) in [
        ("KEYWARD_LISTEN", "0.0.0.0:1", "listen", "--behind-proxy"),
        ("KEYWARD_TAG_SECRET", "", "tag secret", "is not set"),
        ("KEYWARD_TAG_SECRET", weak, "tag secret", "can be guessed"),
        ("KEYWARD_TAG_SECRET", PUSH_SECRET, "secrets", "the same"),
        ("KEYWARD_PUSH_SECRET", "whsec_!", "push secret", "whsec_"),
        ("KEYWARD_ADMIN_TOKEN", "kwa_x", "admin token", "kwa_"),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "grpc://h:4317",
            "traces",
            "no http",
        ),
        (
            "KEYWARD_DATABASE_URL",
            "postgres://u:passw0rd@127.0.0.1:1/d",
            "database",
            "can't be reached",
        ),
        ("KEYWARD_EDGE_TARGETS", "edge", "edges", "no URL"),
        (
            "KEYWARD_EDGE_TARGETS",
            absent,
            "edge http://127.0.0.1:1",
            "no answer",
        ),
    ] {
        let (good, text) = check(&database, &[(name, value)]).await;
        assert!(!good, "{name}={value}: {text}");
        let line = line(&text, what);
        assert!(
            line.starts_with("FAIL  ") && line.contains(sentence),
            "{text}"
        );
        assert!(text.lines().count() >= 6, "{text}");
    }
    let more = [
        ("KEYWARD_EDGE_TARGETS", url.as_str()),
        ("KEYWARD_PUSH_SECRET", OTHER_PUSH_SECRET),
    ];
    let (good, text) = check(&database, &more).await;
    assert!(!good);
    assert!(
        line(&text, &format!("edge {url}")).starts_with("FAIL  "),
        "{text}"
    );
}

#[tokio::test]
async fn secrets_are_read_from_files() {
    let database = Database::fresh().await;
    let file = |name: &str, text: &str| {
        let path = database.folder().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let tag = file("tag", &format!("{TAG_SECRET}\n"));
    let empty = file("empty", "\n");
    for (own, path, good) in [
        ("", tag.as_str(), true),
        (TAG_SECRET, &tag, false),
        ("", &empty, false),
        ("", "/no/such/file", false),
    ] {
        let more = [
            ("KEYWARD_TAG_SECRET", own),
            ("KEYWARD_TAG_SECRET_FILE", path),
        ];
        let (passed, text) = check(&database, &more).await;
        assert_eq!(passed, good, "{text}");
        assert_eq!(line(&text, "tag secret").starts_with("ok "), good, "{text}");
    }
}
