//! `keyward check-config`: tells before the start what would go wrong, and changes nothing.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, bail};
use futures_util::future::join_all;
use shared::Millis;
use shared::secret::{Secret, constant_time_eq};

use crate::config::ServeArgs;
use crate::store::Store;
use crate::sync;

/// A secret with fewer different bytes than this was typed, not drawn.
const MIN_DISTINCT: usize = 8;

/// What was found: a line for each check.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

#[derive(Debug)]
struct Finding {
    what: String,
    outcome: Result<String, String>,
}

impl Findings {
    /// Whether every check passed.
    pub fn are_good(&self) -> bool {
        self.0.iter().all(|finding| finding.outcome.is_ok())
    }

    fn add(&mut self, what: impl Into<String>, outcome: anyhow::Result<String>) {
        self.0.push(Finding {
            what: what.into(),
            outcome: outcome.map_err(|error| format!("{error:#}")),
        });
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { what, outcome } in &self.0 {
            match outcome {
                Ok(detail) => writeln!(f, "ok    {what}: {detail}")?,
                Err(problem) => writeln!(f, "FAIL  {what}: {problem}")?,
            }
        }
        Ok(())
    }
}

/// Checks the options, and asks the database and the edges.
pub async fn check(args: &ServeArgs, now: Millis) -> Findings {
    let mut findings = Findings::default();
    let network = args.network();
    findings.add("listen", network.map(|n| n.listen.to_string()));
    let tag = args.tag_secret();
    let push = args.push_secret();
    if let (Ok(tag), Ok(push)) = (&tag, &push) {
        findings.add("secrets", differ(tag, push));
    }
    let push_secret = push.as_ref().ok().cloned();
    findings.add("tag secret", tag.and_then(|secret| strength(&secret)));
    findings.add("push secret", push.and_then(|secret| strength(&secret)));
    let token = args.admin_token().map(|token| match token {
        Some(_) => "given".to_owned(),
        None => "not given: the tokens in the database count".to_owned(),
    });
    findings.add("admin token", token);
    let traces = args.traces().map(|url| match url {
        Some(url) => format!("sent to {}", url.host_str().unwrap_or_default()),
        None => "not sent".to_owned(),
    });
    findings.add("traces", traces);
    findings.add("database", database(args).await);
    edges(&mut findings, args, push_secret, now).await;
    findings
}

fn strength(secret: &Secret) -> anyhow::Result<String> {
    let bytes = secret.expose();
    let distinct: BTreeSet<u8> = bytes.iter().copied().collect();
    if distinct.len() < MIN_DISTINCT {
        bail!("it can be guessed: draw one at random, e.g. with `openssl rand -base64 32`");
    }
    Ok(format!("{} bytes", bytes.len()))
}

/// One secret in two places leaks from both, and can't be changed in one.
fn differ(tag: &Secret, push: &Secret) -> anyhow::Result<String> {
    let (tag, push) = (tag.expose(), push.expose());
    let written = shared::base64::encode(push);
    let same = [
        push,
        written.as_bytes(),
        format!("whsec_{written}").as_bytes(),
    ]
    .iter()
    .any(|form| constant_time_eq(tag, form));
    if same {
        bail!("tag secret and push secret are the same: draw two");
    }
    Ok("tag secret and push secret differ".to_owned())
}

async fn database(args: &ServeArgs) -> anyhow::Result<String> {
    let url = args.database.url()?;
    let Some(store) = Store::inspect(&url).await? else {
        return Ok("not there yet; `keyward serve` makes it".to_owned());
    };
    let schema = store.schema().await.context("it does not answer");
    store.close().await;
    let schema = schema?;
    let (applied, latest) = (schema.applied, schema.latest);
    if applied > latest {
        bail!("schema {applied} is newer than this program, which knows {latest}");
    }
    Ok(if schema.is_usable() {
        format!("reachable, schema {applied}, up to date")
    } else {
        format!("reachable, schema {applied}; `keyward serve` brings it to {latest}")
    })
}

async fn edges(findings: &mut Findings, args: &ServeArgs, push: Option<Secret>, now: Millis) {
    let targets = match args.targets() {
        Ok(targets) => targets,
        Err(error) => return findings.add("edges", Err(error)),
    };
    if targets.is_empty() {
        return findings.add("edges", Ok("none: nothing is guarded yet".to_owned()));
    }
    let Some(push) = push else {
        let problem = "not asked: there is no push secret to sign with";
        return findings.add("edges", Err(anyhow::anyhow!(problem)));
    };
    let probes = targets
        .iter()
        .map(|target| sync::probe(target, push.clone(), now));
    for (target, outcome) in targets.iter().zip(join_all(probes).await) {
        let outcome = outcome.map(|()| "runs, and takes what our push secret signs".to_owned());
        findings.add(format!("edge {target}"), outcome);
    }
}
