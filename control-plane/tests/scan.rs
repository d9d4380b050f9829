//! `keyward scan`, the program itself, on real folders and real git repositories.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use shared::secret::Secret;
use shared::token::{KeyHash, Token};
use tempfile::TempDir;

/// A token; another for another seed.
fn token(seed: u8) -> String {
    let secret = Secret::from_text("a tag secret for the tests only").unwrap();
    let token = Token::mint("acme", "preview", "LOCATOR1", &[seed; 32], &secret).unwrap();
    token.expose().to_owned()
}

/// A folder to be searched.
struct Tree(TempDir);

/// How `keyward scan` ended.
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    #[track_caller]
    fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }

    fn findings(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// `path:line:column` of each.
    fn places(&self) -> Vec<String> {
        let findings = self.findings();
        let place = |f: &Value| {
            let path = f["path"].as_str().unwrap_or("(message)");
            format!("{path}:{}:{}", f["line"], f["column"])
        };
        findings.iter().map(place).collect()
    }
}

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.0.path().join(relative)
    }

    fn write(&self, relative: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
        command
            .current_dir(self.0.path())
            .arg("scan")
            .args(arguments);
        command.stdin(Stdio::null());
        command
    }

    fn scan(&self, arguments: &[&str]) -> Run {
        let run = ended(self.command(arguments).output().unwrap());
        for seed in 0..=9 {
            let token = token(seed);
            assert!(!run.out.contains(&token) && !run.err.contains(&token));
        }
        run
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.0.path())
            .args(["-c", "user.name=A", "-c", "user.email=a@example.com"])
            .args([
                "-c",
                "init.defaultBranch=main",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?} {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits all there is; gives the commit's id.
    fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }
}

