//! The gate: decides every request, close to the caller.
//!
//! `step` carries a decision as far as memory goes, `resolve` fetches what it needs, `answer` turns the
//! outcome into a plan, `background` does what comes after the answer, `control` serves `/.keyward/…`.

mod answer;
mod background;
pub mod control;
mod decision;
mod follow;
pub mod head;
mod isolate;
mod plan;
mod push;
mod resolve;
mod step;
mod verify;

use std::cell::RefCell;

use js_sys::wasm_bindgen::JsValue;
use shared::Millis;
use shared::denial::Denial;

use crate::boundary::{self, Host, log};
use crate::config::Config;
use decision::{Memo, Need, Step};
use head::Head;
use isolate::Isolate;
pub use plan::Plan;

/// The paths that are Keyward's own on every host.
const RESERVED: &str = "/.keyward/";
/// How often a decision may need I/O before it is given up. A cold request for a key that has just changed,
/// with an account in its path, needs six.
const MAX_NEEDS: usize = 12;

/// The gate of an isolate.
pub struct GateCode {
    host: Host,
    // Never borrowed across an `.await`: requests interleave there.
    state: RefCell<Result<Isolate, String>>,
}

/// A decision, begun.
pub enum Begun {
    /// It is made.
    Plan(Plan),
    /// It needs I/O.
    Waits(Box<Waiting>),
}

/// A decision that needs I/O.
pub struct Waiting {
    head: Head,
    need: Need,
    now: Millis,
}

impl GateCode {
    /// The gate with this id; a faulty configuration is told once, and then on every request.
    pub fn new(env: &JsValue, host: Host, id: &str) -> Self {
        let state = Config::from_env(env)
            .inspect_err(|e| log(&format!("the Worker is not configured: {e}")))
            .map(|config| Isolate::new(config, id));
        Self {
            host,
            state: RefCell::new(state),
        }
    }

    /// Works with the isolate's memory; `None` when the Worker is not configured.
    fn with<R>(&self, work: impl FnOnce(&mut Isolate) -> R) -> Option<R> {
        let mut state = self.state.try_borrow_mut().ok()?;
        state.as_mut().ok().map(work)
    }

    /// An id for a request; empty when the Worker is not configured.
    pub fn next_request_id(&self) -> String {
        self.with(Isolate::next_request_id).unwrap_or_default()
    }

    /// Decides a request from memory, if that suffices.
    pub fn begin(&self, head: Head, now: Millis) -> Begun {
        if is_reserved(&head.path) {
            return Begun::Plan(Plan::Control);
        }
        let done = self.with(|isolate| match isolate.step(&head, &Memo::default(), now) {
            Step::Need(need) => Err(need),
            step => Ok(isolate.plan(&head, step, now)),
        });
        match done {
            None => Begun::Plan(not_configured()),
            Some(Ok(plan)) => Begun::Plan(plan),
            Some(Err(need)) => Begun::Waits(Box::new(Waiting { head, need, now })),
        }
    }

    /// Fetches what a decision needs, and makes it.
    pub async fn finish(&self, waiting: Box<Waiting>) -> Plan {
        let Waiting { head, need, now } = *waiting;
        let (step, now) = self.settle(&head, Some(need), now).await;
        self.with(|isolate| isolate.plan(&head, step, now))
            .unwrap_or_else(not_configured)
    }

    /// Steps until the decision is made. Gives the moment it was made at, too.
    async fn settle(&self, head: &Head, first: Option<Need>, now: Millis) -> (Step, Millis) {
        let mut memo = Memo::default();
        let mut next = first;
        let mut now = now;
        let mut needs = 0;
        let made = loop {
            if let Some(need) = next.take() {
                if !self.another_asked(&need, &mut memo).await {
                    needs += 1;
                    let of_guard = matches!(need, Need::Guard(_));
                    self.resolve(need, &mut memo).await;
                    if of_guard {
                        self.end_asking(&mut memo);
                    }
                }
                now = boundary::now();
            }
            match self.with(|isolate| isolate.step(head, &memo, now)) {
                Some(Step::Need(need)) if needs < MAX_NEEDS => next = Some(need),
                Some(Step::Need(_)) | None => break None,
                Some(step) => break Some(step),
            }
        };
        self.end_asking(&mut memo);
        let made = made.unwrap_or_else(|| {
            log("a decision was given up: its facts kept changing");
            answer::unavailable()
        });
        (made, now)
    }

    /// The upstream began its answer.
    pub fn finished(&self, ticket: &str, status: u16, latency: Millis, now: Millis) {
        self.with(|isolate| isolate.note(ticket, "ok", status, latency, now));
    }

    /// The upstream gave no answer.
    pub fn failed(&self, ticket: &str, late: bool, now: Millis) -> Plan {
        let denial = if late {
            Denial::UpstreamTimeout
        } else {
            Denial::UpstreamUnreachable
        };
        self.with(|isolate| {
            let ticket = isolate.note(ticket, denial.code(), denial.status(), 0, now);
            let (request, realm) = ticket.map_or_else(
                || (isolate.next_request_id(), String::new()),
                |t| (t.request, t.realm),
            );
            answer::bare(&denial, &request, &realm)
        })
        .unwrap_or_else(not_configured)
    }
}

/// Whether a path is Keyward's own, however it is spelled.
fn is_reserved(path: &str) -> bool {
    (path.contains("keyward") || path.contains('%'))
        && shared::path::canonical(path).is_ok_and(|p| p.starts_with(RESERVED))
}

fn not_configured() -> Plan {
    answer::bare(&Denial::GuardUnavailable, "", "")
}
