//! Searches what git keeps, through the system's git.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::thread::{self, JoinHandle};

use anyhow::{Context, bail};

use super::find::Hit;
use super::report::{Finding, Report};

/// The longest path and header that is read of git at once; git itself knows no longer paths.
const MAX_FIELD: u64 = 1024 * 1024;
/// The mode of a submodule, whose id is no object of this repository.
const SUBMODULE: &str = "160000";

/// A token in an object of git.
struct Held {
    id: String,
    hit: Hit,
}

/// Where an object first appeared.
struct First {
    /// The commit's place in the order of time.
    order: usize,
    commit: String,
    path: String,
}

/// Searches every blob, and every message of a commit or tag, that any reference reaches; each once.
pub fn history(repository: &Path, threads: usize, report: &Report) {
    if let Err(error) = search_history(repository, threads, report) {
        report.fail(&repository.to_string_lossy(), &format!("{error:#}"));
    }
}

/// Searches what the index holds and HEAD does not.
pub fn staged(repository: &Path, report: &Report) {
    if let Err(error) = search_staged(repository, report) {
        report.fail(&repository.to_string_lossy(), &format!("{error:#}"));
    }
}

fn search_history(repository: &Path, threads: usize, report: &Report) -> anyhow::Result<()> {
    let blobs = lines(git(repository).args([
        "rev-list",
        "--all",
        "--objects",
        "--no-object-names",
        "--filter=object:type=blob",
        "--filter-provided-objects",
    ]))?;
    let mut messages = lines(git(repository).args(["rev-list", "--all"]))?;
    let tags =
        lines(git(repository).args(["for-each-ref", "--format=%(objecttype) %(objectname)"]))?;
    let tags = tags.iter().filter_map(|line| line.strip_prefix("tag "));
    messages.extend(tags.map(str::to_owned));

    let mut found = read_objects(repository, &blobs, threads, report)?;
    let firsts = first_appearances(repository, &found)?;
    found.extend(read_objects(repository, &messages, threads, report)?);
    grouped(found, &firsts)
        .into_iter()
        .for_each(|finding| report.add(finding));
    Ok(())
}

fn search_staged(repository: &Path, report: &Report) -> anyhow::Result<()> {
    let head = lines(git(repository).args(["rev-parse", "--verify", "--quiet", "HEAD"]));
    let base = match head.ok().and_then(|lines| lines.into_iter().next()) {
        Some(head) => head,
        // Before the first commit everything is new: compared with the empty tree.
        None => lines(git(repository).args(["hash-object", "-t", "tree", "--stdin"]))?
            .into_iter()
            .next()
            .context("git names no empty tree")?,
    };
    let mut paths: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut differ = git(repository);
    differ.args(["diff-index", "--cached", "--raw", "-z", "--no-renames"]);
    differ.args(["--no-abbrev", "--diff-filter=AMT", &base, "--"]);
    each_change(&mut differ, None, |_, id, path| {
        paths.entry(id.to_owned()).or_default().push(path);
    })?;
    let blobs: Vec<String> = paths.keys().cloned().collect();
    for held in read_objects(repository, &blobs, 1, report)? {
        for path in paths.get(&held.id).into_iter().flatten() {
            report.add(Finding::of(Some(path.clone()), held.hit.clone()));
        }
    }
    Ok(())
}

/// One finding for each token and path: where it appeared first, and in how many versions it is.
fn grouped(found: Vec<Held>, firsts: &HashMap<String, First>) -> Vec<Finding> {
    let mut groups: BTreeMap<(Option<&str>, String), Group> = BTreeMap::new();
    for Held { id, hit } in &found {
        let first = firsts.get(id);
        let path = first.map(|first| first.path.as_str());
        let group = groups.entry((path, hit.hash.clone())).or_default();
        group.versions.insert(id);
        let order = first.map_or(usize::MAX, |first| first.order);
        if group
            .earliest
            .as_ref()
            .is_none_or(|(earliest, _)| order < *earliest)
        {
            let mut finding = Finding::of(path.map(str::to_owned), hit.clone());
            // A message belongs to its own commit.
            let commit = first.map_or(id, |first| &first.commit);
            finding.commit = Some(commit.clone());
            group.earliest = Some((order, finding));
        }
    }
    groups
        .into_values()
        .filter_map(|group| {
            let (_, mut finding) = group.earliest?;
            finding.versions = Some(group.versions.len() as u64);
            Some(finding)
        })
        .collect()
}

/// What is told as one finding.
#[derive(Default)]
struct Group<'a> {
    earliest: Option<(usize, Finding)>,
    versions: BTreeSet<&'a str>,
}

/// Searches objects, shared out among several processes of git: unpacking takes most of the time.
fn read_objects(
    repository: &Path,
    ids: &[String],
    threads: usize,
    report: &Report,
) -> anyhow::Result<Vec<Held>> {
    let found = Mutex::new(Vec::new());
    // Neighbours are often stored as differences from each other, so they stay together.
    let share = ids.len().div_ceil(threads.max(1)).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> = ids
            .chunks(share)
            .map(|ids| scope.spawn(|| read_share(repository, ids, report, &found)))
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a thread was lost")))
    })?;
    Ok(found.into_inner().unwrap_or_default())
}

