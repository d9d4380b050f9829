//! `import` and `export`: lines that are written and read as they come.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use futures_util::stream;
use keyward::admin_token::AdminToken;
use serde_json::{Value, json};
use shared::token::KeyHash;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::connection::impostor;
use super::{Desk, Run, Shell};

fn line(number: usize) -> String {
    let hash = KeyHash::of(&format!("old token {number}")).to_hex();
    let name = format!("Old key {number}");
    json!({"hash": hash, "name": name, "start": "old_", "last8": "87654321"}).to_string()
}

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn keys_are_imported_from_a_file_and_each_line_is_told() {
    let desk = Desk::new().await;
    let account = desk.make("account", json!({"name": "Shop"})).await;
    let file = desk.shell.home.path().join("keys.ndjson");
    fs::write(
        &file,
        format!("{}\nnonsense\n{}\n{}\n", line(1), line(2), line(1)),
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let run = desk.run(&["import", file, "--account", "Shop"]).await;
    let (_, report) = run.err.split_once("keyward import report ").unwrap();
    let id = report.trim_end().to_owned();
    let table = run.table();
    for (field, count) in [
        ("lines", "4"),
        ("created", "2"),
        ("existing", "1"),
        ("refused", "1"),
    ] {
        assert!(
            table.contains(&vec![field.to_owned(), count.to_owned()]),
            "{table:?}"
        );
    }
    let report = lines(&desk.run(&["import", "report", &id]).await.exits(0));
    let told: Vec<_> = report
        .iter()
        .map(|line| (&line["line"], &line["status"]))
        .collect();
    let expected = [
        (json!(1), json!("created")),
        (json!(2), json!("refused")),
        (json!(3), json!("created")),
    ];
    assert_eq!(
        told,
        expected.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>()
    );
    let keys = desk.api(&format!("/v1/keys?account={account}")).await;
    assert_eq!(keys["data"].as_array().unwrap().len(), 2);
    let table = desk.run(&["import", "list"]).await.table();
    assert_eq!(table[1][..6], [&id, "done", "4", "2", "1", "1"]);
    let again = desk
        .shell
        .json(&["import", file, "--account", "Shop"])
        .await;
    assert_eq!(again["existing"], 3);
    desk.run(&["import", "absent"]).await.fails(2, "absent: ");
    desk.run(&["import", "/"]).await.fails(2, "/: ");
    assert_eq!(desk.run(&["import"]).await.code, 2);
}

#[tokio::test]
async fn an_import_is_sent_while_it_is_read() {
    let desk = Desk::new().await;
    let mut command = desk.shell.command(&["import", "-", "--json"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let some: String = (0..400).map(|number| line(number) + "\n").collect();
    input.write_all(some.as_bytes()).await.unwrap();
    input.flush().await.unwrap();
    // Its beginning is in force before its end is written.
    while desk.api("/v1/imports").await["data"][0]["created"].as_u64() < Some(200) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    input
        .write_all((line(400) + "\n").as_bytes())
        .await
        .unwrap();
    drop(input);
    let import = Run::of(child.wait_with_output().await.unwrap()).json();
    assert_eq!(
        (&import["state"], &import["created"]),
        (&json!("done"), &json!(401))
    );
}

#[tokio::test]
async fn what_is_exported_can_be_imported() {
    let desk = Desk::new().await;
    let shop = desk.make("account", json!({"name": "Shop"})).await;
    desk.make("key", json!({"name": "above"})).await;
    desk.make("key", json!({"name": "k\u{202e}", "accountId": shop}))
        .await;
    let whole = desk.run(&["export"]).await.exits(0);
    assert_eq!(lines(&whole).len(), 2);
    assert!(!whole.contains('\u{202e}'));
    let file = desk.shell.home.path().join("keys");
    let path = file.to_str().unwrap();
    File::create(&file).unwrap().write_all(b"old").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let run = desk
        .run(&["export", "--account", "Shop", "--output", path])
        .await;
    assert_eq!(run.exits(0), "");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let written = lines(&fs::read_to_string(&file).unwrap());
    assert_eq!(
        (written.len(), &written[0]["name"]),
        (1, &json!("k\u{202e}"))
    );
    let import = desk
        .shell
        .json(&["import", path, "--account", "Shop"])
        .await;
    assert_eq!(import["existing"], 1);
    desk.run(&["export", "--output", "/dev/null"])
        .await
        .fails(2, "left alone");
    desk.run(&["export", "--account", "absent"])
        .await
        .fails(1, "no account");
}

/// A server whose export has so many pieces of a megabyte, and breaks off then, or not.
async fn exporter(pieces: usize, is_cut: bool) -> String {
    let export = move || async move {
        let row = format!("{}\n", json!({"name": "x".repeat(1000)}));
        let piece = Bytes::from(row.repeat(1024));
        let whole = (0..pieces).map(move |_| Ok(piece.clone()));
        let cut = is_cut.then(|| Err(std::io::Error::other("cut")));
        Body::from_stream(stream::iter(whole.chain(cut)))
    };
    impostor(Router::new().route("/v1/keys/export", get(export))).await
}

#[tokio::test]
async fn an_export_of_any_size_is_written_through() {
    let shell = Shell::new(
        &exporter(40, false).await,
        AdminToken::mint().unwrap().expose(),
    );
    let out = shell.run(&["export"]).await.exits(0);
    assert_eq!(out.lines().count(), 40 * 1024);
}

#[tokio::test]
async fn an_export_that_breaks_off_is_told_and_leaves_no_file() {
    let shell = Shell::new(
        &exporter(2, true).await,
        AdminToken::mint().unwrap().expose(),
    );
    let run = shell.run(&["export"]).await;
    assert_eq!(run.code, 3, "{}", run.err);
    assert!(run.err.contains("broke off"), "{}", run.err);
    assert!(run.out.ends_with('\n'));
    let file = shell.home.path().join("keys");
    fs::write(&file, "old").unwrap();
    let run = shell
        .run(&["export", "--output", file.to_str().unwrap()])
        .await;
    run.fails(3, "broke off");
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    assert_eq!(fs::read_dir(shell.home.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn an_import_whose_connection_breaks_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut some = [0; 1000];
        tokio::io::AsyncReadExt::read(&mut connection, &mut some)
            .await
            .unwrap();
    });
    let shell = Shell::new(&server, AdminToken::mint().unwrap().expose());
    let file = shell.home.path().join("keys");
    fs::write(&file, line(1).repeat(100_000)).unwrap();
    let run = shell.run(&["import", file.to_str().unwrap()]).await;
    assert_eq!((run.code, run.out.as_str()), (3, ""), "{}", run.err);
    assert!(run.err.contains("can be sent again"), "{}", run.err);
    // A refusal is told although the rest of the file was never read.
    let refuse = || async { (axum::http::StatusCode::FORBIDDEN, "") };
    shell
        .refused_by(&impostor(Router::new().route("/v1/imports", post(refuse))).await)
        .await;
}

impl Shell {
    async fn refused_by(mut self, server: &str) {
        server.clone_into(&mut self.server);
        let run = self.run(&["import", "keys"]).await;
        run.fails(1, "status 403");
    }
}
