//! Which process this is, so that others on the database can tell it apart, and one after it can tell that it is gone.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

/// Servers in one process, as tests have them.
static SERVERS: AtomicU64 = AtomicU64::new(0);

/// A process that delivers to edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    name: String,
}

impl Process {
    /// This one: host, process id, when it began, the machine's run and process namespace, and a number within it.
    pub fn this() -> Self {
        let host = line("/proc/sys/kernel/hostname").unwrap_or_else(|| "host".to_owned());
        let pid = std::process::id();
        let started = started(pid).unwrap_or_default();
        let machine = machine().unwrap_or_default();
        let number = SERVERS.fetch_add(1, Ordering::Relaxed);
        Self {
            name: format!("{host}/{pid}/{started}/{machine}/{number}"),
        }
    }

    /// As leases name it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the process of this name ran on this machine and is known to be gone: then nobody need wait until its lease
    /// runs out. Of processes elsewhere that can't be known.
    pub fn knows_as_gone(&self, name: &str) -> bool {
        let own = Parts::of(&self.name);
        let (Some(own), Some(other)) = (own, Parts::of(name)) else {
            return false;
        };
        let is_here = !own.machine.is_empty() && own.machine == other.machine;
        is_here && started(other.pid).is_none_or(|at| at != other.started)
    }
}

/// A holder's name, for people: host and process id.
pub fn shown(name: &str) -> String {
    match Parts::of(name) {
        Some(parts) => format!("{} (process {})", parts.host, parts.pid),
        None => name.to_owned(),
    }
}

struct Parts<'a> {
    host: &'a str,
    pid: u32,
    started: u64,
    machine: &'a str,
}

impl<'a> Parts<'a> {
    fn of(name: &'a str) -> Option<Self> {
        let mut parts = name.split('/');
        Some(Self {
            host: parts.next()?,
            pid: parts.next()?.parse().ok()?,
            started: parts.next()?.parse().ok()?,
            machine: parts.next()?,
        })
    }
}

fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.trim().replace('/', "_");
    (!line.is_empty()).then_some(line)
}

/// The machine's run, which a restart of it changes, and the namespace in which process ids mean something.
fn machine() -> Option<String> {
    let boot = line("/proc/sys/kernel/random/boot_id")?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let namespace: String = namespace
        .to_string_lossy()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    Some(format!("{boot}-{namespace}"))
}

/// When a process began, in ticks since the machine did; `None` when it has ended. Field 22 of proc(5)'s `stat`; the second,
/// the command in parentheses, may hold anything.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    // A process that is dead but not yet buried.
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_that_runs_is_not_gone_and_one_that_was_killed_is() {
        let this = Process::this();
        assert!(!this.knows_as_gone(this.name()));
        assert!(!this.knows_as_gone(Process::this().name()));

        let mut child = Command::new("sleep")
            .arg("60")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pid = child.id();
        let name = format!(
            "here/{pid}/{}/{}/0",
            started(pid).unwrap(),
            machine().unwrap()
        );
        assert!(!this.knows_as_gone(&name));
        // Another process that has the id by now.
        let reused = format!("here/{pid}/1/{}/0", machine().unwrap());
        assert!(this.knows_as_gone(&reused));
        // The process id says nothing of another machine.
        let elsewhere = format!("there/{pid}/1/another-run/0");
        assert!(!this.knows_as_gone(&elsewhere));
        child.kill().unwrap();
        let dead = (0..500).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            this.knows_as_gone(&name)
        });
        assert!(dead, "a dead process that nobody has waited for is gone");
        child.wait().unwrap();
        assert!(this.knows_as_gone(&name));
        assert!(!this.knows_as_gone("nonsense"));
    }

    #[test]
    fn people_see_host_and_process_id() {
        assert_eq!(shown("web-1/42/7/run-1/0"), "web-1 (process 42)");
    }
}
