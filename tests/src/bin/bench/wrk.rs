//! Load by wrk: one thread, 16 connections, each with one request at a time.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

use crate::request::{Request, Want};

/// What wrk saw.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Answers.
    pub requests: u64,
    /// Of them a second.
    pub per_second: f64,
}

/// How often a run is taken again that the machine's own stalls have spoiled.
const RETRIES: usize = 3;

/// Sends the requests in turn for some seconds.
///
/// # Errors
/// When wrk can't be run, or an answer was not what was wanted.
pub async fn run(folder: &Path, base: &str, request: &Request, seconds: u32) -> Result<Seen> {
    for _ in 0..RETRIES {
        if let Some(seen) = attempt(folder, base, request, seconds).await? {
            return Ok(seen);
        }
        eprintln!("bench: requests timed out, the machine stands still; once more");
    }
    bail!("requests time out again and again")
}

/// `None`: requests timed out.
async fn attempt(
    folder: &Path,
    base: &str,
    request: &Request,
    seconds: u32,
) -> Result<Option<Seen>> {
    let script = folder.join("request.lua");
    std::fs::write(&script, lua(request))?;
    let output = Command::new("wrk")
        .args(["-t1", "-c16", &format!("-d{seconds}s"), "-s"])
        .arg(&script)
        .arg(format!("{base}{}", request.path))
        .output()
        .await
        .context("wrk can't be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "wrk failed: {text}");
    let number = |before: &str| {
        let line = text.lines().find(|l| l.trim().starts_with(before))?;
        line.rsplit(' ').next()?.parse::<f64>().ok()
    };
    let requests = text
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "))
        .and_then(|(count, _)| count.parse().ok());
    let seen = Seen {
        requests: requests.with_context(|| format!("wrk said: {text}"))?,
        per_second: number("Requests/sec:").with_context(|| format!("wrk said: {text}"))?,
    };
    let refused = number("Non-2xx or 3xx responses:").unwrap_or(0.0) as u64;
    let errors = text.lines().find(|line| line.contains("Socket errors:"));
    if errors.is_some_and(|line| line.contains("connect 0, read 0, write 0")) {
        return Ok(None);
    }
    let as_wanted = match request.want {
        Want::Success => refused == 0,
        Want::Refusal => refused == seen.requests,
    };
    ensure!(
        as_wanted && errors.is_none(),
        "answers were not {:?}: {text}",
        request.want
    );
    Ok(Some(seen))
}

/// wrk makes a request of its settings once; several are made before the run and taken in turn.
fn lua(request: &Request) -> String {
    let mut script = format!("wrk.method = \"{}\"\n", request.method);
    for (name, value) in &request.headers {
        script.push_str(&format!("wrk.headers[\"{name}\"] = [[{value}]]\n"));
    }
    if !request.body.is_empty() {
        script.push_str(&format!("wrk.body = [[{}]]\n", request.body));
    }
    if request.keys.len() > 1 {
        script.push_str("local keys = {\n");
        for key in &request.keys {
            script.push_str(&format!("[[Bearer {key}]],\n"));
        }
        script.push_str(
            "}\nlocal all, at = {}, 0\nfunction init()\n  for i, key in ipairs(keys) do\n    \
             wrk.headers[\"Authorization\"] = key\n    all[i] = wrk.format()\n  end\nend\n\
             function request()\n  at = at % #all + 1\n  return all[at]\nend\n",
        );
    } else if let Some(key) = request.keys.first() {
        script.push_str(&format!(
            "wrk.headers[\"Authorization\"] = [[Bearer {key}]]\n"
        ));
    }
    script
}
