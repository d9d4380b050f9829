//! The gate: decides every request, close to the caller.
//!
//! `step` carries a decision as far as memory goes, `resolve` fetches what it needs, `answer` turns the
//! outcome into a plan, `background` does what comes after the answer, `control` serves `/.keyward/…`.

mod answer;
mod background;
mod budget;
mod cache;
pub mod control;
mod decision;
mod follow;
mod forward_auth;
pub mod head;
mod isolate;
mod join;
mod kept;
mod look_up;
mod plan;
mod push;
mod recognise;
mod resolve;
mod step;
mod verify;

use std::cell::{RefCell, RefMut};

use js_sys::wasm_bindgen::JsValue;
use shared::Millis;
use shared::denial::Denial;

use crate::boundary::{self, Host, log};
use crate::config::Config;
use decision::{Memo, Need, Step};
use forward_auth::Asked;
use head::Head;
use isolate::Isolate;
pub use plan::{Plan, Ticket};

/// The paths that are Keyward's own on every host.
const RESERVED: &str = "/.keyward/";
/// Where another proxy asks.
const VERIFY: &str = "/.keyward/verify";
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
    Waits(Waiting),
}

/// A decision that needs I/O.
pub struct Waiting {
    facts: String,
    need: Need,
    now: Millis,
}

/// What is decided about: the request itself, or the one that it describes.
struct Subject<'a> {
    head: Head<'a>,
    asked: Option<Asked>,
}

impl<'a> Subject<'a> {
    /// Reads the facts of a request.
    ///
    /// # Errors
    /// The plan, where there is nothing to decide.
    fn read(facts: &'a str) -> Result<Self, Refusal> {
        let (head, forwarded) = Head::read(facts);
        if !is_reserved(head.path) {
            return Ok(Self { head, asked: None });
        }
        if !forward_auth::is_asked(&head) {
            return Err(Refusal::Control);
        }
        let (head, asked) = forward_auth::described(&head, forwarded)?;
        let asked = Some(asked);
        Ok(Self { head, asked })
    }
}

/// Why there is nothing to decide.
enum Refusal {
    /// It is one of Keyward's own paths.
    Control,
    /// What was sent describes no request.
    BadRequest(&'static str),
}

impl GateCode {
    /// The gate with this id and a secret of its own; a faulty configuration is told once, and then on every request.
    pub fn new(env: &JsValue, host: Host, id: &str, secret: &[u8; 16]) -> Self {
        let state = Config::from_env(env)
            .inspect_err(|e| log(&format!("the Worker is not configured: {e}")))
            .map(|config| Isolate::new(config, id, secret));
        Self {
            host,
            state: RefCell::new(state),
        }
    }

    /// Works with the isolate's memory; `None` when the Worker is not configured.
    fn with<R>(&self, work: impl FnOnce(&mut Isolate) -> R) -> Option<R> {
        self.isolate().map(|mut isolate| work(&mut isolate))
    }

    fn isolate(&self) -> Option<RefMut<'_, Isolate>> {
        let state = self.state.try_borrow_mut().ok()?;
        RefMut::filter_map(state, |state| state.as_mut().ok()).ok()
    }

    /// An id for a request; empty when the Worker is not configured.
    pub fn next_request_id(&self) -> String {
        self.with(Isolate::next_request_id).unwrap_or_default()
    }

    /// Decides a request from memory, if that suffices.
    pub fn begin(&self, facts: &str, now: Millis) -> Begun {
        let subject = match Subject::read(facts) {
            Ok(subject) => subject,
            Err(Refusal::Control) => return Begun::Plan(Plan::Control),
            Err(Refusal::BadRequest(detail)) => return Begun::Plan(self.bad_request(detail)),
        };
        let done = self.with(
            |isolate| match isolate.step(&subject.head, &Memo::default(), now) {
                Step::Need(need) => Err(need),
                step => {
                    isolate.kept.same_turn = true;
                    let plan = isolate.plan_for(&subject, step, now);
                    isolate.kept.same_turn = false;
                    Ok(plan)
                }
            },
        );
        match done {
            None => Begun::Plan(not_configured()),
            Some(Ok(plan)) => Begun::Plan(plan),
            Some(Err(need)) => Begun::Waits(Waiting {
                facts: facts.to_owned(),
                need,
                now,
            }),
        }
    }

    /// Fetches what a decision needs, and makes it.
    pub async fn finish(&self, waiting: Waiting) -> Plan {
        // It was read before, so there is something to decide.
        let Ok(subject) = Subject::read(&waiting.facts) else {
            return not_configured();
        };
        let (step, now) = self
            .settle(&subject.head, Some(waiting.need), waiting.now)
            .await;
        self.with(|isolate| isolate.plan_for(&subject, step, now))
            .unwrap_or_else(not_configured)
    }

    fn bad_request(&self, detail: &str) -> Plan {
        let denial = Denial::BadRequest {
            status: 400,
            detail: detail.to_owned(),
        };
        answer::bare(&denial, &self.next_request_id())
    }

    /// Steps until the decision is made. Gives the moment it was made at, too.
    async fn settle(&self, head: &Head<'_>, first: Option<Need>, now: Millis) -> (Step, Millis) {
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
        if let Some(ticket) = Ticket::read(ticket) {
            self.with(|isolate| isolate.note(&ticket, "ok", status, latency, now));
        }
    }

    /// The upstream gave no answer.
    pub fn failed(&self, ticket: &str, late: bool, now: Millis) -> Plan {
        self.with(|isolate| isolate.upstream_failed(ticket, late, now))
            .unwrap_or_else(not_configured)
    }
}

impl Isolate {
    fn plan_for(&mut self, subject: &Subject<'_>, step: Step, now: Millis) -> Plan {
        match &subject.asked {
            None => self.plan(&subject.head, step, now),
            Some(asked) => self.forward_auth(&subject.head, asked, step, now),
        }
    }
}

/// Whether a path is Keyward's own, however it is spelled.
fn is_reserved(path: &str) -> bool {
    // Decoded, empty segments left out: only then can it be told. Most have nothing that could become its dot.
    path == VERIFY
        || (path.contains('.') || path.contains('%'))
            && shared::path::canonical(path).is_ok_and(|p| p.starts_with(RESERVED))
}

fn not_configured() -> Plan {
    answer::bare(&Denial::GuardUnavailable, "")
}
