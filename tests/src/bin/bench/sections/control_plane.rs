//! The control plane with very many keys in one account, and what its calls cost beside bare handlers.

mod bulk;
mod lists;
mod rates;
mod resync;

use anyhow::Result;
use keyward_tests::Secrets;
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::report::Report;
use crate::server::{Kind, Server};

/// Keys of the small account.
const FEW: u64 = 1_000;

/// How many keys the large account has.
fn many(lab: &Lab) -> u64 {
    if lab.quick { 50_000 } else { 1_000_000 }
}

/// A control plane with two accounts.
struct Site {
    kind: Kind,
    database: String,
    secrets: Secrets,
    server: Server,
    large: Account,
    small: Account,
}

/// An account, and the member who owns some of its keys.
struct Account {
    id: String,
    owner: String,
}

impl Site {
    async fn open(lab: &Lab, kind: Kind) -> Result<Self> {
        let secrets = Secrets::draw();
        let database = kind.database(lab, "control-plane").await?;
        let server = Server::start(lab, &database, &secrets, None).await?;
        let large = account(&server, "Large").await?;
        let small = account(&server, "Small").await?;
        Ok(Self {
            kind,
            database,
            secrets,
            server,
            large,
            small,
        })
    }
}

async fn account(server: &Server, name: &str) -> Result<Account> {
    let made = server
        .post("/v1/accounts", &json!({ "name": name }))
        .await?;
    let id = text(&made, "id");
    let member = json!({
        "name": "Owner", "email": format!("owner@{}.example", name.to_lowercase()), "role": "developer", "accountId": id,
    });
    let owner = text(&server.post("/v1/members", &member).await?, "id");
    Ok(Account { id, owner })
}

/// A member that is a text, of an answer or of the record within it.
fn text(answer: &Value, name: &str) -> String {
    let inner = answer
        .as_object()
        .and_then(|o| o.values().find(|v| v.get(name).is_some()));
    let found = answer.get(name).or_else(|| inner?.get(name));
    found.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Measures it, on each database that is there.
///
/// # Errors
/// When a part does not start or answers wrongly.
pub async fn run(lab: &Lab, report: &mut Report) -> Result<()> {
    for kind in Kind::available() {
        let mut site = Site::open(lab, kind).await?;
        bulk::import(lab, report, &site).await?;
        site.server.restart().await?;
        lists::run(lab, report, &site).await?;
        bulk::export(lab, report, &site).await?;
        if kind == Kind::Sqlite {
            site = resync::run(lab, report, site).await?;
        }
        rates::run(lab, report, &site).await?;
    }
    Ok(())
}
