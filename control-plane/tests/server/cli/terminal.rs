//! What is different on a terminal; it is a real one, as the system gives them.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::json;
use tokio::process::Command;
use tokio::task::spawn_blocking;

use super::Desk;

/// Runs a command on a terminal of this width, types `typed`, and gives what the screen got and the exit code.
async fn on_terminal(mut command: Command, width: u16, typed: &str) -> (String, i32) {
    let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&keyboard).unwrap();
    unlockpt(&keyboard).unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: width,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let name = ptsname(&keyboard, Vec::new()).unwrap();
    let terminal = || -> OwnedFd {
        rustix::fs::open(
            name.as_c_str(),
            OFlags::RDWR | OFlags::NOCTTY,
            Mode::empty(),
        )
        .unwrap()
    };
    let end = terminal();
    tcsetwinsize(&end, size).unwrap();
    command
        .stdin(terminal())
        .stdout(terminal())
        .stderr(terminal());
    let mut child = command.spawn().unwrap();
    drop((command, end));
    let mut keyboard = File::from(keyboard);
    keyboard.write_all(typed.as_bytes()).unwrap();
    let screen = spawn_blocking(move || {
        let mut screen = Vec::new();
        let mut buffer = [0; 4096];
        // Linux ends this with an error when the last program has left the terminal.
        while let Ok(read @ 1..) = keyboard.read(&mut buffer) {
            screen.extend_from_slice(&buffer[..read]);
        }
        String::from_utf8(screen).unwrap()
    });
    let code = child.wait().await.unwrap().code().unwrap();
    (screen.await.unwrap(), code)
}

#[tokio::test]
async fn who_is_asked_decides() {
    let desk = Desk::new().await;
    let id = desk.make("key", json!({"name": "my key"})).await;
    let path = format!("/v1/keys/{id}");
    for answer in ["n\n", "\n", "delete\n"] {
        let command = desk.shell.command(&["keys", "delete", "my key"]);
        let (screen, code) = on_terminal(command, 100, answer).await;
        assert_eq!(code, 2, "{screen}");
        assert!(
            screen.contains(&format!("Delete the key “my key” ({id})?")),
            "{screen}"
        );
        assert_eq!(desk.api(&path).await["status"], "active");
    }
    let command = desk.shell.command(&["keys", "delete", "my key"]);
    let (screen, code) = on_terminal(command, 100, "y\n").await;
    assert_eq!(code, 0, "{screen}");
    assert_eq!(desk.status(&path).await, 404);
}

#[tokio::test]
async fn a_table_is_as_wide_as_its_terminal_and_coloured() {
    let desk = Desk::new().await;
    let name = "a name of very many words ".repeat(3);
    let id = desk.make("key", json!({"name": name})).await;
    let list = || desk.shell.command(&["keys", "list"]);
    let (colored, _) = on_terminal(list(), 120, "").await;
    assert!(colored.contains("\u{1b}["), "{colored}");

    let mut plain = list();
    plain.env("NO_COLOR", "1");
    let (plain, _) = on_terminal(plain, 120, "").await;
    assert!(!plain.contains('\u{1b}'), "{plain}");
    assert!(plain.contains(&id), "{plain}");
    assert!(!plain.contains("ACCOUNT"), "{plain}");
    let longest = plain
        .lines()
        .map(|line| line.trim_end().chars().count())
        .max();
    assert!(longest <= Some(120), "{plain}");

    let mut wide = list();
    wide.env("NO_COLOR", "1");
    let (wide, _) = on_terminal(wide, 250, "").await;
    assert!(wide.contains("ACCOUNT"), "{wide}");
}

#[tokio::test]
async fn names_do_not_reach_the_terminal_raw() {
    let desk = Desk::new().await;
    // Control characters are refused by the server itself; these it takes.
    let metadata = json!({"note": "\u{1b}]0;title\u{7}\u{9b}2J\u{202e}"});
    let id = desk
        .make("key", json!({"name": "k", "metadata": metadata}))
        .await;
    for more in [&["--json"][..], &[]] {
        let mut command = desk.shell.command(&[&["keys", "show", &id], more].concat());
        command.env("NO_COLOR", "1");
        let (screen, code) = on_terminal(command, 100, "").await;
        assert_eq!(code, 0);
        let obeyed = ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}'];
        assert!(!screen.contains(obeyed), "{screen:?}");
        assert!(screen.contains("202e"), "{screen:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_typed_is_not_shown() {
    let desk = Desk::new().await;
    let command = desk.shell.bare(&["login", "--server", &desk.process.base]);
    let (screen, code) = on_terminal(command, 100, &format!("{}\n", desk.shell.token)).await;
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("Admin token: "), "{screen}");
    assert!(desk.shell.config().exists());
    // What was typed before the question may have been shown by the terminal itself; the program never shows it.
    let after = screen.split_once("Admin token: ").unwrap().1;
    assert!(!after.contains(&desk.shell.token), "{screen}");
}
