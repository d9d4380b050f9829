//! The boundary between JavaScript and wasm: the only module that either side sees of the other.
//!
//! `edge/js/worker.mjs` hands over what a decision needs as one text and gets a plan as one text back, or a
//! promise of one where I/O is needed. It does the I/O behind [`Host`]. What a hot request costs is crossings,
//! promises and header fields, far more than the decision itself: so there is one crossing and no promise.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use js_sys::Promise;
use shared::Millis;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use crate::gate::control::ControlRequest;
use crate::gate::{Begun, GateCode, Ticket, Waiting};
use crate::guard::GuardCode;

#[wasm_bindgen]
extern "C" {
    /// The I/O that JavaScript does for the gate.
    pub type Host;

    #[wasm_bindgen(method, catch, js_name = kvGet)]
    async fn kv_get_js(this: &Host, key: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = guard)]
    async fn guard_js(
        this: &Host,
        name: &str,
        method: &str,
        message: &str,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = sleep)]
    async fn sleep_js(this: &Host, ms: f64) -> Result<JsValue, JsValue>;

    /// The storage of a guard.
    pub type Sql;

    #[wasm_bindgen(method, catch, js_name = exec)]
    fn exec_js(this: &Sql, query: &str, params: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(text: &str);
}

/// I/O failed; what JavaScript said of it. Never holds a token or a secret: keys of KV are hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IoError(pub String);

fn io_error(value: &JsValue) -> IoError {
    let message = value
        .dyn_ref::<js_sys::Error>()
        .map_or_else(|| "unknown".to_owned(), |e| String::from(e.message()));
    IoError(message)
}

impl Host {
    /// Reads a value of KV.
    pub async fn kv_get(&self, key: &str) -> Result<Option<String>, IoError> {
        let value = self.kv_get_js(key).await.map_err(|e| io_error(&e))?;
        Ok(value.as_string())
    }

    /// Calls a guard's method with a JSON message.
    pub async fn guard(&self, name: &str, method: &str, message: &str) -> Result<String, IoError> {
        let answer = self.guard_js(name, method, message).await;
        let answer = answer.map_err(|e| io_error(&e))?;
        answer
            .as_string()
            .ok_or_else(|| IoError("no text".to_owned()))
    }

    /// Waits; gives up waiting only with the request.
    pub async fn sleep(&self, ms: Millis) {
        // A timer that can't be set ends the wait at once, which is safe for every caller.
        let _ = self.sleep_js(ms as f64).await;
    }
}

impl Sql {
    /// Runs a statement. Parameters go and rows come as JSON: to ask JavaScript for each value of each row would be
    /// three crossings for each.
    pub fn exec(&self, query: &str, params: &str) -> Result<String, IoError> {
        let rows = self.exec_js(query, params).map_err(|e| io_error(&e))?;
        Ok(rows.as_string().unwrap_or_default())
    }
}

/// Writes a line to the Worker's log.
pub fn log(text: &str) {
    console_error(text);
}

/// Now, in milliseconds since the Unix epoch.
pub fn now() -> Millis {
    js_sys::Date::now() as Millis
}

/// Panics are bugs; the log says where, not with what values, since those may be secret.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        console_error(&format!("panic at {place}"));
    }));
}

/// The gate of this isolate.
#[wasm_bindgen]
pub struct Gate {
    code: Rc<GateCode>,
    waiting: Option<Waiting>,
}

#[wasm_bindgen]
impl Gate {
    /// Reads the configuration; what is wrong with it is said on every request but `health`.
    #[wasm_bindgen(constructor)]
    pub fn new(env: &JsValue, host: Host, id: &str, secret: &[u8]) -> Result<Self, JsValue> {
        let secret = secret
            .try_into()
            .map_err(|_| failure("the gate's secret has 16 bytes".to_owned()))?;
        Ok(Self {
            code: Rc::new(GateCode::new(env, host, id, secret)),
            waiting: None,
        })
    }

    /// Decides a request from memory: a plan, or an empty text if that does not suffice. Then [`Self::settle`] is
    /// to be called before anything else. A hot request takes this one crossing, one text each way, and no promise.
    pub fn admit(&mut self, facts: &str, now: f64) -> String {
        let now = now as Millis;
        match self.code.begin(facts, now) {
            Begun::Plan(plan) => plan.encode(self.code.work_follows(now)),
            Begun::Waits(waiting) => {
                self.waiting = Some(waiting);
                String::new()
            }
        }
    }

