//! Load by wrk: one thread, 16 connections.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// What every connection sends.
pub struct Request {
    method: &'static str,
    path: &'static str,
    key: Option<String>,
    body: &'static str,
}

impl Request {
    /// A GET with this key.
    pub fn get(path: &'static str, key: Option<&str>) -> Self {
        Self {
            method: "GET",
            path,
            key: key.map(str::to_owned),
            body: "",
        }
    }

    /// A verification of this key.
    pub fn verify(key: &str) -> Self {
        Self {
            method: "POST",
            path: "/.keyward/verify",
            key: Some(key.to_owned()),
            body: r#"{"path":"/v1/customers"}"#,
        }
    }

    fn script(&self) -> String {
        let key = self.key.as_deref().unwrap_or_default();
        let mut script = format!("wrk.method = \"{}\"\n", self.method);
        if self.key.is_some() {
            script.push_str(&format!(
                "wrk.headers[\"Authorization\"] = \"Bearer {key}\"\n"
            ));
        }
        if !self.body.is_empty() {
            script.push_str(&format!(
                "wrk.body = [[{}]]\nwrk.headers[\"Content-Type\"] = \"application/json\"\n",
                self.body
            ));
        }
        script
    }
}

/// Sends it for some seconds; gives the requests per second.
pub fn run(folder: &Path, base: &str, request: &Request, seconds: u32) -> Result<f64> {
    let script = folder.join("request.lua");
    std::fs::write(&script, request.script())?;
    let output = Command::new("wrk")
        .args(["-t1", "-c16", &format!("-d{seconds}s"), "-s"])
        .arg(&script)
        .arg(format!("{base}{}", request.path))
        .output()
        .context("wrk can't be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "wrk failed: {text}");
    let per_second = text
        .lines()
        .find_map(|l| l.trim().strip_prefix("Requests/sec:"))
        .and_then(|n| n.trim().parse().ok());
    per_second.with_context(|| format!("wrk said: {text}"))
}
