//! A PostgreSQL of the tests' own: made in a temporary folder, reached on loopback only, gone when the tests end.

use std::fs::{self, DirBuilder, File};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::exec;
use crate::random;
use crate::setup::Postgres;

/// The cluster's administrator.
const ADMIN: &str = "postgres";
/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at meanwhile.
const TICK: Duration = Duration::from_millis(50);

/// Becomes the server; a helper stays beside it and reads from us. The reading ends when we do, by whatever signal: then
/// the helper stops the server (SIGINT: at once, in order) and removes its folder.
const SCRIPT: &str = r#"
folder=$1; shift
exec 3<&0
(
  read -r _ <&3
  for _ in $(seq 100); do
    [ -e "$folder/data/postmaster.pid" ] || break
    kill -INT $$
    sleep 0.1
  done
  cd /; rm -rf -- "$folder"
) >/dev/null 2>&1 &
exec 3<&- </dev/null
exec "$@"
"#;

/// What makes tests quick and parallel; nothing here has to survive a crash of the machine.
const SETTINGS: [&str; 6] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=300",
];

/// A running server.
pub struct Cluster {
    server: Child,
    folder: PathBuf,
    url: String,
}

impl Cluster {
    /// Makes a cluster and waits until it answers.
    ///
    /// # Errors
    /// What its programs say.
    pub fn start(postgres: &Postgres) -> Result<Self> {
        let user = User::choose()?;
        let name = format!("keyward-postgres-{}", random::base62(12)?);
        let folder = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&folder)?;
        let started = start(postgres, user, &folder);
        if started.is_err() {
            // The error says what is wrong; a folder left behind is the lesser harm.
            let _ = fs::remove_dir_all(&folder);
        }
        let (server, url) = started?;
        let mut cluster = Self {
            server,
            folder,
            url,
        };
        cluster.await_ready()?;
        Ok(cluster)
    }

    /// Where an administrator reaches it, with the password.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn await_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let state = self.folder.join("data/postmaster.pid");
        loop {
            let is_ready = fs::read_to_string(&state)
                .is_ok_and(|text| text.lines().any(|line| line.trim() == "ready"));
            if is_ready {
                return Ok(());
            }
            let ended = self.server.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(log(&self.folder)).unwrap_or_default();
                bail!("PostgreSQL does not start: {}", exec::last_lines(&log, 3));
            }
            sleep(TICK);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The helper's sign to stop the server. Neither can fail in a way that matters to the tests, which are over.
        drop(self.server.stdin.take());
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn start(postgres: &Postgres, user: Option<User>, folder: &Path) -> Result<(Child, String)> {
    let password = random::base62(40)?;
    let password_file = folder.join("password");
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600);
    std::io::Write::write_all(&mut options.open(&password_file)?, password.as_bytes())?;
    if let Some(user) = user {
        for path in [folder, password_file.as_path()] {
            chown(path, Some(user.uid), Some(user.gid))?;
        }
    }
    let data = folder.join("data");
    let mut initdb = Command::new(postgres.initdb());
    initdb
        .args(["--no-sync", "--no-locale", "--encoding=UTF8"])
        .args(["--auth=scram-sha-256", "--username", ADMIN])
        .arg("--pwfile")
        .arg(&password_file)
        .arg("--pgdata")
        .arg(&data);
    as_user(&mut initdb, user, folder);
    exec::capture(&mut initdb)?;
    fs::remove_file(&password_file)?;

    // Free now; should another take it in between, the server says so and ends.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let log = File::create(log(folder))?;
    let mut server = Command::new("/bin/sh");
    server
        .args(["-c", SCRIPT, "sh"])
        .arg(folder)
        .arg(postgres.server())
        .arg("-D")
        .arg(&data)
        .args(["-p", &port.to_string()])
        .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C is for us; the helper has to live until its work is done.
        .process_group(0);
    as_user(&mut server, user, folder);
    let server = server
        .spawn()
        .map_err(|error| exec::start_error("postgres", &error))?;
    let url = format!("postgres://{ADMIN}:{password}@127.0.0.1:{port}/postgres");
    Ok((server, url))
}

fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// Runs a program as this user, without settings meant for other clusters.
fn as_user(command: &mut Command, user: Option<User>, folder: &Path) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).env("LC_ALL", "C");
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
}

/// Who runs the server when we are root: PostgreSQL refuses to.
#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// The user of Debian's package, else nobody; none when we are not root.
    fn choose() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd")?;
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| Self::named(name, &users))
            .map(Some)
            .context("PostgreSQL can't run as root, and this system has no other user for it")
    }

    /// `name:password:uid:gid:…` of passwd(5).
    fn named(name: &str, users: &str) -> Option<Self> {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let is_it = fields.next() == Some(name);
            let (uid, gid) = (fields.nth(1)?, fields.next()?);
            is_it.then_some(Self {
                uid: uid.parse().ok()?,
                gid: gid.parse().ok()?,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0::/root:/bin/sh\npostgres2:x:7:8::/:/bin/sh\n\nnobody:x:65534:65533::/:/bin/sh\n";
        let ids = |name| User::named(name, users).map(|user| (user.uid, user.gid));
        assert_eq!(ids("nobody"), Some((65534, 65533)));
        assert_eq!(ids("postgres"), None);
    }

    #[test]
    fn a_cluster_answers_and_is_gone_with_its_folder_when_dropped() -> Result<()> {
        let Some(postgres) = Postgres::find(Path::new("/nowhere")) else {
            println!(
                "SKIPPED: a_cluster_answers_and_is_gone_with_its_folder_when_dropped: no PostgreSQL"
            );
            return Ok(());
        };
        let cluster = Cluster::start(&postgres)?;
        let address = cluster.url().rsplit_once('@').map(|(_, rest)| rest);
        let address = address.and_then(|rest| rest.split('/').next());
        let address = address.context("no address in the URL")?.to_owned();
        TcpStream::connect(&address)?;
        let folder = cluster.folder.clone();
        drop(cluster);
        assert!(TcpStream::connect(&address).is_err());
        assert!(!folder.exists());
        Ok(())
    }
}
