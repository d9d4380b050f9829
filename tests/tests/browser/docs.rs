//! The control plane's documentation, as a person sees it.

use keyward_tests::{ControlPlane, Parts, Secrets, need};
use reqwest::Client;

use crate::chromium::{Browser, BrowserParts};

#[tokio::test(flavor = "multi_thread")]
async fn the_documentation_shows_every_operation_and_needs_nothing_from_elsewhere() {
    let parts = need!(BrowserParts::find());
    let real = need!(Parts::find());
    let folder = tempfile::tempdir().expect("a folder can be made");
    let client = Client::new();
    let control_plane = ControlPlane::new(&real, folder.path(), &Secrets::draw(), &client);
    control_plane.restart().await;
    let document: serde_json::Value = client
        .get(format!("{}/openapi.json", control_plane.url()))
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let operations: usize = paths
        .values()
        .map(|item| item.as_object().map_or(0, serde_json::Map::len))
        .sum();
    assert!(operations > 20, "{operations}");

    // Not this machine's own name: Swagger UI treats that one apart.
    let base = control_plane
        .url()
        .replace("127.0.0.1", "keyward.example.test");
    let browser = Browser::start(&parts).await;
    let page = browser.read(&format!("{base}/docs"), ".opblock").await;
    assert_eq!(page.found.len(), operations, "{page:?}");
    for words in ["/v1/keys", "createKey", "Rotate a key"] {
        assert!(
            page.found.iter().any(|text| text.contains(words)),
            "{page:?}"
        );
    }
    assert_eq!(page.violations, [""; 0]);
    assert_eq!(page.faults, [""; 0]);
    // `data:` is in the page already.
    let asked = page.requests.iter().filter(|url| !url.starts_with("data:"));
    let elsewhere: Vec<_> = asked.filter(|url| !url.starts_with(&base)).collect();
    assert_eq!(elsewhere, [""; 0]);
    assert!(page.requests.contains(&format!("{base}/openapi.json")));
}
