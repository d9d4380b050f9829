//! `keyward me`.

use clap::Args;

use super::Run;
use super::client::Query;
use super::connection::Session;
use super::failure::Failure;

/// No options.
#[derive(Debug, Args)]
pub struct Me {}

impl Run for Me {
    async fn run(self, session: &Session) -> Result<(), Failure> {
        let me = session.client.get("me", &Query::new()).await?;
        session.output.value(&me)
    }
}
