//! The questions of a gate that are under way, and the requests that wait for their answers.

use crate::Millis;

/// How long an answer is waited for by requests that did not ask themselves, in milliseconds. One that takes longer may
/// have been cut off.
pub const FOLLOW_MS: Millis = 1_000;

/// Questions for units that are under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Questions {
    /// How many answers came.
    round: u64,
    /// Units asked for beside what the askers need, and which nobody waits for yet.
    spare: u64,
    /// When the last was sent.
    sent_at: Millis,
}

impl Questions {
    /// One is sent that asks for so many units beside what its asker needs.
    pub fn sent(&mut self, now: Millis, spare: u32) {
        self.spare = self.spare.saturating_add(u64::from(spare));
        self.sent_at = now;
    }

    /// One is answered, or failed: who waits should look again.
    pub fn answered(&mut self) {
        self.round = self.round.wrapping_add(1);
        self.spare = 0;
    }

    /// The number of the answer that would pay for a request, if one is under way that is large enough.
    pub fn follow(&mut self, now: Millis, cost: u32) -> Option<u64> {
        let cost = u64::from(cost);
        if self.spare < cost || now.abs_diff(self.sent_at) >= FOLLOW_MS {
            return None;
        }
        self.spare -= cost;
        Some(self.round)
    }

    /// Whether that answer is still under way.
    pub fn awaits(&self, round: u64) -> bool {
        self.round == round
    }
}
