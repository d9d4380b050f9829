//! What is left of a key's quota, by the word of the guards: the edge tells its ledgers as they are, and they are read here.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use shared::Millis;
use shared::ledger::{self, Books, Ledger, PLAN_ROW, Shared, Standing, identity_row};
use shared::message::StateAsk;
use shared::read::{self, FromJson};
use shared::record::KeyRecord;

use crate::state::AppState;
use crate::store::targets::Target;
use crate::sync::edge_client::EdgeClient;
use crate::timestamp::Timestamp;

/// Nobody waits longer for an edge here.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an edge knows of a key's quota.
#[derive(Debug, Clone, PartialEq)]
pub enum Left {
    /// How all that limits the key stands, and how many units gates hold in leases.
    Known {
        /// The key's own windows first.
        standing: Vec<Standing>,
        /// They count as used, until they are reported.
        leased_out: u64,
    },
    /// It could not be asked: why.
    Unknown(String),
}

/// Asks every edge.
pub async fn ask(state: &AppState, edges: Vec<Target>, key: &KeyRecord) -> Vec<Left> {
    let now = state.now();
    let asked = edges.into_iter().map(|edge| async move {
        let asked = async {
            let client = state.propagation().client(&edge.url)?;
            ask_one(&client, key, now).await
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(left)) => left,
            Ok(Err(error)) => Left::Unknown(error.to_string()),
            Err(_) => Left::Unknown("no answer in time".to_owned()),
        }
    });
    join_all(asked).await
}

async fn ask_one(edge: &EdgeClient, key: &KeyRecord, now: Millis) -> anyhow::Result<Left> {
    let question = StateAsk::Ledgers {
        account: &key.account,
        key: &key.id,
        identity: key.identity.as_deref(),
    };
    let rows = edge.ask(question, now).await?;
    read_rows(&rows, key, now)
}

/// Reads the rows of an answer as the guard would.
fn read_rows(rows: &str, key: &KeyRecord, now: Millis) -> anyhow::Result<Left> {
    let mut own: Ledger = row(rows, &key.id)?.unwrap_or_default();
    let mut plan: Option<Shared> = row(rows, PLAN_ROW)?;
    let identity = key.identity.as_deref();
    let mut of_identity = match identity {
        // An identity that the guard does not know has nothing.
        Some(id) => row(rows, &identity_row(id))?.unwrap_or_else(Shared::nothing),
        None => Shared::default(),
    };
    if let Some(credits) = &key.credits {
        own.adopt(credits, u64::MAX, now);
    }
    let leased_out = own.leased_out(now);
    let books = Books {
        key: &mut own,
        limits: &key.limits,
        credits: key.credits.as_ref(),
        identity: identity.map(|name| (name, &mut of_identity)),
        plan: plan.as_mut().filter(|plan| plan.is_plan()),
    };
    Ok(Left::Known {
        standing: books.standing(now),
        leased_out,
    })
}

/// The ledger of a name among lines of a name and a ledger.
fn row<T: FromJson>(rows: &str, name: &str) -> anyhow::Result<Option<T>> {
    let found = rows.lines().find_map(|line| {
        let (of, body) = line.split_once(' ')?;
        (of == name).then_some(body)
    });
    let parsed = found.map(read::from_str).transpose();
    parsed.map_err(|error| anyhow::anyhow!("the edge's ledger can't be read: {error}"))
}

impl Left {
    /// Whether a request of this cost finds room; `None`: not known.
    pub fn has_room(&self, cost: u32) -> Option<bool> {
        match self {
            Self::Known { standing, .. } => {
                Some(standing.iter().all(|one| one.left >= u64::from(cost)))
            }
            Self::Unknown(_) => None,
        }
    }

    /// For people.
    pub fn shown(&self, now: Millis) -> Value {
        match self {
            Self::Known {
                standing,
                leased_out,
            } => json!({
                "at": Timestamp(now),
                "windows": standing.iter().map(|one| json!({
                    "window": one.policy,
                    "limit": one.limit,
                    "left": one.left,
                    "resetInSeconds": (!ledger::is_never(one.reset_in))
                        .then(|| one.reset_in.div_ceil(1_000)),
                })).collect::<Vec<_>>(),
                "leasedOut": leased_out,
            }),
            Self::Unknown(why) => json!({"at": Timestamp(now), "error": why}),
        }
    }
}
