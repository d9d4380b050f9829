//! `keyward keys`.

mod settings;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Run;
use super::accounts::id_of;
use super::connection::Session;
use super::failure::Failure;
use super::find::Care;
use super::output::note;
use super::resource::{self, Paging, Resource, Which, put, rows_of};
use super::table::Column;
use settings::Settings;

/// Keys, as other commands refer to them.
pub const KEYS: Resource = Resource {
    path: "keys",
    noun: "key",
    field: "key",
    id_prefix: "key_",
    id_length: 24,
    search: Some("q"),
    columns: &[
        Column::id("ID", "/id"),
        Column::text("NAME", "/name"),
        Column::status("STATUS", "/status"),
        Column::text("ENVIRONMENT", "/environment"),
        Column::made("TOKEN", token),
        Column::made("LIMITS", limits),
        Column::time("EXPIRES", "/expiresAt"),
        Column::time("LAST USED", "/lastUsedAt"),
        Column::time("ROTATION DUE", "/rotationDueAt").if_wide(),
        Column::text("OWNER", "/ownerId").if_wide(),
        Column::id("ACCOUNT", "/accountId").if_wide(),
    ],
};

const USAGE: [Column; 4] = [
    Column::time("FROM", "/start"),
    Column::text("REQUESTS", "/requests"),
    Column::text("COST", "/cost"),
    Column::made("OUTCOMES", outcomes),
];

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// List them, the newest first.
    List(List),
    /// Show one.
    Show(Which),
    /// Make one. Its token goes to standard output, alone; the rest to standard error.
    Create(Create),
    /// Change what is given of it.
    Update(Update),
    /// Give it a new token. That goes to standard output, alone.
    Rotate(Rotate),
    /// End a rotation whose old token still works.
    #[command(subcommand)]
    Rotation(Rotation),
    /// Stop it; it can be reactivated.
    Revoke(Which),
    /// Let a revoked one be used again.
    Reactivate(Which),
    /// Delete it, for good.
    Delete(Which),
    /// Count what it was used for.
    Usage(Usage),
}

/// Options of `list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only those of this account, without the accounts below it.
    #[arg(long)]
    account: Option<String>,
    /// Only those of this environment.
    #[arg(long)]
    environment: Option<String>,
    /// Only those with this status: active, revoked, expired, rate_limited, deleted.
    #[arg(long)]
    status: Option<String>,
    /// Only those of this owner.
    #[arg(long, value_name = "ID")]
    owner: Option<String>,
    /// Only those with this text in name, id, or the beginning or end of their token.
    #[arg(long, short, value_name = "TEXT")]
    query: Option<String>,
    /// Only those that nobody used for so many days.
    #[arg(long, value_name = "DAYS")]
    unused_for_days: Option<u32>,
    /// Only those in use whose token is due to be replaced by the schedule of its environment.
    #[arg(long)]
    rotation_due: bool,
    /// The same, now or within so many days.
    #[arg(long, value_name = "DAYS")]
    rotation_due_within_days: Option<u32>,
    #[command(flatten)]
    paging: Paging,
}

/// Options of `create`.
#[derive(Debug, Args)]
pub struct Create {
    /// What it is called.
    name: String,
    /// The account that it belongs to; by default that of the admin token.
    #[arg(long)]
    account: Option<String>,
    /// The environment whose endpoints it opens; production by default.
    #[arg(long)]
    environment: Option<String>,
    /// The environment's short code; need not be given.
    #[arg(long, value_name = "CODE")]
    environment_code: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

/// Options of `update`.
#[derive(Debug, Args)]
pub struct Update {
    #[command(flatten)]
    which: Which,
    /// What it is called.
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

/// Options of `rotate`.
#[derive(Debug, Args)]
pub struct Rotate {
    #[command(flatten)]
    which: Which,
    /// How long the old token still works: seconds, or with a unit as 30m, 12h, 7d; not at all by default.
    #[arg(long, value_name = "TIME", value_parser = settings::seconds)]
    grace: Option<u32>,
}

/// How a rotation ends before its grace does.
#[derive(Debug, Subcommand)]
pub enum Rotation {
    /// Stop the old token now.
    Finish(Which),
    /// Stop the new token now and keep the old one.
    Cancel(Which),
}

/// Options of `usage`.
#[derive(Debug, Args)]
pub struct Usage {
    #[command(flatten)]
    which: Which,
    /// From when, as 2027-01-31T09:30:00Z; by default a day before the end.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// To when; by default now.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// In steps of a minute, hour or day; hours by default.
    #[arg(long)]
    step: Option<String>,
}

impl Run for Keys {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(session).await,
            Self::Show(which) => resource::show(session, &KEYS, &which).await,
            Self::Create(create) => create.run(session).await,
            Self::Update(update) => {
                let mut body = update.settings.body()?;
                put(&mut body, "name", update.name);
                resource::update(session, &KEYS, &update.which, &body).await
            }
            Self::Rotate(rotate) => {
                let id = rotate.which.to_change(session, &KEYS).await?;
                let mut body = resource::empty();
                put(&mut body, "graceSeconds", rotate.grace);
                resource::act(session, &KEYS, &id, "rotate", &body).await
            }
            Self::Rotation(rotation) => rotation.run(session).await,
            Self::Revoke(which) => {
                let id = which.to_change(session, &KEYS).await?;
                let why = "Requests with it are refused from then on.";
                resource::ask(session, &KEYS, &id, "Revoke", why).await?;
                resource::act(session, &KEYS, &id, "revoke", &resource::empty()).await
            }
            Self::Reactivate(which) => {
                let id = which.to_change(session, &KEYS).await?;
                resource::act(session, &KEYS, &id, "reactivate", &resource::empty()).await
            }
            Self::Delete(which) => resource::delete(session, &KEYS, &which).await,
            Self::Usage(usage) => usage.run(session).await,
        }
    }
}

