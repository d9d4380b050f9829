//! What a decision lacks, what was fetched for it, and how it ends.

use std::rc::Rc;

use shared::account::AccountRecord;
use shared::denial::Denial;
use shared::lease::{Needs, Views, Wait};
use shared::token::KeyHash;

use super::budget::Client;
use super::isolate::{Api, Key};

/// What must be fetched before the decision can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// The API of a host, from KV.
    Api(String),
    /// A key's record, from KV.
    Record(KeyHash),
    /// The record of a key that may have been imported.
    Import(Import),
    /// The guard's word on a key.
    Guard(Question),
    /// An account's place in the tree, from KV or else the guard of `holder`.
    Account {
        /// The account named in the path.
        id: String,
        /// The key's account.
        holder: String,
    },
}

impl Need {
    /// The key that it is about, and what is lacked of it.
    pub fn of_key(&self) -> Option<(KeyHash, Needs)> {
        match self {
            Self::Record(hash) | Self::Import(Import { hash, .. }) => Some((*hash, Needs::Record)),
            Self::Guard(Question { hash, need: 0, .. }) => Some((*hash, Needs::State)),
            Self::Guard(Question { hash, need, .. }) => Some((*hash, Needs::Units(*need))),
            Self::Api(_) | Self::Account { .. } => None,
        }
    }
}

/// A key that may have been imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Its hash.
    pub hash: KeyHash,
    /// The account of the API that is called.
    pub account: String,
    /// Who pays if it is nobody's.
    pub client: Client,
}

/// A question to a guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The account whose guard is asked.
    pub account: String,
    /// The key.
    pub hash: KeyHash,
    /// The version of the record at hand; 0: none.
    pub version: u64,
    /// What the waiting request costs; 0: only the state is asked for.
    pub need: u32,
}

/// What was fetched for this request alone.
#[derive(Debug, Default)]
pub struct Memo {
    /// KV was asked for the key's record.
    pub record_read: bool,
    /// What becomes of a key that may have been imported, unless it was found.
    pub not_imported: Option<Denial>,
    /// KV failed.
    pub kv_failed: bool,
    /// What it has heard of the guard, and whom it waits for.
    pub wait: Wait,
    /// The account named in the path, as found.
    pub account: Option<Option<Rc<AccountRecord>>>,
    /// The key about which it asked last.
    pub asks_about: Option<KeyHash>,
}

/// How far a step came.
#[derive(Debug)]
pub enum Step {
    /// The request may pass.
    Pass(Admitted),
    /// It is refused.
    Refuse(Refused),
    /// A preflight: its headers, unless the origin is not admitted.
    Preflight(Rc<Api>),
    /// Something must be fetched first.
    Need(Need),
}

/// A request that may pass.
#[derive(Debug)]
pub struct Admitted {
    /// The API.
    pub api: Rc<Api>,
    /// The key.
    pub key: Rc<Key>,
    /// What it cost, in units.
    pub cost: u32,
    /// How its windows stand.
    pub views: Views,
}

/// A request that is refused.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub denial: Denial,
    /// The API, once known.
    pub api: Option<Rc<Api>>,
    /// The key, once known.
    pub key: Option<Rc<Key>>,
    /// How its windows stand, for a refusal for quota.
    pub views: Views,
}

impl Refused {
    /// A refusal before any API is known.
    pub fn bare(denial: Denial) -> Step {
        Self::at(denial, None)
    }

    /// A refusal before any key is known.
    pub fn at(denial: Denial, api: Option<Rc<Api>>) -> Step {
        Step::Refuse(Self {
            denial,
            api,
            key: None,
            views: Views::default(),
        })
    }
}
