//! The simulated parts of the edge: the network between gates and guards, and the store behind KV.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::Edge;

/// How long the simulation's controls may take: no test is about them, and the machine may be busy with others.
const PATIENT: Duration = Duration::from_secs(120);

/// What was counted since workerd was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Gate → guard: questions and reports.
    pub guard_calls: u64,
    /// Gate → guard: pushes.
    pub guard_pushes: u64,
    /// Reads of KV, absent names included.
    pub kv_reads: u64,
    /// Writes and deletions in KV.
    pub kv_writes: u64,
}

/// How the network between gates and guards behaves; by default it is perfect.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GuardNetwork {
    /// How long every call takes more.
    pub delay: Duration,
    /// The share of calls, 0 to 1, that are lost before the guard has them.
    pub lose: f64,
    /// The share of calls, 0 to 1, of which the guard's answer is lost.
    pub lose_answers: f64,
    /// The share of calls, 0 to 1, at which the guard is reset: calls under way break off, its memory is lost.
    pub reset: f64,
}

/// A value that KV holds or held.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct KvVersion {
    /// `k/…`, `h/…` or `a/…`.
    pub name: String,
    /// When it was written, in milliseconds since the epoch.
    pub at: u64,
    /// The record; `None` for a deletion.
    pub value: Option<String>,
}

impl KvVersion {
    /// The record; `null` for a deletion.
    pub fn record(&self) -> Value {
        let text = self.value.as_deref().unwrap_or_default();
        serde_json::from_str(text).unwrap_or_default()
    }
}

impl Edge {
    /// Calls of guards and of KV so far.
    ///
    /// # Panics
    /// When the edge does not run.
    pub async fn counters(&self) -> Counters {
        let guards = self
            .get(&format!("{}/__simulation/counts", self.url()))
            .await;
        let kv = self.get(&format!("{}/counts", self.kv_control())).await;
        let number = |value: &Value| value.as_u64().expect("a count");
        Counters {
            guard_calls: number(&guards["calls"]),
            guard_pushes: number(&guards["pushes"]),
            kv_reads: number(&kv["reads"]),
            kv_writes: number(&kv["writes"]),
        }
    }

    /// Makes the network between gates and guards behave so; a restart makes it perfect again.
    pub async fn set_guard_network(&self, network: GuardNetwork) {
        let query = format!(
            "delay={}&lose={}&loseAnswers={}&reset={}",
            network.delay.as_millis(),
            network.lose,
            network.lose_answers,
            network.reset
        );
        self.put(&format!("{}/__simulation/network?{query}", self.url()))
            .await;
    }

    /// Sets the clock of every gate, and of the guards, ahead of the real one, until a restart. Only what they read of
    /// the time is ahead: timers take as long as ever.
    pub async fn set_clock_ahead(&self, ahead: Duration) {
        for gate in 0..self.gates() {
            let query = format!("ahead={}", ahead.as_millis());
            self.put(&format!("{}/__simulation/clock?{query}", self.gate(gate)))
                .await;
        }
    }

    /// Overwrites the wasm memory of a gate's isolate, as a bug in it might. The first gate's is the guards', too.
    pub async fn spoil_memory(&self, gate: usize) {
        self.put(&format!("{}/__simulation/spoil", self.gate(gate)))
            .await;
    }

    /// From now on what is written to KV is seen only after `lag`, everywhere. What was seen stays seen. Outlasts a
    /// restart.
    pub async fn set_kv_lag(&self, lag: Duration) {
        self.put(&format!(
            "{}/settings?lag={}",
            self.kv_control(),
            lag.as_millis()
        ))
        .await;
    }

    /// From now on every write to KV is on its way for `slow`, while others overtake it. Outlasts a restart.
    pub async fn set_kv_slow(&self, slow: Duration) {
        let query = format!("slow={}", slow.as_millis());
        self.put(&format!("{}/settings?{query}", self.kv_control()))
            .await;
    }

    /// From now on every read of KV takes `slow` longer. Outlasts a restart.
    pub async fn set_kv_slow_reads(&self, slow: Duration) {
        let query = format!("slowReads={}", slow.as_millis());
        self.put(&format!("{}/settings?{query}", self.kv_control()))
            .await;
    }

    /// Makes every call of KV fail, or none. Outlasts a restart.
    pub async fn set_kv_broken(&self, broken: bool) {
        let query = format!("broken={}", u8::from(broken));
        self.put(&format!("{}/settings?{query}", self.kv_control()))
            .await;
    }

    /// Removes a value from KV, as no part of Keyward would.
    ///
    /// # Panics
    /// When the edge does not run.
    pub async fn remove_from_kv(&self, name: &str) {
        let name = name.replace('/', "%2F");
        let url = format!("http://127.0.0.1:{}/{name}", self.kv_port);
        let answer = self.client.delete(&url).timeout(PATIENT).send().await;
        assert_eq!(answer.expect("the simulation answers").status(), 200);
    }

    /// Everything that was ever written to KV, in order.
    ///
    /// # Panics
    /// When the edge does not run.
    pub async fn kv_history(&self) -> Vec<KvVersion> {
        let history = self.get(&format!("{}/history", self.kv_control())).await;
        serde_json::from_value(history).expect("a history")
    }

    fn kv_control(&self) -> String {
        format!("http://127.0.0.1:{}/__simulation", self.kv_port)
    }

    async fn get(&self, url: &str) -> Value {
        let answer = self.client.get(url).timeout(PATIENT).send().await;
        let answer = answer.expect("the simulation answers");
        answer.json().await.expect("the simulation answers JSON")
    }

    async fn put(&self, url: &str) {
        let answer = self.client.put(url).timeout(PATIENT).send().await;
        assert_eq!(answer.expect("the simulation answers").status(), 204);
    }
}
