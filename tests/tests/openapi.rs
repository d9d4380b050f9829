//! The OpenAPI document of a running control plane, judged by a linter that is not ours.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use keyward_tests::{ControlPlane, Parts, Secrets, need, root};
use reqwest::Client;

/// The linter's problems with a document.
fn lint(node: &PathBuf, modules: &PathBuf, document: &str) -> Vec<String> {
    let mut linter = Command::new(node)
        .arg(root().join("tests/openapi/lint.mjs"))
        .env("KEYWARD_NODE_MODULES", modules)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the linter starts");
    let mut input = linter.stdin.take().expect("its input");
    input.write_all(document.as_bytes()).expect("it reads");
    drop(input);
    let output = linter.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the linter failed");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(str::to_owned).collect()
}

fn linter() -> Result<(PathBuf, PathBuf), String> {
    let modules = Parts::node_modules();
    if !modules.join("@redocly/openapi-core/package.json").is_file() {
        return Err(format!(
            "{} has no @redocly/openapi-core",
            modules.display()
        ));
    }
    Ok((Parts::node()?, modules))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_linter_finds_nothing_wrong_with_the_document() {
    let (node, modules) = need!(linter());
    let parts = need!(Parts::find());
    let folder = tempfile::tempdir().expect("a folder can be made");
    let client = Client::new();
    let control_plane = ControlPlane::new(&parts, folder.path(), &Secrets::draw(), &client);
    control_plane.restart().await;
    let url = format!("{}/openapi.json", control_plane.url());
    let document = client.get(url).send().await.expect("an answer");
    let document = document.text().await.expect("text");
    assert_eq!(lint(&node, &modules, &document), [""; 0]);

    // It would find something.
    for (right, wrong, rule) in [
        (
            "\"operationId\":\"showKey\"",
            "\"operationId\":\"showApi\"",
            "operation-operationId-unique",
        ),
        (
            "#/components/schemas/Key\"",
            "#/components/schemas/Kee\"",
            "no-unresolved-refs",
        ),
        (
            "\"graceSeconds\":86400",
            "\"graceSeconds\":\"1\"",
            "no-invalid-media-type-examples",
        ),
        ("\"in\":\"path\"", "\"in\":\"nowhere\"", "struct"),
    ] {
        assert!(document.contains(right), "{right}");
        let found = lint(&node, &modules, &document.replace(right, wrong));
        assert!(
            found.iter().any(|line| line.starts_with(rule)),
            "{rule}: {found:#?}"
        );
    }
}
