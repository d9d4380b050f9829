//! A purse that keeps a plain list: which lease pays for what.

use shared::Millis;

/// What a gate holds, by the rules of the design: a lease is spent within its time from sending, the one
/// that ends first before the others; a clock that was seen to step back ends everything measured on it.
#[derive(Debug, Clone, Default)]
pub struct NaivePurse {
    held: Vec<Held>,
    /// The highest reading before the clock stepped back: what was sent up to then is not trusted.
    stepped_from: Option<Millis>,
}

#[derive(Debug, Clone)]
struct Held {
    grant: usize,
    end: Millis,
    left: u32,
}

impl NaivePurse {
    /// Takes in what is left of a grant.
    pub fn take_in(&mut self, grant: usize, sent_at: Millis, end: Millis, left: u32, now: Millis) {
        let trusted = self.stepped_from.is_none_or(|from| sent_at > from);
        if trusted && end > now && left > 0 {
            self.held.push(Held { grant, end, left });
            self.held.sort_by_key(|held| held.end);
        }
    }

    /// Pays a cost: units by grant. `None` when that is not held.
    pub fn pay(&mut self, now: Millis, cost: u32) -> Option<Vec<(usize, u32)>> {
        self.held.retain(|held| held.end > now && held.left > 0);
        if self.held.iter().map(|held| held.left).sum::<u32>() < cost {
            return None;
        }
        let mut due = cost;
        let mut parts = Vec::new();
        for held in &mut self.held {
            let part = held.left.min(due);
            held.left -= part;
            due -= part;
            if part > 0 {
                parts.push((held.grant, part));
            }
        }
        Some(parts)
    }

    /// When what is held ends.
    pub fn ends(&self) -> impl Iterator<Item = Millis> + '_ {
        self.held.iter().map(|held| held.end)
    }

    /// Everything held ends.
    pub fn clear(&mut self) {
        self.held.clear();
    }

    /// The clock stepped back from `from`.
    pub fn step_back(&mut self, from: Millis) {
        self.clear();
        self.stepped_from = self.stepped_from.max(Some(from));
    }
}
