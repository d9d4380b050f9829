use serde_json::json;

use super::Desk;

#[tokio::test]
async fn accounts_are_made_changed_and_deleted() {
    let desk = Desk::new().await;
    let made = desk
        .shell
        .json(&["accounts", "create", "Shop", "--prefix", "shop"])
        .await;
    let id = made["account"]["id"].as_str().unwrap();
    let below = desk
        .shell
        .json(&["accounts", "create", "Lab", "--parent", "Shop"])
        .await;
    assert_eq!(below["account"]["parentId"], *id);
    assert_eq!(below["account"]["tokenPrefix"], "shop");
    desk.run(&["accounts", "update", "Shop", "--name", "Store"])
        .await
        .exits(0);
    let path = format!("/v1/accounts/{id}");
    assert_eq!(desk.api(&path).await["name"], "Store");
    assert_eq!(
        desk.shell.json(&["accounts", "show", "Sto"]).await["id"],
        *id
    );
    desk.run(&["accounts", "delete", "Store", "--yes"])
        .await
        .fails(1, "409 conflict");
    desk.run(&["accounts", "delete", "Lab"])
        .await
        .fails(2, "--yes");
    desk.run(&["accounts", "delete", "Lab", "--yes"])
        .await
        .exits(0);
    desk.run(&["accounts", "delete", "Store", "--yes"])
        .await
        .exits(0);
    assert_eq!(desk.status(&path).await, 404);
    let run = desk
        .run(&["accounts", "create", "x", "--prefix", "No"])
        .await;
    run.fails(1, "\n  tokenPrefix: ");
}

#[tokio::test]
async fn a_list_is_a_tree() {
    let desk = Desk::new().await;
    let shop = desk.make("account", json!({"name": "Shop"})).await;
    desk.make("account", json!({"name": "Lab", "parentId": shop}))
        .await;
    desk.make("account", json!({"name": "Bar"})).await;
    let names = |table: Vec<Vec<String>>| -> Vec<String> {
        table
            .into_iter()
            .skip(2)
            .map(|line| line[0].clone())
            .collect()
    };
    let tree = desk.run(&["accounts", "list"]).await.table();
    assert_eq!(tree[0][..2], ["NAME", "ID"]);
    assert_eq!(names(tree), ["├─ Bar", "└─ Shop", "└─ Lab"]);
    let whole = desk.run(&["accounts", "list"]).await.exits(0);
    assert!(whole.contains("\n   └─ Lab "), "{whole}");
    let flat = desk.run(&["accounts", "list", "--flat"]).await.table();
    assert!(flat.iter().any(|line| line[0] == "Lab"), "{flat:?}");
    let below = desk
        .shell
        .json(&["accounts", "list", "--parent", "Shop"])
        .await;
    assert_eq!(below["data"][0]["name"], "Lab");
    assert_eq!(below["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn presets_are_listed() {
    let desk = Desk::new().await;
    let table = desk.run(&["presets"]).await.table();
    assert_eq!(table[0], ["NAME", "PER MINUTE", "PER HOUR", "PER DAY"]);
    assert_eq!(table[2], ["production", "100", "5000", "100000"]);
    assert_eq!(
        desk.shell.json(&["presets"]).await["data"][0]["name"],
        "development"
    );
}
