//! An environment, as shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::Days;
use crate::audit::{Audited, Target};
use crate::environment::{self, Environment, EnvironmentCode, EnvironmentName};
use crate::http::body::Changed;
use crate::http::page::Position;
use crate::openapi::names::{AccountId, EnvironmentId, Version};
use crate::store::environments::Defined;
use crate::timestamp::Timestamp;

/// An environment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Environment)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentView {
    #[schema(value_type = EnvironmentId)]
    id: String,
    /// The account that defines it, for itself and those below; `null`: built in, for every account.
    #[schema(required, value_type = Option<AccountId>)]
    account_id: Option<String>,
    #[schema(value_type = EnvironmentName)]
    name: String,
    #[schema(value_type = EnvironmentCode)]
    code: String,
    /// After how many days a token is due to be replaced; `null`: never.
    #[schema(required, value_type = Option<Days>)]
    rotate_after_days: Option<u32>,
    /// `null`: built in.
    #[schema(required)]
    created_at: Option<Timestamp>,
    /// `null`: built in, and the account has said nothing of it.
    #[schema(required)]
    updated_at: Option<Timestamp>,
    /// `null`: built in, and the account has said nothing of it.
    #[schema(required, value_type = Option<Version>)]
    version: Option<u64>,
    /// The account whose audit log it belongs to.
    #[serde(skip)]
    audited: String,
}

impl EnvironmentView {
    /// The view of what an account defines, or says of one that is built in.
    pub fn of(defined: Defined) -> Self {
        let Environment { name, code } = defined.environment;
        let is_built_in = environment::built_in(&name).is_some();
        Self {
            id: if is_built_in {
                name.clone()
            } else {
                defined.id
            },
            account_id: (!is_built_in).then(|| defined.account_id.clone()),
            name,
            code,
            rotate_after_days: defined.rotate_after_days,
            created_at: (!is_built_in).then_some(Timestamp(defined.created_at)),
            updated_at: Some(Timestamp(defined.updated_at)),
            version: Some(defined.version),
            audited: defined.account_id,
        }
    }

    /// One that is built in, with the schedule that counts in an account, and what the account itself says of it.
    pub fn built_in(
        environment: Environment,
        counts: Option<u32>,
        own: Option<&Defined>,
        account: &str,
    ) -> Self {
        Self {
            id: environment.name.clone(),
            account_id: None,
            name: environment.name,
            code: environment.code,
            rotate_after_days: counts,
            created_at: None,
            updated_at: own.map(|own| Timestamp(own.updated_at)),
            version: own.map(|own| own.version),
            audited: account.to_owned(),
        }
    }

    /// Its version, if it has one.
    pub fn version(&self) -> Option<u64> {
        self.version
    }

    /// Those that are built in come after all others.
    pub fn position(&self) -> Position {
        Position {
            created_at: self.created_at.map_or(0, |at| at.0),
            id: self.id.clone(),
        }
    }
}

impl Audited for EnvironmentView {
    fn target(&self) -> Target {
        Target {
            kind: "environment",
            id: self.id.clone(),
            name: self.name.clone(),
            account: self.audited.clone(),
        }
    }
}

/// An environment after a change.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangedEnvironment {
    /// The environment after it.
    pub environment: EnvironmentView,
}

impl Changed for ChangedEnvironment {
    fn version(&self) -> Option<u64> {
        self.environment.version
    }

    fn set_propagated(&mut self, _: bool) {}
}

/// The answer to a deletion.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedEnvironment {
    /// Always true: nobody may name it any more.
    pub deleted: bool,
}

impl Changed for RemovedEnvironment {
    fn version(&self) -> Option<u64> {
        None
    }

    fn set_propagated(&mut self, _: bool) {}
}
