//! The standard's own data: web-platform-tests' `urltestdata.json`, as the `url` crate's locked package carries it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use crate::{is_internationalised, is_origin, scheme};

#[derive(Deserialize)]
struct Case {
    input: String,
    #[serde(default)]
    failure: bool,
    href: Option<String>,
    origin: Option<String>,
    #[serde(default)]
    protocol: String,
    #[serde(default)]
    host: String,
}

impl Case {
    /// The origin of an http or https address; where the data leaves it out, of the parts that the standard makes it from.
    fn http_origin(&self) -> Option<String> {
        let is_http = matches!(self.protocol.as_str(), "http:" | "https:");
        let parts = || format!("{}//{}", self.protocol, self.host);
        is_http.then(|| self.origin.clone().unwrap_or_else(parts))
    }
}

/// The folder of the package that Cargo.lock names.
fn package() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(root)
        .args(["metadata", "--format-version=1", "--locked"]);
    let output = cargo.output().expect("cargo runs");
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{why}");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo answers JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let found = packages.iter().find(|package| package["name"] == "url");
    let manifest = found.and_then(|package| package["manifest_path"].as_str());
    let folder = manifest.and_then(|manifest| Path::new(manifest).parent());
    folder.expect("the package").to_owned()
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(package().join("tests/urltestdata.json"));
    let all: Vec<Value> = serde_json::from_str(&text.expect("the data")).expect("JSON");
    // What is no object is a comment.
    let cases = all.into_iter().filter(Value::is_object);
    cases
        .map(|case| serde_json::from_value(case).expect("a case"))
        .collect()
}

#[test]
fn every_http_origin_of_the_standards_data_is_an_origin() {
    let mut seen = BTreeSet::new();
    for case in cases() {
        if let Some(origin) = case.http_origin() {
            assert!(is_origin(&origin), "{origin}");
            seen.insert(origin);
        }
    }
    assert!(seen.len() > 50, "{}", seen.len());
}

#[test]
fn every_address_of_the_standards_data_is_an_origin_only_if_it_is_its_own() {
    let (mut own, mut others) = (0, 0);
    for case in cases() {
        let input = case.input.as_str();
        let taken = is_origin(input);
        if !matches!(scheme(input), "http" | "https") {
            // Of apps and extensions the standard says nothing; its other schemes are never an origin in HTTP.
            let special = ["ws", "wss", "ftp", "file", "blob", "data", "about"];
            assert!(!taken || !special.contains(&scheme(input)), "{input}");
            continue;
        }
        let is_own = case.http_origin().as_deref() == Some(input);
        if case.failure && is_internationalised(input) {
            continue;
        }
        assert_eq!(taken, is_own, "{input}");
        if is_own {
            own += 1;
        } else {
            others += 1;
        }
        // With a path it is an address, never an origin.
        assert!(!is_origin(&case.href.unwrap_or_default()), "{input}");
    }
    assert!(own > 5 && others > 200, "{own} {others}");
}
