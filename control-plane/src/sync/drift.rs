//! Finds where an edge and the database differ, by digests: records travel only where sums differ.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use shared::Millis;
use shared::message::StateAsk;

use crate::store::digests::{self, Digest};
use crate::store::targets::Kind;
use crate::store::{Store, targets};
use crate::sync::edge_client::{EdgeClient, PushError};

/// Of ids that begin with the kind: all of a kind, in small heaps, each by itself.
const KINDS: u32 = 4;
const HEAPS: u32 = 6;
const EACH: u32 = 64;
/// Names in KV that an edge looks at in one go: the platform bounds how much a request may ask of KV.
const NAMES: u32 = 500;
/// Heaps that are listed of an account in one go.
const MOST_HEAPS: usize = 200;

/// How a record differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The edge lacks it.
    Missing,
    /// The edge has an older version.
    Older,
    /// The edge has a newer version than the database, as after a backup was restored.
    Newer,
    /// The database does not know it.
    Unknown,
    /// KV's copy is missing or of another version than the guard's.
    Copy,
}

/// A record that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Drift {
    /// The account whose guard was asked.
    pub account: String,
    /// The kind, by name.
    pub kind: String,
    /// The record's id.
    pub id: String,
    /// How it differs.
    pub fault: Fault,
    /// The version at the edge.
    pub edge: Option<u64>,
    /// The version in the database.
    pub database: Option<u64>,
}

/// What a comparison came to.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Accounts that were compared.
    pub accounts: u64,
    /// What differs.
    pub drift: Vec<Drift>,
    /// Records that the edge has not yet, and that are on their way.
    pub waiting: u64,
    /// Whether more differs than is listed.
    pub truncated: bool,
}

/// Compares an edge with the database.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// The database.
    pub store: &'a Store,
    /// The edge.
    pub edge: &'a EdgeClient,
    /// Whether KV's copies are looked at, one by one.
    pub kv: bool,
    /// How many differences are listed at most.
    pub most: usize,
    /// Now.
    pub now: Millis,
}

