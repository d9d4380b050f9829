//! `keyward presets`.

use clap::Args;

use super::Run;
use super::client::Query;
use super::connection::Session;
use super::failure::Failure;
use super::resource::rows_of;
use super::table::Column;

const COLUMNS: [Column; 4] = [
    Column::text("NAME", "/name"),
    Column::text("PER MINUTE", "/rateLimits/requestsPerMinute"),
    Column::text("PER HOUR", "/rateLimits/requestsPerHour"),
    Column::text("PER DAY", "/rateLimits/requestsPerDay"),
];

/// No options.
#[derive(Debug, Args)]
pub struct Presets {}

impl Run for Presets {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let all = session.client.get("presets", &Query::new()).await?;
        if session.output.is_json() {
            return session.output.value(&all);
        }
        session.output.rows(&COLUMNS, rows_of(&all).iter())
    }
}