    /// The plan for the request that could not be decided from memory.
    pub fn settle(&mut self) -> Promise {
        let code = Rc::clone(&self.code);
        let waiting = self.waiting.take();
        planned(async move {
            let plan = match waiting {
                Some(waiting) => code.finish(waiting).await,
                None => return String::new(),
            };
            plan.encode(code.work_follows(now()))
        })
    }

    /// Answers a request to `/.keyward/…`. `body` is missing when it was too large.
    #[allow(clippy::too_many_arguments)]
    pub fn control(
        &self,
        facts: String,
        body: Option<Vec<u8>>,
        content_type: Option<String>,
        webhook_id: Option<String>,
        webhook_timestamp: Option<String>,
        webhook_signature: Option<String>,
        arrived: f64,
    ) -> Promise {
        let request = ControlRequest {
            id: self.code.next_request_id(),
            facts,
            body,
            content_type,
            webhook_id,
            webhook_timestamp,
            webhook_signature,
            now: arrived as Millis,
        };
        let code = Rc::clone(&self.code);
        planned(async move {
            let plan = code.control(request).await;
            plan.encode(code.work_follows(now()))
        })
    }

    /// The upstream began its answer. Whether there is work to do after it.
    pub fn finished(&self, ticket: &str, status: u16, latency: f64, now: f64) -> bool {
        let now = now as Millis;
        self.code.finished(ticket, status, latency as Millis, now);
        self.code.work_follows(now)
    }

    /// Reports to the guard of a request that was counted, at once.
    pub fn report(&self, ticket: &str) -> Promise {
        let code = Rc::clone(&self.code);
        let account = Ticket::read(ticket).map(|ticket| ticket.account.to_owned());
        promise(Box::pin(async move {
            if let Some(account) = account {
                code.report(&account).await;
            }
            JsValue::UNDEFINED
        }))
    }

    /// The upstream gave no answer: the plan to answer with instead.
    pub fn failed(&self, ticket: &str, late: bool, now: f64) -> String {
        let now = now as Millis;
        let plan = self.code.failed(ticket, late, now);
        plan.encode(self.code.work_follows(now))
    }

    /// Does what is to be done after an answer.
    pub fn background(&self, now: f64) -> Option<Promise> {
        let work = GateCode::background(&self.code, now as Millis)?;
        Some(promise(Box::pin(async move {
            work.await;
            JsValue::UNDEFINED
        })))
    }
}

fn planned(plan: impl Future<Output = String> + 'static) -> Promise {
    promise(Box::pin(async move { JsValue::from_str(&plan.await) }))
}

/// Boxed, so that what drives a promise is compiled once and not for each kind of work.
fn promise(work: Pin<Box<dyn Future<Output = JsValue>>>) -> Promise {
    future_to_promise(async move { Ok(work.await) })
}

/// The code of a guard. Every method that touches storage runs inside one storage transaction.
#[wasm_bindgen]
pub struct GuardCore(GuardCode);

fn failure(text: String) -> JsValue {
    js_sys::Error::new(&text).into()
}

#[wasm_bindgen]
impl GuardCore {
    /// Opens the guard's storage. `id` names this guard if it is new.
    #[wasm_bindgen(constructor)]
    pub fn new(sql: Sql, env: &JsValue, id: &str) -> Result<Self, JsValue> {
        GuardCode::open(sql, env, id).map(Self).map_err(failure)
    }

    /// A gate's call: [`shared::message::GuardCall`] → [`shared::message::GuardAnswer`].
    pub fn call(&mut self, message: &str, now: f64) -> Result<String, JsValue> {
        self.0.call(message, now as Millis).map_err(failure)
    }

    /// A push: [`shared::message::GuardPush`] → [`shared::message::GuardPushAnswer`] and what KV must have, in lines.
    pub fn push(&mut self, message: &str, now: f64) -> Result<String, JsValue> {
        self.0.push(message, now as Millis).map_err(failure)
    }

    /// KV has what the last push planned.
    pub fn pushed(&mut self) -> Result<(), JsValue> {
        self.0.pushed().map_err(failure)
    }

    /// When the alarm is to be set, if it must be.
    pub fn take_alarm(&mut self) -> Option<f64> {
        self.0.take_alarm().map(|at| at as f64)
    }

    /// The next usage batch to post, signed: URL, id, timestamp, signature and body, in lines.
    pub fn seal(&mut self, now: f64) -> Result<Option<String>, JsValue> {
        self.0.seal(now as Millis).map_err(failure)
    }

    /// Whether the control plane keeps the batch that was sealed last.
    pub fn sealed_was_kept(&mut self, kept: bool, now: f64) -> Result<(), JsValue> {
        self.0.sealed_was_kept(kept, now as Millis).map_err(failure)
    }
}