impl Comparison<'_> {
    /// Compares the guards of these accounts, and of those that are found in them and the database does not know.
    ///
    /// # Errors
    /// When the edge or the database can't be asked.
    pub async fn of(&self, accounts: Vec<String>) -> Result<Findings, PushError> {
        let mut findings = Findings::default();
        let mut seen: BTreeSet<String> = accounts.iter().cloned().collect();
        let mut queue = VecDeque::from(accounts);
        while let Some(account) = queue.pop_front() {
            self.account(&account, &mut findings).await?;
            findings.accounts += 1;
            for drift in &findings.drift {
                let is_account = drift.kind == Kind::Account.name();
                if is_account && drift.fault == Fault::Unknown && seen.insert(drift.id.clone()) {
                    queue.push_back(drift.id.clone());
                }
            }
            if findings.drift.len() > self.most {
                findings.drift.truncate(self.most);
                findings.truncated = true;
                break;
            }
        }
        Ok(findings)
    }

    async fn account(&self, account: &str, findings: &mut Findings) -> Result<(), PushError> {
        let kinds = self.differing(account, "", "", KINDS).await?;
        let kinds: BTreeSet<String> = kinds.into_iter().map(|(kind, _)| kind).collect();
        for kind in kinds {
            let mut heaps = self.differing(account, &kind, "", HEAPS).await?;
            if heaps.len() > MOST_HEAPS {
                heaps.truncate(MOST_HEAPS);
                findings.truncated = true;
            }
            for (kind, start) in heaps {
                let first = self.listed(account, &kind, &start).await?;
                if first.is_empty() {
                    continue;
                }
                // What was on its way at the first look has arrived, or is another difference now.
                let mut second = self.listed(account, &kind, &start).await?;
                second.retain(|drift| first.contains(drift));
                for drift in second {
                    if self.is_on_its_way(&drift).await? {
                        findings.waiting += 1;
                    } else {
                        findings.drift.push(drift);
                    }
                }
                if findings.drift.len() > self.most {
                    return Ok(());
                }
            }
        }
        if self.kv {
            self.copies(account, findings).await?;
        }
        Ok(())
    }

    /// The kinds and beginnings of ids whose sums differ.
    async fn differing(
        &self,
        account: &str,
        kind: &str,
        from: &str,
        length: u32,
    ) -> Result<Vec<(String, String)>, PushError> {
        let (edge, database) = self.both(account, kind, from, length).await?;
        let starts: BTreeSet<&(String, String)> = edge.keys().chain(database.keys()).collect();
        let differ = starts
            .into_iter()
            .filter(|at| edge.get(*at) != database.get(*at));
        Ok(differ.cloned().collect())
    }

    /// The records of a heap that differ.
    async fn listed(
        &self,
        account: &str,
        kind: &str,
        start: &str,
    ) -> Result<Vec<Drift>, PushError> {
        let (edge, database) = self.both(account, kind, start, EACH).await?;
        let ids: BTreeSet<&(String, String)> = edge.keys().chain(database.keys()).collect();
        let mut drift = Vec::new();
        for at in ids {
            let edge = edge.get(at).map(|d| d.highest);
            let database = database.get(at).map(|d| d.highest);
            let fault = match (edge, database) {
                (None, _) => Fault::Missing,
                (_, None) => Fault::Unknown,
                (Some(edge), Some(database)) if edge < database => Fault::Older,
                (Some(edge), Some(database)) if edge > database => Fault::Newer,
                _ => continue,
            };
            drift.push(Drift {
                account: account.to_owned(),
                kind: at.0.clone(),
                id: at.1.clone(),
                fault,
                edge,
                database,
            });
        }
        Ok(drift)
    }

    /// The digests of both sides. The edge is asked first: what is newer there than in the database then is so.
    async fn both(
        &self,
        account: &str,
        kind: &str,
        from: &str,
        length: u32,
    ) -> Result<(Digests, Digests), PushError> {
        let ask = StateAsk::Records {
            account,
            kind,
            from,
            length,
        };
        let edge = digests_in(&self.edge.ask(ask, self.now).await?)?;
        let mut conn = self.store.read().await?;
        let database = digests::of(&mut conn, account, kind, from, length).await?;
        Ok((edge, by_start(database)))
    }

    /// Whether a record that the edge lacks is about to come.
    async fn is_on_its_way(&self, drift: &Drift) -> Result<bool, PushError> {
        let (Fault::Missing | Fault::Older, Some(version)) = (drift.fault, drift.database) else {
            return Ok(false);
        };
        let mut conn = self.store.read().await?;
        let target = targets::find(&mut conn, self.edge.target()).await?;
        if target.is_some_and(|target| target.snapshot.is_some()) {
            return Ok(true);
        }
        Ok(digests::is_on_its_way(&mut conn, version).await?)
    }

    /// KV's copies of what the guard holds.
    async fn copies(&self, account: &str, findings: &mut Findings) -> Result<(), PushError> {
        for (kind, prefix) in [(Kind::Account, "a/"), (Kind::Api, "h/"), (Kind::Key, "k/")] {
            let mut after = String::new();
            loop {
                let ask = StateAsk::Names {
                    account,
                    prefix,
                    kind: kind.name(),
                    after: &after,
                    limit: NAMES,
                };
                let answer = self.edge.ask(ask, self.now).await?;
                let mut lines = answer.lines().map(|line| line.split(' '));
                let last = lines.next().and_then(|mut last| last.next());
                for mut line in lines {
                    let (Some(id), Some(version)) = (line.nth(1), line.next()) else {
                        return Err(PushError::Receipt);
                    };
                    let known = |d: &Drift| d.id == id && d.account == account;
                    if !findings.drift.iter().any(known) {
                        findings.drift.push(Drift {
                            account: account.to_owned(),
                            kind: kind.name().to_owned(),
                            id: id.to_owned(),
                            fault: Fault::Copy,
                            edge: version.parse().ok(),
                            database: version.parse().ok(),
                        });
                    }
                }
                match last {
                    Some(last) if !last.is_empty() => last.clone_into(&mut after),
                    _ => break,
                }
                if findings.drift.len() > self.most {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Digests by kind and beginning.
type Digests = BTreeMap<(String, String), Digest>;

fn by_start(digests: Vec<Digest>) -> Digests {
    let at = |digest: Digest| ((digest.kind.clone(), digest.start.clone()), digest);
    digests.into_iter().map(at).collect()
}

/// Reads an edge's answer.
fn digests_in(lines: &str) -> Result<Digests, PushError> {
    let digest = |line: &str| {
        let mut parts = line.split(' ');
        let (kind, start) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        let mut number = || parts.next()?.parse::<u64>().ok();
        Some(Digest {
            kind,
            start,
            count: number()?,
            sum: number()?,
            highest: number()?,
        })
    };
    let digests: Option<Vec<Digest>> = lines.lines().map(digest).collect();
    digests.map(by_start).ok_or(PushError::Receipt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_edge_tells_is_read_and_anything_else_is_refused() {
        let digests = digests_in("key key_ab 2 30 16\napi api_1 1 5 7").unwrap();
        let at = ("key".to_owned(), "key_ab".to_owned());
        assert_eq!(digests[&at].sum, 30);
        assert_eq!((digests[&at].count, digests[&at].highest), (2, 16));
        assert!(digests_in("").unwrap().is_empty());
        for answer in ["key key_ab 2 30", "key", "key key_ab 2 30 -1", "\n"] {
            assert!(digests_in(answer).is_err(), "{answer:?}");
        }
    }
}
