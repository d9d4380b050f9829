//! Usage: what was counted, from the gate to the control plane.

use serde::Serialize;

use crate::Millis;
use crate::by_name::ByName;
use crate::read::Members;
use crate::wire;

/// What is counted apart: the same key, minute, API and outcome add up in one row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
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

wire!(UsageCell {
    key: "key",
    api: "api",
    minute: "minute",
    code: "code",
    class: "class"
});

/// What was counted in a cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Requests.
    pub count: u64,
    /// Units that they cost.
    pub cost: u64,
    /// Sum of the times until the upstream's answer began, in milliseconds.
    pub latency_ms: u64,
    /// When the last of them arrived.
    pub last_at: Millis,
}

wire!(Tally {
    count: "count",
    cost: "cost",
    latency_ms: "latencyMs" or 0,
    last_at: "lastAt" or 0,
});

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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageRow {
    /// What was counted.
    #[serde(flatten)]
    pub cell: UsageCell,
    /// How much.
    #[serde(flatten)]
    pub tally: Tally,
}

impl UsageRow {
    fn from_members(members: &mut Members<'_, '_>) -> Self {
        Self {
            cell: UsageCell::from_members(members),
            tally: Tally::from_members(members),
        }
    }

    fn put_members(&self, to: &mut String) {
        self.cell.put_members(to);
        self.tally.put_members(to);
    }
}

wire!(UsageRow: Self::from_members, Self::put_members);

/// A cell that is not kept yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellRef<'a> {
    /// The key.
    pub key: &'a str,
    /// The API.
    pub api: &'a str,
    /// Minutes since the Unix epoch, when the request arrived.
    pub minute: u64,
    /// `ok` for a request that passed, else the code of its refusal.
    pub code: &'a str,
    /// First digit of the status that the caller got: 1 to 5.
    pub class: u8,
}

impl CellRef<'_> {
    fn is(&self, cell: &UsageCell) -> bool {
        // The ends of ids differ, their beginnings don't; the key is the same by now.
        self.minute == cell.minute
            && self.class == cell.class
            && self.code == cell.code
            && self.api == cell.api
    }

    fn to_cell(self) -> UsageCell {
        UsageCell {
            key: self.key.to_owned(),
            api: self.api.to_owned(),
            minute: self.minute,
            code: self.code.to_owned(),
            class: self.class,
        }
    }
}

/// Usage gathered in memory: by key, since a key has few cells at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct UsageSheet {
    keys: ByName<Vec<UsageRow>>,
    cells: usize,
}

impl UsageSheet {
    /// Adds to a cell; to one that is new only while there are fewer than `most`. Whether it was counted.
    pub fn add(&mut self, cell: CellRef<'_>, tally: &Tally, most: usize) -> bool {
        let rows = self.keys.get_mut(cell.key);
        // What is counted now most often belongs to the newest cell.
        let known = rows.and_then(|rows| rows.iter_mut().rev().find(|row| cell.is(&row.cell)));
        if let Some(row) = known {
            row.tally.add(tally);
            return true;
        }
        if self.cells >= most {
            return false;
        }
        self.cells += 1;
        let row = UsageRow {
            cell: cell.to_cell(),
            tally: *tally,
        };
        self.keys.get_or_insert_with(cell.key, Vec::new).push(row);
        true
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.cells == 0
    }

    /// Takes at most `limit` rows out.
    pub fn take(&mut self, limit: usize) -> Vec<UsageRow> {
        let mut taken = Vec::new();
        for rows in self.keys.values_mut() {
            let room = limit.saturating_sub(taken.len());
            if room == 0 {
                break;
            }
            taken.extend(rows.drain(..room.min(rows.len())));
        }
        self.keys.retain(|rows| !rows.is_empty());
        self.cells = self.cells.saturating_sub(taken.len());
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(key: &str, minute: u64) -> CellRef<'_> {
        CellRef {
            key,
            api: "api_1",
            minute,
            code: "ok",
            class: 2,
        }
    }

    const ONE: Tally = Tally {
        count: 1,
        cost: 2,
        latency_ms: 5,
        last_at: 420_000,
    };

    #[test]
    fn the_same_cell_adds_up_and_comes_out_once() {
        let mut sheet = UsageSheet::default();
        assert!(sheet.add(cell("key_1", 7), &ONE, 10));
        assert!(sheet.add(cell("key_1", 7), &Tally { last_at: 1, ..ONE }, 10));
        let rows = sheet.take(10);
        let both = Tally {
            count: 2,
            cost: 4,
            latency_ms: 10,
            last_at: 420_000,
        };
        let cell = cell("key_1", 7).to_cell();
        assert_eq!(rows, [UsageRow { cell, tally: both }]);
        assert!(sheet.is_empty());
        let json = serde_json::to_string(&rows).unwrap();
        assert_eq!(serde_json::from_str::<Vec<UsageRow>>(&json).unwrap(), rows);
    }

    #[test]
    fn cells_that_differ_in_anything_stay_apart() {
        let mut sheet = UsageSheet::default();
        let one = cell("key_1", 7);
        let others = [
            cell("key_2", 7),
            cell("key_1", 8),
            CellRef {
                api: "api_2",
                ..one
            },
            CellRef {
                code: "rate_limited",
                ..one
            },
            CellRef { class: 4, ..one },
        ];
        for cell in others.iter().chain([&one]) {
            assert!(sheet.add(*cell, &ONE, 10));
        }
        assert_eq!(sheet.take(10).len(), 6);
    }

    #[test]
    fn rows_are_taken_a_few_at_a_time_until_none_is_left() {
        let mut sheet = UsageSheet::default();
        for minute in 0..5 {
            assert!(sheet.add(cell("key_1", minute), &ONE, 6));
        }
        assert!(sheet.add(cell("key_2", 0), &ONE, 6));
        assert!(!sheet.add(cell("key_3", 0), &ONE, 6));
        assert_eq!(sheet.take(2).len(), 2);
        assert!(sheet.add(cell("key_3", 0), &ONE, 6));
        assert_eq!(sheet.take(4).len(), 4);
        assert_eq!(sheet.take(4).len(), 1);
        assert!(sheet.is_empty());
    }
}