fn read_share(
    repository: &Path,
    ids: &[String],
    report: &Report,
    found: &Mutex<Vec<Held>>,
) -> anyhow::Result<()> {
    let mut cat = git(repository);
    cat.args(["cat-file", "--batch", "--buffer"]);
    let mut git = start(cat.stdin(Stdio::piped()))?;
    let to = git.child.stdin.take().context("no pipe")?;
    let from = git.output()?;
    let mut scanner = report.scanner();
    thread::scope(|scope| {
        scope.spawn(move || write_lines(to, ids));
        let mut from = BufReader::with_capacity(256 * 1024, from);
        let mut header = Vec::new();
        loop {
            header.clear();
            if (&mut from).take(MAX_FIELD).read_until(b'\n', &mut header)? == 0 {
                return Ok::<(), anyhow::Error>(());
            }
            let header = String::from_utf8_lossy(&header);
            let mut words = header.split_whitespace();
            let id = words.next().unwrap_or_default().to_owned();
            let size = words.nth(1).and_then(|size| size.parse::<u64>().ok());
            let Some(size) = size else {
                report.fail(&id, &"git does not have this object");
                continue;
            };
            let mut content = (&mut from).take(size);
            report.scan(&mut scanner, &id, &mut content, &mut |hit| {
                let held = Held {
                    id: id.clone(),
                    hit,
                };
                found.lock().map(|mut found| found.push(held)).ok();
            });
            // A binary one was not read to its end; a line feed follows.
            io::copy(&mut content, &mut io::sink())?;
            io::copy(&mut (&mut from).take(1), &mut io::sink())?;
        }
    })?;
    git.end()
}

fn write_lines(mut to: ChildStdin, ids: &[String]) {
    // Where git ended early, its own word tells why.
    let _ = ids
        .chunks(1000)
        .try_for_each(|ids| to.write_all((ids.join("\n") + "\n").as_bytes()));
}

/// Where the objects with tokens first appeared: one pass over all commits, the oldest first.
fn first_appearances(repository: &Path, found: &[Held]) -> anyhow::Result<HashMap<String, First>> {
    let mut firsts: HashMap<String, Option<First>> =
        found.iter().map(|held| (held.id.clone(), None)).collect();
    if firsts.is_empty() {
        return Ok(HashMap::new());
    }
    let mut lister =
        start(git(repository).args(["rev-list", "--all", "--reverse", "--date-order"]))?;
    let commits = lister.output()?;
    let mut differ = git(repository);
    differ.args(["diff-tree", "--stdin", "-r", "-m", "--root", "--raw", "-z"]);
    differ.args(["--no-renames", "--no-abbrev"]);
    let mut order = 0;
    each_change(&mut differ, Some(commits.into()), |commit, id, path| {
        order += 1;
        if let Some(first @ None) = firsts.get_mut(id) {
            *first = Some(First {
                order,
                commit: commit.to_owned(),
                path,
            });
        }
    })?;
    lister.end()?;
    let known = firsts.into_iter();
    Ok(known.filter_map(|(id, first)| Some((id, first?))).collect())
}

/// Runs a command that writes raw differences, ended by NUL, and hands over commit, new object and path of each.
fn each_change(
    command: &mut Command,
    input: Option<Stdio>,
    mut change: impl FnMut(&str, &str, String),
) -> anyhow::Result<()> {
    let mut git = start(command.stdin(input.unwrap_or(Stdio::null())))?;
    let mut from = BufReader::with_capacity(256 * 1024, git.output()?);
    let mut commit = String::new();
    while let Some(field) = field(&mut from)? {
        // `:old_mode new_mode old_id new_id status`, and the path as a field of its own; else a commit's id.
        let Some(entry) = field.strip_prefix(':') else {
            commit = field;
            continue;
        };
        let path = self::field(&mut from)?.unwrap_or_default();
        let mut words = entry.split(' ').skip(1);
        let (mode, id) = (words.next(), words.nth(1).unwrap_or_default());
        let is_gone = id.bytes().all(|digit| digit == b'0');
        if mode != Some(SUBMODULE) && !is_gone {
            change(&commit, id, path);
        }
    }
    git.end()
}

fn field(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut field = Vec::new();
    if from.take(MAX_FIELD).read_until(0, &mut field)? == 0 {
        return Ok(None);
    }
    if field.last() == Some(&0) {
        field.pop();
    }
    Ok(Some(String::from_utf8_lossy(&field).into_owned()))
}

/// git, so that it asks nobody, fetches nothing, and shows objects as they are.
fn git(repository: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(repository)
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

/// A git that runs. Its complaints are read beside its answers, so that it never waits for us.
struct Running {
    child: Child,
    complaints: JoinHandle<Vec<u8>>,
}

/// Starts git with its words for us to read.
fn start(command: &mut Command) -> anyhow::Result<Running> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("git can't be started")?;
    let stderr = child.stderr.take().context("no pipe")?;
    let complaints = thread::spawn(move || {
        let mut said = Vec::new();
        let mut stderr = BufReader::new(stderr);
        // Whether all of it could be read matters to nobody: how git ended says enough.
        let _ = (&mut stderr).take(MAX_FIELD).read_to_end(&mut said);
        let _ = io::copy(&mut stderr, &mut io::sink());
        said
    });
    Ok(Running { child, complaints })
}

impl Running {
    fn output(&mut self) -> anyhow::Result<ChildStdout> {
        self.child.stdout.take().context("no pipe")
    }

    /// Waits until git ends, its output being read; an error is git's own last word.
    fn end(mut self) -> anyhow::Result<()> {
        let status = self.child.wait()?;
        let said = self.complaints.join().unwrap_or_default();
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        bail!("{}", last.unwrap_or("git failed").to_owned())
    }
}

/// The lines that git writes.
fn lines(command: &mut Command) -> anyhow::Result<Vec<String>> {
    let mut git = start(command)?;
    let from = BufReader::new(git.output()?);
    let lines = from.lines().collect::<Result<_, _>>()?;
    git.end()?;
    Ok(lines)
}
