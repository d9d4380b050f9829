//! The boundary between JavaScript and wasm: the only module that either side sees of the other.
//!
//! `edge/js/worker.mjs` hands over what a decision needs in one call and gets a plan as one string back, or a
//! promise of one where I/O is needed. It does the I/O behind [`Host`].

use std::rc::Rc;

use js_sys::Promise;
use shared::Millis;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use crate::gate::control::ControlRequest;
use crate::gate::head::Head;
use crate::gate::{Begun, GateCode};
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
pub struct Gate(Rc<GateCode>);

#[wasm_bindgen]
impl Gate {
    /// Reads the configuration; what is wrong with it is said on every request but `health`.
    #[wasm_bindgen(constructor)]
    pub fn new(env: &JsValue, host: Host, id: &str) -> Self {
        Self(Rc::new(GateCode::new(env, host, id)))
    }

    /// Decides a request: a plan (string), or a promise of one.
    #[allow(clippy::too_many_arguments)] // One crossing instead of nine.
    pub fn admit(
        &self,
        method: String,
        url: String,
        authorization: Option<String>,
        x_api_key: Option<String>,
        origin: Option<String>,
        client_ip: Option<String>,
        request_method: Option<String>,
        request_headers: Option<String>,
        now: f64,
    ) -> JsValue {
        let head = Head::read(&url, method).with(
            authorization,
            x_api_key,
            origin,
            client_ip,
            request_method,
            request_headers,
        );
        match self.0.begin(head, now as Millis) {
            Begun::Plan(plan) => JsValue::from_str(&plan.encode()),
            Begun::Waits(waiting) => {
                let gate = Rc::clone(&self.0);
                future_to_promise(async move {
                    let plan = gate.finish(waiting).await;
                    Ok(JsValue::from_str(&plan.encode()))
                })
                .into()
            }
        }
    }

    /// Answers a request to `/.keyward/…`. `body` is missing when it was too large.
    #[allow(clippy::too_many_arguments)]
    pub fn control(
        &self,
        method: String,
        url: String,
        body: Option<Vec<u8>>,
        content_type: Option<String>,
        webhook_id: Option<String>,
        webhook_timestamp: Option<String>,
        webhook_signature: Option<String>,
        authorization: Option<String>,
        x_api_key: Option<String>,
        now: f64,
    ) -> Promise {
        let head = Head::read(&url, method).with(authorization, x_api_key, None, None, None, None);
        let request = ControlRequest {
            id: self.0.next_request_id(),
            head,
            body,
            content_type,
            webhook_id,
            webhook_timestamp,
            webhook_signature,
            now: now as Millis,
        };
        let gate = Rc::clone(&self.0);
        future_to_promise(async move {
            let plan = gate.control(request).await;
            Ok(JsValue::from_str(&plan.encode()))
        })
    }

    /// The upstream began its answer.
    pub fn finished(&self, ticket: &str, status: u16, latency: f64, now: f64) {
        self.0
            .finished(ticket, status, latency as Millis, now as Millis);
    }

    /// The upstream gave no answer: the plan to answer with instead.
    pub fn failed(&self, ticket: &str, late: bool, now: f64) -> String {
        self.0.failed(ticket, late, now as Millis).encode()
    }

    /// What is to be done after the answer, if anything.
    pub fn background(&self, now: f64) -> Option<Promise> {
        let work = GateCode::background(&self.0, now as Millis)?;
        Some(future_to_promise(async move {
            work.await;
            Ok(JsValue::UNDEFINED)
        }))
    }
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
    pub fn new(ctx: JsValue, env: &JsValue, id: &str) -> Result<Self, JsValue> {
        let state = ctx.unchecked_into::<worker_sys::DurableObjectState>();
        GuardCode::open(state.storage()?.sql(), env, id)
            .map(Self)
            .map_err(failure)
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
