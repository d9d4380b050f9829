//! Questions to the guard, and what their answers change.

use super::Desk;
use crate::Millis;
use crate::lease::wait::Paid;
use crate::lease::{Granted, QuotaRefusal, Wait, longest_wait};
use crate::ledger::Standing;
use crate::message::{KeyAnswer, KeyAsk};
use crate::record::KeyRecord;

/// A question about a key, as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The question.
    pub ask: KeyAsk,
    /// When it was sent, on the gate's clock.
    pub sent_at: Millis,
    /// Whether a request waits for the answer; else it is a renewal.
    pub waits: bool,
}

impl Asked {
    /// What the waiting request costs; 0 when none waits, or for a question about the state.
    fn waiting(&self) -> u32 {
        if self.waits { self.ask.need } else { 0 }
    }
}

/// What an answer changes beside the desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// A lease is held: it is to be handed over when it is over.
    Holds,
    /// This record is newer than the one that was asked about.
    Install(Box<KeyRecord>),
    /// There is no key: a record at hand goes.
    Gone,
}

impl Desk {
    /// A question that is sent now, after [`Self::take_over`]: `ask.want` is raised to what the key's pace makes worth
    /// asking for. It is followed by [`Self::take_in`], whatever becomes of it.
    pub fn question(
        &mut self,
        now: Millis,
        lease_ms: Millis,
        mut ask: KeyAsk,
        waits: bool,
    ) -> Asked {
        ask.want = self.purse.want(lease_ms).max(ask.need);
        let asked = Asked {
            ask,
            sent_at: now,
            waits,
        };
        if asked.ask.need > 0 {
            self.purse.asking(now, asked.ask.want, asked.waiting());
        }
        asked
    }

    /// Takes in what the guard answered; `None`: the call failed. `wait` is the waiting request's; a renewal's is nobody's.
    pub fn take_in(
        &mut self,
        now: Millis,
        lease_ms: Millis,
        asked: &Asked,
        answer: Option<KeyAnswer>,
        wait: &mut Wait,
    ) -> Effect {
        if asked.ask.need > 0 {
            self.purse.answered();
        }
        if !asked.waits {
            self.end_renewal();
        }
        let (sent_at, version) = (asked.sent_at, asked.ask.version);
        match answer {
            None => {
                wait.failed = true;
                Effect::None
            }
            Some(KeyAnswer::Unknown { ttl }) => {
                wait.confirmed = Some(0);
                self.purse.clear();
                self.absent_until = sent_at.saturating_add(ttl);
                Effect::Gone
            }
            Some(KeyAnswer::Stale { record }) => Effect::Install(record),
            Some(KeyAnswer::Current { ttl }) => {
                wait.confirmed = Some(version);
                self.purse.confirmed(sent_at, now, ttl);
                Effect::None
            }
            Some(KeyAnswer::Granted {
                lease,
                units,
                ttl,
                standing,
            }) => {
                let grant = Granted {
                    lease,
                    units,
                    ttl,
                    need: asked.waiting(),
                };
                self.granted(now, lease_ms, asked, grant, &standing, wait)
            }
            Some(KeyAnswer::Exhausted {
                retry_in,
                violated,
                ttl,
                standing,
            }) => {
                wait.confirmed = Some(version);
                let refusal = QuotaRefusal { retry_in, violated };
                self.scarce = true;
                self.purse
                    .exhausted(sent_at, now, asked.ask.need, &refusal, ttl, &standing);
                wait.refused = Some(refusal);
                Effect::None
            }
        }
    }

    fn granted(
        &mut self,
        now: Millis,
        lease_ms: Millis,
        asked: &Asked,
        mut grant: Granted,
        standing: &[Standing],
        wait: &mut Wait,
    ) -> Effect {
        let version = asked.ask.version;
        // A strict key has no lease time: what bounds its answers is the default one, at most.
        let bound = longest_wait(lease_ms, grant.ttl);
        let late = grant.need > 0 && now.saturating_sub(asked.sent_at) >= bound;
        // Asked once more; a guard that is late again is as good as out of reach.
        wait.failed |= late && wait.was_late;
        wait.was_late |= late;
        wait.paid = (grant.need > 0 && !late).then(|| Paid {
            version,
            cost: grant.need,
            until: asked.sent_at.saturating_add(bound),
        });
        wait.confirmed = (!late).then_some(version);
        if late {
            grant.need = 0;
        }
        self.scarce = standing.iter().any(|s| s.left == 0);
        self.purse.granted(asked.sent_at, now, &grant, standing);
        if grant.ttl > 0 {
            Effect::Holds
        } else {
            Effect::None
        }
    }
}
