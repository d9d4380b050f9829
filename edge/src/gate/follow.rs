//! Requests that wait for another's question instead of asking the guard the same.
//!
//! A key's pace tells how much is worth asking for, so a question mostly asks for more than its own request needs. As
//! many requests as that would pay for wait for its answer, which is there sooner than their own would be.
//!
//! A refusal is believed for the lease time. When that is over, every request that is under way would ask the
//! guard the same, and a flood would cost a call for each of its connections. So one request asks, and the others
//! wait: on a timer of their own, since the runtime lets no request await another's promise.
//!
//! Strict keys are left alone: every request asks.

use shared::Millis;
use shared::lease::FOLLOW_MS;
use shared::token::KeyHash;

use super::GateCode;
use super::decision::{Memo, Need};
use super::isolate::Isolate;
use crate::boundary;

/// How often a waiting request looks.
const LOOK_EVERY_MS: Millis = 5;

impl GateCode {
    /// Whether another request asked meanwhile what this one needs, so that it should look again. If not, it is this
    /// one's to ask.
    pub async fn another_asked(&self, need: &Need, memo: &mut Memo) -> bool {
        let mut waited = false;
        loop {
            let now = boundary::now();
            let until = *memo
                .follow_until
                .get_or_insert(now.saturating_add(FOLLOW_MS));
            let asked = self.with(|isolate| {
                isolate.will_be_paid(need, memo, now) || isolate.is_asked(need, memo, now)
            });
            if now >= until || asked != Some(true) {
                break;
            }
            waited = true;
            self.host.sleep(LOOK_EVERY_MS).await;
        }
        if !waited {
            self.with(|isolate| isolate.begin_asking(need, memo, boundary::now()));
        }
        waited
    }

    /// This request asks no longer.
    pub fn end_asking(&self, memo: &mut Memo) {
        if let Some(hash) = memo.asking.take() {
            self.with(|isolate| {
                if let Some(slot) = isolate.keys.peek_mut(&hash) {
                    slot.asked_at = None;
                }
            });
        }
    }
}

impl Isolate {
    /// The key of which one answer will do for every request that waits.
    fn common(&self, need: &Need) -> Option<KeyHash> {
        let (hash, of_state) = match need {
            Need::Guard(question) => (question.hash, question.need == 0),
            Need::Record(hash) => (*hash, false),
            Need::Api(_) | Need::Account { .. } => return None,
        };
        let slot = self.keys.peek(&hash)?;
        let strict = slot.key.as_ref().is_some_and(|k| k.record.is_strict());
        let known_absent = slot.key.is_none() && slot.absent_until > 0;
        let common = match need {
            Need::Record(_) => known_absent,
            _ => (of_state || slot.scarce) && !strict,
        };
        common.then_some(hash)
    }

    /// Whether a question under way asks for enough units to pay for this request too.
    fn will_be_paid(&mut self, need: &Need, memo: &mut Memo, now: Millis) -> bool {
        let Need::Guard(question) = need else {
            return false;
        };
        let Some(slot) = self.keys.peek_mut(&question.hash) else {
            return false;
        };
        let strict = slot.key.as_ref().is_some_and(|k| k.record.is_strict());
        if question.need == 0 || strict {
            return false;
        }
        if memo.followed.is_none() {
            memo.followed = slot.purse.follow(now, question.need);
        }
        memo.followed.is_some_and(|a| slot.purse.awaits(a))
    }

    fn is_asked(&self, need: &Need, memo: &Memo, now: Millis) -> bool {
        let Some(hash) = self.common(need).filter(|_| memo.asking.is_none()) else {
            return false;
        };
        let asked_at = self.keys.peek(&hash).and_then(|slot| slot.asked_at);
        asked_at.is_some_and(|at| now.abs_diff(at) < FOLLOW_MS)
    }

    fn begin_asking(&mut self, need: &Need, memo: &mut Memo, now: Millis) {
        if let Some(hash) = self.common(need) {
            if let Some(slot) = self.keys.peek_mut(&hash) {
                slot.asked_at = Some(now);
            }
            memo.asking = Some(hash);
        }
    }
}
