//! `keyward accounts`.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Run;
use super::client::Query;
use super::connection::Session;
use super::failure::Failure;
use super::find::{Care, find};
use super::output::note;
use super::resource::{self, MAX_PAGE, Paging, Resource, Which, next_cursor, page, put, rows_of};
use super::table::Column;

/// The most accounts that are shown as a tree.
const MAX_TREE: usize = 10_000;

/// Accounts, as other commands refer to them.
pub const ACCOUNTS: Resource = Resource {
    path: "accounts",
    noun: "account",
    field: "account",
    id_prefix: "acc_",
    id_length: 12,
    search: None,
    columns: &[
        Column::text("NAME", "/name"),
        Column::id("ID", "/id"),
        Column::text("PREFIX", "/tokenPrefix"),
        Column::id("PARENT", "/parentId").if_wide(),
        Column::time("CREATED", "/createdAt"),
    ],
};

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub enum Accounts {
    /// List them, as a tree.
    List(List),
    /// Show one.
    Show(Which),
    /// Make one.
    Create(Create),
    /// Change one.
    Update(Update),
    /// Delete one that has nothing in it any more.
    Delete(Which),
}

/// Options of `list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only those directly below this one.
    #[arg(long, value_name = "ACCOUNT")]
    parent: Option<String>,
    /// Page by page instead of as a tree.
    #[arg(long)]
    flat: bool,
    #[command(flatten)]
    paging: Paging,
}

/// Options of `create`.
#[derive(Debug, Args)]
pub struct Create {
    /// What it is called.
    name: String,
    /// The account above it; by default that of the admin token.
    #[arg(long, value_name = "ACCOUNT")]
    parent: Option<String>,
    /// What its keys' tokens begin with; by default as the parent's.
    #[arg(long)]
    prefix: Option<String>,
}

/// Options of `update`.
#[derive(Debug, Args)]
pub struct Update {
    #[command(flatten)]
    which: Which,
    /// What it is called.
    #[arg(long)]
    name: Option<String>,
    /// What the tokens of its new keys begin with.
    #[arg(long)]
    prefix: Option<String>,
}

impl Run for Accounts {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(session).await,
            Self::Show(which) => resource::show(session, &ACCOUNTS, &which).await,
            Self::Create(create) => create.run(session).await,
            Self::Update(update) => {
                let mut body = resource::empty();
                put(&mut body, "name", update.name);
                put(&mut body, "tokenPrefix", update.prefix);
                resource::update(session, &ACCOUNTS, &update.which, &body).await
            }
            Self::Delete(which) => resource::delete(session, &ACCOUNTS, &which).await,
        }
    }
}

impl List {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut query = Query::new();
        let parent = id_of(session, self.parent.as_deref(), Care::Reading).await?;
        query.extend(parent.map(|id| ("parent", id)));
        if self.flat || session.output.is_json() || self.paging.is_partial() {
            return resource::list(session, &ACCOUNTS, query, self.paging).await;
        }
        let rows = tree(all(session, query).await?);
        if rows.is_empty() {
            note("No account found.");
            return Ok(());
        }
        session.output.rows(ACCOUNTS.columns, rows.iter())
    }
}

impl Create {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut body = serde_json::json!({"name": self.name});
        let parent = id_of(session, self.parent.as_deref(), Care::Changing).await?;
        put(&mut body, "parentId", parent);
        put(&mut body, "tokenPrefix", self.prefix);
        resource::create(session, &ACCOUNTS, &body).await
    }
}

/// The id of an account that a flag names, if it is given.
///
/// # Errors
/// When it can't be found, or is not the only one.
pub async fn id_of(
    session: &Session,
    account: Option<&str>,
    care: Care,
) -> Result<Option<String>, Failure> {
    match account {
        Some(text) => find(session, &ACCOUNTS, text, care).await.map(Some),
        None => Ok(None),
    }
}

async fn all(session: &Session, mut query: Query) -> Result<Vec<Value>, Failure> {
    query.push(("limit", MAX_PAGE.to_string()));
    let mut rows = Vec::new();
    let mut cursor = None;
    loop {
        let page = page(session, &ACCOUNTS, &query, cursor.as_deref()).await?;
        rows.extend_from_slice(rows_of(&page));
        cursor = next_cursor(&page);
        if cursor.is_none() {
            return Ok(rows);
        }
        if rows.len() >= MAX_TREE {
            let detail =
                format!("there are more than {MAX_TREE} accounts: give --flat, or a --parent");
            return Err(Failure::Usage(detail));
        }
    }
}

/// Brings accounts into the order of their tree, by name, and draws its branches before their names.
fn tree(rows: Vec<Value>) -> Vec<Value> {
    let text = |row: &Value, field: &str| {
        let text = row.get(field).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let ids: BTreeSet<String> = rows.iter().map(|row| text(row, "id")).collect();
    // By parent; those whose parent is not among them stand at the top.
    let mut below: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for row in rows {
        let parent = Some(text(&row, "parentId")).filter(|id| ids.contains(id));
        below
            .entry(parent.unwrap_or_default())
            .or_default()
            .push(row);
    }
    for rows in below.values_mut() {
        // The last is taken first.
        rows.sort_by_key(|row| std::cmp::Reverse((text(row, "name"), text(row, "id"))));
    }
    let mut ordered = Vec::new();
    let mut waiting = vec![(String::new(), below.remove("").unwrap_or_default())];
    while let Some((branches, mut rows)) = waiting.pop() {
        let Some(mut row) = rows.pop() else {
            continue;
        };
        let is_top = waiting.is_empty();
        let is_last = rows.is_empty();
        let (joint, beneath) = match (is_top, is_last) {
            (true, _) => ("", ""),
            (false, true) => ("└─ ", "   "),
            (false, false) => ("├─ ", "│  "),
        };
        let children = below.remove(&text(&row, "id")).unwrap_or_default();
        let name = format!("{branches}{joint}{}", text(&row, "name"));
        put(&mut row, "name", Some(name));
        ordered.push(row);
        let deeper = format!("{branches}{beneath}");
        waiting.push((branches, rows));
        waiting.push((deeper, children));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(accounts: &[(&str, &str, &str)]) -> Vec<String> {
        let rows = accounts.iter().map(|(id, parent, name)| {
            json!({"id": id, "parentId": (!parent.is_empty()).then_some(parent), "name": name})
        });
        let rows = tree(rows.collect());
        rows.iter()
            .map(|row| row["name"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn accounts_stand_below_their_parents_in_order_of_their_names() {
        let accounts = [
            ("4", "2", "Shop"),
            ("3", "1", "Beta"),
            ("1", "", "Root"),
            ("5", "2", "Lab"),
            ("2", "1", "Alpha"),
            ("6", "5", "Deep"),
        ];
        let expected = [
            "Root",
            "├─ Alpha",
            "│  ├─ Lab",
            "│  │  └─ Deep",
            "│  └─ Shop",
            "└─ Beta",
        ];
        assert_eq!(names(&accounts), expected);
    }

    #[test]
    fn accounts_without_their_parent_stand_at_the_top() {
        let accounts = [("2", "1", "B"), ("3", "1", "A"), ("4", "3", "C")];
        assert_eq!(names(&accounts), ["A", "└─ C", "B"]);
        assert!(names(&[]).is_empty());
    }
}
