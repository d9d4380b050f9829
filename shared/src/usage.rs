//! Usage: what was counted, from the gate to the control plane.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Millis;

/// What is counted apart: the same key, minute, API and outcome add up in one row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageCell {
    /// The key.
    pub key: String,
    /// The API.
    pub api: String,
    /// Minutes since the Unix epoch, when the request arrived.
    pub minute: u64,
    /// `ok` for a request that passed, else the code of its refusal.
    pub code: String,
    /// First digit of the status that the caller got: 1 to 5.
    pub class: u8,
}

/// What was counted in a cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Requests.
    pub count: u64,
    /// Units that they cost.
    pub cost: u64,
    /// Sum of the times until the upstream's answer began, in milliseconds.
    #[serde(default)]
    pub latency_ms: u64,
    /// When the last of them arrived.
    #[serde(default)]
    pub last_at: Millis,
}

impl Tally {
    /// Adds another tally of the same cell.
    pub fn add(&mut self, other: &Tally) {
        self.count = self.count.saturating_add(other.count);
        self.cost = self.cost.saturating_add(other.cost);
        self.latency_ms = self.latency_ms.saturating_add(other.latency_ms);
        self.last_at = self.last_at.max(other.last_at);
    }
}

/// A cell with its tally, as sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageRow {
    /// What was counted.
    #[serde(flatten)]
    pub cell: UsageCell,
    /// How much.
    #[serde(flatten)]
    pub tally: Tally,
}

/// Usage gathered in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct UsageSheet(BTreeMap<UsageCell, Tally>);

impl UsageSheet {
    /// Adds to a cell.
    pub fn add(&mut self, cell: UsageCell, tally: &Tally) {
        self.0.entry(cell).or_default().add(tally);
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the cell has a tally.
    pub fn contains(&self, cell: &UsageCell) -> bool {
        self.0.contains_key(cell)
    }

    /// How many cells there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes at most `limit` rows out.
    pub fn take(&mut self, limit: usize) -> Vec<UsageRow> {
        let mut rows = Vec::new();
        while rows.len() < limit {
            let Some((cell, tally)) = self.0.pop_first() else {
                break;
            };
            rows.push(UsageRow { cell, tally });
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_cell_adds_up_and_comes_out_once() {
        let cell = UsageCell {
            key: "key_1".into(),
            api: "api_1".into(),
            minute: 7,
            code: "ok".into(),
            class: 2,
        };
        let one = Tally {
            count: 1,
            cost: 2,
            latency_ms: 5,
            last_at: 420_000,
        };
        let mut sheet = UsageSheet::default();
        sheet.add(cell.clone(), &one);
        sheet.add(cell.clone(), &Tally { last_at: 1, ..one });
        let rows = sheet.take(10);
        let both = Tally {
            count: 2,
            cost: 4,
            latency_ms: 10,
            last_at: 420_000,
        };
        assert_eq!(rows, [UsageRow { cell, tally: both }]);
        assert!(sheet.is_empty());
        let json = serde_json::to_string(&rows).unwrap();
        assert_eq!(serde_json::from_str::<Vec<UsageRow>>(&json).unwrap(), rows);
    }
}