fn ended(output: Output) -> Run {
    Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn a_token_in_a_file_is_found_and_not_repeated() {
    let tree = Tree::new();
    let token = token(1);
    tree.write("src/config.py", format!("a = 1\nkey = '{token}'\n"));
    tree.write("clean.txt", "nothing");
    let run = tree.scan(&["--json"]);
    run.exits(1);
    let findings = run.findings();
    let [finding] = findings.as_slice() else {
        panic!("{findings:?}");
    };
    assert_eq!(run.places(), ["src/config.py:2:8"]);
    assert_eq!(finding["start"], token[..20]);
    assert_eq!(finding["last8"], token[token.len() - 8..]);
    assert_eq!(finding["sha256"], KeyHash::of(&token).to_hex());

    let run = tree.scan(&[]);
    run.exits(1);
    let shown = format!("{}…{}", &token[..20], &token[token.len() - 8..]);
    assert_eq!(run.out, format!("src/config.py:2:8: {shown}\n"));
    let bytes = "a = 1\nkey = ''\nnothing".len() + token.len();
    assert_eq!(run.err, format!("1 token: 2 files read, {bytes} bytes\n"));
}

#[test]
fn a_clean_tree_is_clean() {
    let tree = Tree::new();
    tree.write("a.txt", format!("{}x", &token(1)[1..60]));
    let run = tree.scan(&[]);
    assert_eq!(run.exits(0).out, "");
}

#[test]
fn what_git_ignores_is_searched_only_when_it_is_wanted() {
    let tree = Tree::new();
    tree.git(&["init", "--quiet"]);
    tree.write(".gitignore", "local/\n");
    tree.write("local/a", token(1)).write(".env", token(2));
    assert_eq!(tree.scan(&["--json"]).exits(1).places(), [".env:1:1"]);
    let all = tree.scan(&["--json", "--no-ignore"]);
    assert_eq!(all.exits(1).places(), [".env:1:1", "local/a:1:1"]);
}

#[test]
fn binary_files_are_left_out_and_counted_unless_they_are_wanted() {
    let tree = Tree::new();
    tree.write(
        "image",
        [b"\0\x01\xff".as_slice(), token(1).as_bytes()].concat(),
    );
    let run = tree.scan(&[]);
    assert!(run.exits(0).err.contains("1 left out as binary"));
    tree.scan(&["--binary"]).exits(1);
}

#[test]
fn text_in_odd_encodings_is_searched() {
    let tree = Tree::new();
    let latin = [b"caf\xe9 ".as_slice(), token(1).as_bytes(), b"\xff\xfe\n"].concat();
    tree.write("latin1", latin);
    let text = format!("\u{feff}key\r\n{}", token(2));
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    tree.write("utf16", utf16);
    let places = tree.scan(&["--json"]).places();
    assert_eq!(places, ["latin1:1:6", "utf16:2:1"]);
}

#[test]
fn a_token_deep_in_a_big_file_is_found() {
    let tree = Tree::new();
    let mut big = vec![b'\n'; 40_000_000];
    big.extend(token(1).as_bytes());
    big.extend(vec![b'x'; 1_000_000]);
    tree.write("big", big);
    assert_eq!(tree.scan(&["--json"]).places(), ["big:40000001:1"]);
}

#[test]
fn symbolic_links_lead_nowhere_but_what_is_named_is_read() {
    let outside = Tree::new();
    outside.write("secret", token(1));
    let tree = Tree::new();
    tree.write("file", "x");
    symlink(outside.path("secret"), tree.path("link")).unwrap();
    symlink(outside.path(""), tree.path("folder")).unwrap();
    symlink(tree.path(""), tree.path("loop")).unwrap();
    tree.scan(&[]).exits(0);
    assert_eq!(tree.scan(&["--json", "link"]).places(), ["link:1:1"]);
}

#[test]
fn pipes_in_a_folder_do_not_stop_the_search() {
    let tree = Tree::new();
    tree.write("z", token(1));
    let made = Command::new("mkfifo").arg(tree.path("a")).status().unwrap();
    assert!(made.success());
    assert_eq!(tree.scan(&["--json"]).places(), ["z:1:1"]);
}

#[test]
fn standard_input_is_searched() {
    let tree = Tree::new();
    tree.write("in", format!("\n{}\n", token(1)));
    let mut command = tree.command(&["--json", "-"]);
    command.stdin(fs::File::open(tree.path("in")).unwrap());
    assert_eq!(
        ended(command.output().unwrap()).exits(1).places(),
        ["-:2:1"]
    );
}

#[test]
fn what_can_not_be_read_is_told_and_is_no_clean_result() {
    let tree = Tree::new();
    tree.write("ok", "x");
    let run = tree.scan(&["ok", "absent"]);
    assert!(run.exits(2).err.contains("absent"), "{}", run.err);
    assert!(run.err.contains("1 could not be read"), "{}", run.err);
    tree.write("found", token(1));
    tree.scan(&["found", "absent"]).exits(1);
    tree.scan(&["--no-such-option"]).exits(2);
}

#[test]
fn an_unreadable_file_is_told() {
    let tree = Tree::new();
    tree.write("closed", "x");
    fs::set_permissions(tree.path("closed"), Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(tree.path("closed")).is_ok() {
        // Root reads everything: a folder that is named as a file's part does for it.
        let run = tree.scan(&["closed/in-it"]);
        assert!(run.exits(2).err.contains("1 could not be read"));
        return;
    }
    let run = tree.scan(&[]);
    assert!(run.exits(2).err.contains("closed"), "{}", run.err);
}

#[test]
fn names_of_files_do_not_reach_the_terminal_raw() {
    let tree = Tree::new();
    tree.write("a\u{1b}[31m\nb", token(1));
    let run = tree.scan(&[]);
    assert!(run.exits(1).out.starts_with("a\\u{1b}[31m\\u{a}b:1:1: "));
    assert_eq!(run.out.lines().count(), 1);
}

#[test]
fn the_history_tells_where_a_token_first_appeared() {
    let tree = Tree::new();
    tree.git(&["init", "--quiet"]);
    tree.write("a.txt", "nothing");
    tree.commit("first");
    tree.write("dir/ä key.txt", format!("\n{}", token(1)));
    let added = tree.commit("with a token");
    tree.write("dir/ä key.txt", format!("more\n\n{}", token(1)));
    tree.commit("still there");
    fs::remove_file(tree.path("dir/ä key.txt")).unwrap();
    tree.commit("gone");

    tree.scan(&[]).exits(0);
    let run = tree.scan(&["--history", "--json"]);
    assert_eq!(run.exits(1).places(), ["dir/ä key.txt:2:1"]);
    let findings = run.findings();
    assert_eq!(findings[0]["commit"], added);
    assert_eq!(findings[0]["versions"], 2);
    let told = tree.scan(&["--history"]).out;
    let end = format!(" first in commit {}, in 2 versions\n", &added[..12]);
    assert!(told.ends_with(&end), "{told}");
}

#[test]
fn the_history_knows_other_branches_merges_tags_and_messages() {
    let tree = Tree::new();
    tree.git(&["init", "--quiet"]);
    tree.write("a", "1");
    tree.commit("first");
    tree.git(&["checkout", "--quiet", "-b", "side"]);
    tree.write("side", token(1));
    let side = tree.commit("on the side");
    tree.git(&["checkout", "--quiet", "main"]);
    tree.write("a", "2");
    let message = tree.commit(&format!("uses {}", token(2)));
    tree.git(&["merge", "--quiet", "--no-commit", "side"]);
    // What no parent has: it comes with the merge itself.
    tree.write("merged", token(3));
    let merge = tree.commit("merged");
    tree.git(&["tag", "--annotate", "v1", "--message", &token(4)]);
    let tag = tree.git(&["rev-parse", "v1"]);
    tree.git(&["reset", "--quiet", "--hard", "HEAD^"]);

    let findings = tree.scan(&["--history", "--json"]).findings();
    let mut found: Vec<_> = findings
        .iter()
        .map(|f| (f["path"].as_str(), f["commit"].as_str().unwrap()))
        .collect();
    found.sort_unstable();
    let mut expected = vec![
        (None, message.as_str()),
        (None, tag.as_str()),
        (Some("merged"), merge.as_str()),
        (Some("side"), side.as_str()),
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn an_empty_history_is_clean_and_a_folder_without_one_is_an_error() {
    let tree = Tree::new();
    let run = tree.scan(&["--history"]);
    assert!(
        run.exits(2).err.contains("not a git repository"),
        "{}",
        run.err
    );
    tree.git(&["init", "--quiet"]);
    tree.scan(&["--history"]).exits(0);
}

#[test]
fn a_history_of_many_objects_is_read_whole() {
    let tree = Tree::new();
    tree.git(&["init", "--quiet"]);
    for file in 0..300 {
        tree.write(&format!("d{}/f{file}", file % 7), format!("{file}"));
    }
    tree.write("blob", [vec![0; 3_000_000], token(1).into_bytes()].concat());
    for seed in 2..=9 {
        tree.write(&format!("t{seed}"), token(seed));
    }
    tree.commit("all");
    tree.git(&["gc", "--quiet"]);
    let run = tree.scan(&["--history", "--threads", "3"]);
    assert_eq!(run.exits(1).out.lines().count(), 8);
    let told = "8 tokens: 309 files read, ";
    assert!(run.err.starts_with(told), "{}", run.err);
    let run = tree.scan(&["--history", "--binary"]);
    assert_eq!(run.exits(1).out.lines().count(), 9);
}

#[test]
fn what_is_staged_is_searched_and_nothing_else() {
    let tree = Tree::new();
    tree.git(&["init", "--quiet"]);
    tree.write("new", token(1)).write("loose", token(2));
    tree.git(&["add", "new"]);
    // No commit yet: all that is staged is new.
    assert_eq!(
        tree.scan(&["--staged", "--json"]).exits(1).places(),
        ["new:1:1"]
    );
    tree.commit("kept");
    tree.scan(&["--staged"]).exits(0);
    tree.write("new", "changed");
    tree.write("copy", token(3));
    tree.git(&["add", "--all"]);
    tree.write("copy", "only the index counts");
    assert_eq!(tree.scan(&["--staged", "--json"]).places(), ["copy:1:1"]);
}

#[test]
fn a_pre_commit_hook_stops_a_commit() {
    let tree = Tree::new();
    tree.git(&["init", "--quiet"]);
    let keyward = Path::new(env!("CARGO_BIN_EXE_keyward"));
    let hook = format!("#!/bin/sh\nexec '{}' scan --staged\n", keyward.display());
    tree.write(".git/hooks/pre-commit", hook);
    fs::set_permissions(
        tree.path(".git/hooks/pre-commit"),
        Permissions::from_mode(0o755),
    )
    .unwrap();
    tree.write("ok", "x");
    tree.commit("passes");
    tree.write("key", token(1));
    tree.git(&["add", "key"]);
    let refused = Command::new("git")
        .current_dir(tree.path(""))
        .args(["-c", "user.name=A", "-c", "user.email=a@example.com"])
        .args(["commit", "--quiet", "--message", "stopped"])
        .output()
        .unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("1 token"));
}
