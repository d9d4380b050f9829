use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::{Desk, Run};

fn orders() -> Value {
    json!({
        "name": "Orders", "upstream": "https://orders.example",
        "endpoints": [{"host": "api.example", "environment": "production"}],
        "routes": [{"method": "GET", "path": "/v1/orders", "permission": "orders.read"}],
        "cors": {"allowedOrigins": ["https://*.example.com"]},
    })
}

#[tokio::test]
async fn an_api_is_made_of_a_file_listed_and_deleted() {
    let desk = Desk::new().await;
    let file = desk.shell.write("api.json", &orders());
    let made = desk.shell.json(&["apis", "create", "--file", &file]).await;
    let id = made["api"]["id"].as_str().unwrap();
    let table = desk.run(&["apis", "list"]).await.table();
    assert_eq!(
        table[0],
        ["ID", "NAME", "HOSTS", "UPSTREAM", "ROUTES", "ACCOUNT"]
    );
    let expected = [
        id,
        "Orders",
        "api.example (production)",
        "https://orders.example",
        "1",
    ];
    assert_eq!(table[1][..5], expected);
    desk.run(&["apis", "create", "--file", &file])
        .await
        .fails(1, "409 conflict");
    desk.run(&["apis", "delete", "Orders"])
        .await
        .fails(2, "--yes");
    desk.run(&["apis", "delete", "Orders", "--yes"])
        .await
        .exits(0);
    assert_eq!(desk.status(&format!("/v1/apis/{id}")).await, 404);
}

#[tokio::test]
async fn what_show_writes_update_takes() {
    let desk = Desk::new().await;
    let id = desk.make("api", orders()).await;
    let mut shown = desk.shell.json(&["apis", "show", "Orders"]).await;
    shown["upstream"] = "https://new.example".into();
    let file = desk.shell.write("api.json", &shown);
    desk.run(&["apis", "update", "Orders", "--file", &file])
        .await
        .exits(0);
    let mut changed = desk.api(&format!("/v1/apis/{id}")).await;
    for field in ["updatedAt", "version"] {
        changed[field] = shown[field].clone();
    }
    assert_eq!(changed, shown);
}

#[tokio::test]
async fn an_api_is_read_from_standard_input_and_made_for_another_account() {
    let desk = Desk::new().await;
    let account = desk.make("account", json!({"name": "Shop"})).await;
    let arguments = [
        "apis",
        "create",
        "--file",
        "-",
        "--account",
        "Shop",
        "--json",
    ];
    let mut command = desk.shell.command(&arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(orders().to_string().as_bytes())
        .await
        .unwrap();
    drop(input);
    let made = Run::of(child.wait_with_output().await.unwrap()).json();
    assert_eq!(made["api"]["accountId"], account);
    let found = desk
        .shell
        .json(&["apis", "list", "--account", "Shop"])
        .await;
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_that_is_no_api_is_told() {
    let desk = Desk::new().await;
    let list = desk.shell.write("list.json", &json!([]));
    desk.run(&["apis", "create", "--file", &list])
        .await
        .fails(2, "not a JSON object");
    desk.run(&["apis", "create", "--file", "absent"])
        .await
        .fails(2, "absent");
    let broken = desk.shell.write(
        "broken.json",
        &json!({"name": "x", "upstream": "?", "endpoints": []}),
    );
    let run = desk.run(&["apis", "create", "--file", &broken]).await;
    run.fails(1, "\n  endpoints: ");
}

#[tokio::test]
async fn environments_are_defined_listed_scheduled_and_deleted() {
    let desk = Desk::new().await;
    let made = desk
        .shell
        .json(&["environments", "create", "load-test", "--code", "lt"])
        .await;
    assert_eq!(made["environment"]["code"], "lt");
    let table = desk.run(&["environments", "list"]).await.table();
    let names: Vec<&str> = table[1..].iter().map(|row| row[1].as_str()).collect();
    assert_eq!(names, ["load-test", "staging", "production", "development"]);
    for (name, days) in [("load-test", "30"), ("production", "90")] {
        let arguments = ["environments", "update", name, "--rotate-after-days", days];
        let changed = desk.shell.json(&arguments).await;
        let shown = &changed["environment"]["rotateAfterDays"];
        assert_eq!(shown.to_string(), days);
    }
    let never = [
        "environments",
        "update",
        "production",
        "--rotate-after-days",
        "never",
    ];
    let changed = desk.shell.json(&never).await;
    assert!(changed["environment"]["rotateAfterDays"].is_null());
    desk.make("key", json!({"name": "k", "environment": "load-test"}))
        .await;
    let due = ["keys", "list", "--rotation-due-within-days", "30"];
    assert_eq!(desk.run(&due).await.table().len(), 2);
    let due = desk.shell.json(&["keys", "list", "--rotation-due"]).await;
    assert_eq!(due["data"], json!([]));
    let in_use = desk
        .run(&["environments", "delete", "load-test", "--yes"])
        .await;
    assert_eq!(in_use.code, 1, "{}", in_use.err);
    let other = ["environments", "create", "preview"];
    desk.shell.json(&other).await;
    desk.run(&["environments", "delete", "preview", "--yes"])
        .await
        .exits(0);
}
