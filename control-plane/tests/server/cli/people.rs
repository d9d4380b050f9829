use keyward::admin_token::AdminToken;
use reqwest::Method;
use serde_json::json;

use super::Desk;

#[tokio::test]
async fn a_member_is_invited_changed_and_removed() {
    let desk = Desk::new().await;
    let flags = [
        "members",
        "invite",
        "ada@example.com",
        "--name",
        "Ada",
        "--role",
        "developer",
    ];
    let run = desk.run(&flags).await;
    assert!(run.err.contains("shown this once"), "{}", run.err);
    let invitation = run.exits(0);
    assert!(invitation.starts_with("kwi_") && invitation.lines().count() == 1);
    let renewed = desk.run(&["members", "renew", "Ada"]).await.exits(0);
    assert_ne!(renewed, invitation);
    let accept = |text: &str| {
        let body = json!({"token": text.trim_end()});
        let base = desk.process.base.clone();
        let client = reqwest::Client::new();
        async move {
            let url = format!("{base}/v1/invitations/accept");
            client.post(url).json(&body).send().await.unwrap().status()
        }
    };
    assert!(accept(&invitation).await.is_client_error());
    assert_eq!(accept(&renewed).await, 201);

    let table = desk.run(&["members", "list", "--role", "developer"]).await;
    let table = table.table();
    assert_eq!(table[0][..5], ["ID", "NAME", "E-MAIL", "ROLE", "STATUS"]);
    assert_eq!(
        table[1][1..5],
        ["Ada", "ada@example.com", "developer", "active"]
    );
    let id = table[1][0].clone();
    desk.run(&["members", "update", "Ada", "--role", "viewer"])
        .await
        .exits(0);
    let path = format!("/v1/members/{id}");
    assert_eq!(desk.api(&path).await["role"], "viewer");
    assert_eq!(desk.shell.json(&["members", "show", "Ad"]).await["id"], *id);

    desk.make("key", json!({"name": "k", "ownerId": id})).await;
    desk.run(&["members", "remove", "Ada"])
        .await
        .fails(2, "--yes");
    let run = desk.run(&["members", "remove", "Ada", "--yes"]).await;
    assert!(
        run.err.contains("Keys that are refused now: 1."),
        "{}",
        run.err
    );
    run.exits(0);
    assert_eq!(desk.status(&path).await, 404);
}

#[tokio::test]
async fn a_role_is_made_given_changed_and_deleted() {
    let desk = Desk::new().await;
    let flags = [
        "roles",
        "create",
        "Partners",
        "--permission",
        "keys.*,accounts.read",
        "--api-permission",
        "orders.*",
        "--description",
        "For partners",
    ];
    let made = desk.shell.json(&flags).await;
    let id = made["role"]["id"].as_str().unwrap();
    let path = format!("/v1/roles/{id}");
    let role = desk.api(&path).await;
    assert_eq!(
        role["managementPermissions"],
        json!(["keys.*", "accounts.read"])
    );
    assert_eq!(role["apiPermissions"], json!(["orders.*"]));
    let table = desk.run(&["roles", "list"]).await.table();
    assert_eq!(table[0][..4], ["ID", "NAME", "MANAGEMENT", "API"]);
    for name in ["owner", "viewer", "Partners"] {
        assert!(
            table
                .iter()
                .any(|line| line.get(1).is_some_and(|cell| cell == name)),
            "{table:?}"
        );
    }
    assert_eq!(
        desk.shell.json(&["roles", "show", "owner"]).await["id"],
        "owner"
    );

    desk.run(&["roles", "update", "Partners", "--permission", ""])
        .await
        .exits(0);
    let role = desk.api(&path).await;
    assert_eq!(role["managementPermissions"], json!([]));
    assert_eq!(role["apiPermissions"], json!(["orders.*"]));

    let flags = [
        "members",
        "invite",
        "a@b.example",
        "--name",
        "A",
        "--role",
        "Partners",
    ];
    let made = desk.shell.json(&flags).await;
    assert_eq!(made["member"]["role"], *id);
    desk.run(&["roles", "delete", "Partners", "--yes"])
        .await
        .fails(1, "409 conflict");
    desk.run(&["members", "remove", "A", "--yes"])
        .await
        .exits(0);
    desk.run(&["roles", "delete", "Partners"])
        .await
        .fails(2, "--yes");
    desk.run(&["roles", "delete", "Partners", "--yes"])
        .await
        .exits(0);
    assert_eq!(desk.status(&path).await, 404);
}

#[tokio::test]
async fn an_admin_token_is_made_used_and_revoked() {
    let mut desk = Desk::new().await;
    let flags = [
        "tokens",
        "create",
        "nightly",
        "--role",
        "viewer",
        "--permission",
        "keys.read,tokens.read",
        "--expires",
        "90d",
    ];
    let run = desk.run(&flags).await;
    assert!(run.err.contains("nightly"), "{}", run.err);
    let text = run.exits(0);
    assert_eq!(text.lines().count(), 1);
    let text = text.trim_end();
    assert!(AdminToken::parse(text).is_ok());

    let call = desk.process.call(Method::GET, "/v1/keys", text, None);
    assert_eq!(call.await.unwrap().status, 200);
    let table = desk.run(&["tokens", "list"]).await.table();
    assert_eq!(table[0][..4], ["ID", "NAME", "ROLE", "ONLY"]);
    let line = table.iter().find(|line| line[1] == "nightly").unwrap();
    assert_eq!(line[2..4], ["viewer", "keys.read, tokens.read"]);
    assert_eq!(
        desk.shell.json(&["tokens", "show", &line[0]]).await["name"],
        "nightly"
    );

    let root = std::mem::replace(&mut desk.shell.token, text.to_owned());
    let me = desk.shell.json(&["me"]).await;
    assert_eq!(me["token"]["name"], "nightly");
    assert_eq!(me["permissions"], json!(["keys.read"]));
    desk.run(&["keys", "create", "k"])
        .await
        .fails(1, "keys.write");
    desk.shell.token = root;
    let told = desk.run(&["me"]).await.table();
    assert!(
        told.iter()
            .any(|line| line[0] == "token.role" && line[1] == "owner"),
        "{told:?}"
    );

    desk.run(&["tokens", "revoke", "nightly"])
        .await
        .fails(2, "--yes");
    desk.run(&["tokens", "revoke", "nightly", "--yes"])
        .await
        .exits(0);
    let call = desk.process.call(Method::GET, "/v1/keys", text, None);
    assert_eq!(call.await.unwrap().status, 401);
    for flags in [&["--role", "viewer", "--member", "m"][..], &[]] {
        let run = desk
            .run(&[&["tokens", "create", "x"], flags].concat())
            .await;
        assert_eq!(run.code, 2, "{}", run.err);
    }
}

#[tokio::test]
async fn a_token_for_a_member_is_named_by_the_member() {
    let desk = Desk::new().await;
    let body = json!({"email": "ada@example.com", "name": "Ada", "role": "developer"});
    let id = desk.make("member", body).await;
    let made = desk
        .shell
        .json(&["tokens", "create", "t", "--member", "Ada"])
        .await;
    assert_eq!(made["adminToken"]["memberId"], *id);
    let of_ada = desk
        .shell
        .json(&["tokens", "list", "--member", "Ada"])
        .await;
    assert_eq!(of_ada["data"].as_array().unwrap().len(), 1);
}
