//! Requests that wait for another's question: whose turn it is to ask, the key's [`Desk`] says. They wait on a timer of
//! their own, since the runtime lets no request await another's promise.

use shared::Millis;
use shared::lease::{Desk, Needs, Turn};
use shared::record::KeyRecord;

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
        // The time for which it may wait runs from the first thing that it lacks, whatever that is.
        memo.wait.patience(boundary::now());
        let turn = self.with(|isolate| isolate.turn(need, memo, boundary::now()));
        if !matches!(turn, Some(Turn::Wait { .. })) {
            return false;
        }
        let mut waits = true;
        while waits {
            self.host.sleep(LOOK_EVERY_MS).await;
            let awaited = self.with(|isolate| isolate.awaited(need, memo, boundary::now()));
            waits = awaited.flatten().is_some();
        }
        true
    }

    /// This request asks no longer.
    pub fn end_asking(&self, memo: &mut Memo) {
        if let Some(hash) = memo.asks_about.take() {
            self.with(|isolate| {
                if let Some(slot) = isolate.keys.peek_mut(&hash) {
                    slot.desk.end_asking(&mut memo.wait);
                }
            });
        }
    }
}

impl Isolate {
    fn turn(&mut self, need: &Need, memo: &mut Memo, now: Millis) -> Turn {
        let turn = self.at_desk(need, |desk, needs, record| {
            desk.turn(now, &mut memo.wait, needs, record)
        });
        let turn = turn.unwrap_or(Turn::Ask);
        if turn == Turn::Ask {
            memo.asks_about = need.of_key().map(|(hash, _)| hash).or(memo.asks_about);
        }
        turn
    }

    fn awaited(&mut self, need: &Need, memo: &mut Memo, now: Millis) -> Option<Millis> {
        self.at_desk(need, |desk, needs, record| {
            desk.awaited(now, &mut memo.wait, needs, record)
        })?
    }

    /// Works at the desk of the key that a need is about; `None` where there is none.
    fn at_desk<R>(
        &mut self,
        need: &Need,
        work: impl FnOnce(&mut Desk, Needs, Option<&KeyRecord>) -> R,
    ) -> Option<R> {
        let (hash, needs) = need.of_key()?;
        let slot = self.keys.peek_mut(&hash)?;
        let record = slot.key.as_ref().map(|key| &key.record);
        Some(work(&mut slot.desk, needs, record))
    }
}
