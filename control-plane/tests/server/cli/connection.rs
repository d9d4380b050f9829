use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use keyward::admin_token::AdminToken;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::{Desk, Run, Shell, run};

/// Something that is no Keyward; gives its address.
pub async fn impostor(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

async fn login(shell: &Shell, server: &str, token: &str) -> Run {
    let mut command = shell.bare(&["login", "--server", server]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // It may have ended before it read.
    let _ = input.write_all(format!("{token}\n").as_bytes()).await;
    drop(input);
    Run::of(child.wait_with_output().await.unwrap())
}

#[tokio::test]
async fn a_wrong_token_is_refused_by_the_server() {
    let mut desk = Desk::new().await;
    desk.shell.token = AdminToken::mint().unwrap().expose().to_owned();
    desk.run(&["keys", "list"])
        .await
        .fails(1, "401 unauthorized");
    desk.shell.token = "two\nlines".to_owned();
    desk.run(&["keys", "list"])
        .await
        .fails(2, "characters that none has");
}

#[tokio::test]
async fn no_token_at_all_is_told_before_anything_is_sent() {
    let shell = Shell::new("", "");
    let run = run(shell.bare(&["keys", "list"])).await;
    run.fails(2, "keyward login");
}

#[tokio::test]
async fn a_server_that_is_not_there_has_an_exit_code_of_its_own() {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let shell = Shell::new(&format!("http://127.0.0.1:{port}"), "kwa_x");
    shell
        .run(&["keys", "list"])
        .await
        .fails(3, "can't be reached");
    let shell = Shell::new("https://keyward.invalid", "kwa_x");
    shell
        .run(&["keys", "list"])
        .await
        .fails(3, "can't be reached");
}

#[tokio::test]
async fn a_token_is_not_sent_to_other_machines_in_the_clear() {
    let shell = Shell::new("http://192.0.2.1", "kwa_x");
    shell.run(&["keys", "list"]).await.fails(2, "--plain-http");
}

#[tokio::test]
async fn login_keeps_server_and_token_for_their_owner_alone() {
    let desk = Desk::new().await;
    let shell = &desk.shell;
    let told = login(shell, &desk.process.base, &shell.token).await;
    assert!(
        !told.err.contains(&shell.token) && told.err.contains("config.json"),
        "{}",
        told.err
    );
    told.exits(0);
    let mode = fs::metadata(shell.config()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    run(shell.bare(&["keys", "list"])).await.exits(0);

    fs::set_permissions(shell.config(), Permissions::from_mode(0o640)).unwrap();
    run(shell.bare(&["keys", "list"]))
        .await
        .fails(2, "chmod 600");
    fs::set_permissions(shell.config(), Permissions::from_mode(0o600)).unwrap();

    run(shell.bare(&["logout"])).await.exits(0);
    assert!(!shell.config().exists());
    run(shell.bare(&["keys", "list"]))
        .await
        .fails(2, "keyward login");
}

#[tokio::test]
async fn a_token_that_the_server_refuses_is_not_kept() {
    let desk = Desk::new().await;
    let wrong = AdminToken::mint().unwrap();
    let told = login(&desk.shell, &desk.process.base, wrong.expose()).await;
    told.fails(1, "401 unauthorized");
    login(&desk.shell, &desk.process.base, "")
        .await
        .fails(2, "no token");
    assert!(!desk.shell.config().exists());
}

#[tokio::test]
async fn a_kept_token_goes_to_its_own_server_only() {
    let desk = Desk::new().await;
    login(&desk.shell, &desk.process.base, &desk.shell.token)
        .await
        .exits(0);
    let other = impostor(Router::new()).await;
    let told = run(desk.shell.bare(&["keys", "list", "--server", &other])).await;
    told.fails(2, "no admin token for");
}

#[tokio::test]
async fn a_broken_file_of_settings_is_told_without_what_is_in_it() {
    let shell = Shell::new("", "");
    fs::create_dir(shell.home.path().join("keyward")).unwrap();
    fs::write(shell.config(), r#"{"token": "kwa_secret", "server": 7}"#).unwrap();
    fs::set_permissions(shell.config(), Permissions::from_mode(0o600)).unwrap();
    let told = run(shell.bare(&["keys", "list"])).await;
    assert!(!told.err.contains("kwa_secret"));
    told.fails(2, "run `keyward login` again");
}

#[tokio::test]
async fn answers_of_something_else_are_told_and_bounded() {
    let endless = || async { vec![b'['; 20_000_000] };
    let routes = Router::new()
        .route("/html/v1/keys", get(|| async { "<html>" }))
        .route("/endless/v1/keys", get(endless))
        .route(
            "/moved/v1/keys",
            get(|| async { Redirect::temporary("/html/v1/keys") }),
        )
        .route(
            "/down/v1/keys",
            get(|| async { (StatusCode::BAD_GATEWAY, "\u{1b}[2J") }),
        )
        .route(
            "/loud/v1/keys",
            get(|| async { (StatusCode::CONFLICT, r#"{"detail": "\u001b[2J\u202eno"}"#) }),
        );
    let base = impostor(routes).await;
    let list = async |path: &str| {
        let shell = Shell::new(&format!("{base}/{path}"), "kwa_x");
        shell.run(&["keys", "list"]).await
    };
    list("html").await.fails(1, "is it a Keyward?");
    list("endless").await.fails(1, "more than");
    list("moved").await.fails(1, "another address");
    list("down").await.fails(1, "status 502");
    list("loud").await.fails(1, "\\u{1b}[2J\\u{202e}no (409)");
}

#[tokio::test]
async fn wrong_usage_is_told_and_nothing_is_sent() {
    let shell = Shell::new("http://127.0.0.1:1", "kwa_x");
    for arguments in [
        ["keys", "list", "--limit=0"],
        ["keys", "show", "--nonsense"],
        ["keys", "rotate", "--grace=x"],
    ] {
        let run = shell.run(&arguments).await;
        assert_eq!(run.code, 2, "{arguments:?} {}", run.err);
    }
}

#[tokio::test]
async fn every_shell_gets_its_completions() {
    let shell = Shell::new("", "");
    for name in ["bash", "zsh", "fish", "powershell"] {
        let script = run(shell.bare(&["completions", name])).await.exits(0);
        assert!(
            script.contains("reactivate") && script.contains("keyward"),
            "{name}"
        );
    }
}
