//! An API, as shown.

use serde::Serialize;

use crate::audit::{Audited, Target};
use crate::store::apis::{Api, ApiSettings};
use crate::timestamp::Timestamp;

/// An API in JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiView {
    id: String,
    name: String,
    account_id: String,
    #[serde(flatten)]
    settings: ApiSettings,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: u64,
}

impl ApiView {
    /// The view of an API.
    pub fn of(api: Api) -> Self {
        Self {
            id: api.id,
            name: api.name,
            account_id: api.account_id,
            settings: api.settings,
            created_at: Timestamp(api.created_at),
            updated_at: Timestamp(api.updated_at),
            version: api.version,
        }
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.version
    }
}

impl Audited for ApiView {
    fn target(&self) -> Target {
        Target {
            kind: "api",
            id: self.id.clone(),
            name: self.name.clone(),
            account: self.account_id.clone(),
        }
    }
}