impl List {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let account = id_of(session, self.account.as_deref(), Care::Reading).await?;
        let days = self.unused_for_days.map(|days| days.to_string());
        let due = self.rotation_due.then(|| "true".to_owned());
        let within = self.rotation_due_within_days.map(|days| days.to_string());
        let query = resource::given([
            ("account", account),
            ("environment", self.environment),
            ("status", self.status),
            ("owner", self.owner),
            ("q", self.query),
            ("unusedForDays", days),
            ("rotationDue", due),
            ("rotationDueWithinDays", within),
        ]);
        resource::list(session, &KEYS, query, self.paging).await
    }
}

impl Create {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let mut body = self.settings.body()?;
        put(&mut body, "name", Some(self.name));
        let account = id_of(session, self.account.as_deref(), Care::Changing).await?;
        put(&mut body, "accountId", account);
        put(&mut body, "environment", self.environment);
        put(&mut body, "environmentCode", self.environment_code);
        resource::create(session, &KEYS, &body).await
    }
}

impl Rotation {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let (which, action, verb, why) = match &self {
            Self::Finish(which) => {
                let why = "Its old token is refused from then on.";
                (which, "rotation/finish", "Finish the rotation of", why)
            }
            Self::Cancel(which) => {
                let why = "Its new token is refused from then on.";
                (which, "rotation/cancel", "Cancel the rotation of", why)
            }
        };
        let id = which.to_change(session, &KEYS).await?;
        resource::ask(session, &KEYS, &id, verb, why).await?;
        resource::act(session, &KEYS, &id, action, &resource::empty()).await
    }
}

impl Usage {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let id = self.which.to_read(session, &KEYS).await?;
        let query = resource::given([("from", self.from), ("to", self.to), ("step", self.step)]);
        let usage = session
            .client
            .get(&format!("keys/{id}/usage"), &query)
            .await?;
        if session.output.is_json() {
            return session.output.value(&usage);
        }
        let rows = rows_of(&usage);
        if rows.is_empty() {
            note("It was not used in that time.");
            return Ok(());
        }
        session.output.rows(&USAGE, rows.iter())
    }
}

/// What people know a token by.
fn token(key: &Value) -> String {
    let text = |field| key.get(field).and_then(Value::as_str).unwrap_or_default();
    format!("{}…{}", text("start"), text("last8"))
}

/// `60/min 5000/h`.
fn limits(key: &Value) -> String {
    let units = [
        ("requestsPerMinute", "min"),
        ("requestsPerHour", "h"),
        ("requestsPerDay", "d"),
    ];
    let limits = key.get("rateLimits");
    let told = units.into_iter().filter_map(|(field, unit)| {
        let limit = limits?.get(field)?.as_u64()?;
        Some(format!("{limit}/{unit}"))
    });
    told.collect::<Vec<_>>().join(" ")
}

fn outcomes(point: &Value) -> String {
    let codes = point.get("byCode").and_then(Value::as_object);
    let told = codes.into_iter().flatten();
    let told: Vec<_> = told
        .map(|(code, count)| format!("{code} {count}"))
        .collect();
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_told_as_far_as_they_are_set() {
        let key = json!({"rateLimits": {"requestsPerMinute": 60, "requestsPerHour": null, "requestsPerDay": 9}});
        assert_eq!(limits(&key), "60/min 9/d");
        assert_eq!(limits(&json!({})), "");
    }
}
