//! The programs that tests drive: a browser and the web servers that Keyward stands beside.
//!
//! Those of the system are taken as they are. What is missing is unpacked from Debian's packages into the tools folder: the
//! versions are those of the system's own release, no service starts, and no root is needed. What can't be had is no
//! error here: the tests that need it skip themselves, by name.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::apt::Apt;
use super::postgres::Postgres;
use crate::exec;
use crate::project::Project;
use crate::report::{self, Step};

/// A program, how it is found, and the Debian package that holds it.
struct Program {
    /// What people call it, and the package's name.
    name: &'static str,
    /// The variable by which tests find it.
    variable: &'static str,
    /// Its names on different systems.
    names: &'static [&'static str],
    /// The binary in the unpacked package.
    binary: &'static str,
    /// Asks for its version.
    version: &'static str,
    /// What to expect of the download.
    size: &'static str,
}

const PROGRAMS: [Program; 3] = [
    Program {
        name: "chromium",
        variable: "KEYWARD_CHROMIUM",
        names: &[
            "chromium",
            "chromium-browser",
            "google-chrome-stable",
            "google-chrome",
        ],
        // The packaged launcher is a script that knows only /usr.
        binary: "usr/lib/chromium/chromium",
        version: "--version",
        size: "210 MB",
    },
    Program {
        name: "nginx",
        variable: "KEYWARD_NGINX",
        names: &["nginx"],
        binary: "usr/sbin/nginx",
        version: "-v",
        size: "2 MB",
    },
    Program {
        name: "caddy",
        variable: "KEYWARD_CADDY",
        names: &["caddy"],
        binary: "usr/bin/caddy",
        version: "version",
        size: "13 MB",
    },
];

/// Where servers are that a user's `PATH` often leaves out.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/local/sbin", "/usr/sbin"];

/// PostgreSQL's package, and what it is called here.
const POSTGRESQL: &str = "postgresql";

/// Starts an unpacked program with the libraries and fonts that were unpacked with it.
const LAUNCHER: &str = r#"#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/root
for folder in "$root"/usr/lib/*-linux-gnu* "$root"/lib/*-linux-gnu* "$root"/usr/lib/*-linux-gnu*/*/; do
  LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder"
done
export LD_LIBRARY_PATH
export XDG_DATA_DIRS="$root/usr/share:/usr/local/share:/usr/share"
[ -f /etc/fonts/fonts.conf ] || export FONTCONFIG_FILE="$root/../fonts.conf"
exec "$root/BINARY" "$@"
"#;

/// For systems without a configuration of fonts.
const FONTS: &str = r#"<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>ROOT/usr/share/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>ROOT/font-cache</cachedir>
</fontconfig>
"#;

/// The programs that were found.
pub struct Programs {
    found: Vec<Found>,
    postgres: Result<Postgres>,
}

struct Found {
    variable: &'static str,
    binary: PathBuf,
}

impl Programs {
    /// The variables by which tests find them.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.found
            .iter()
            .map(|found| (found.variable, found.binary.as_path()))
    }

    /// PostgreSQL, or why there is none.
    pub fn postgres(&self) -> Result<&Postgres, &anyhow::Error> {
        self.postgres.as_ref()
    }
}

/// Finds the programs or unpacks them, and says which they are. What can't be had is named and left out.
pub fn ensure(project: &Project) -> Programs {
    let mut apt = None;
    let found = PROGRAMS.iter().filter_map(|program| {
        let (binary, version) = match program.find(project) {
            Some(found) => found,
            None => program
                .unpack(project, &mut apt)
                .inspect_err(|error| report::fact(program.name, &format!("missing, {error:#}")))
                .ok()?,
        };
        report::fact(program.name, &format!("{version} ({})", binary.display()));
        Some(Found {
            variable: program.variable,
            binary,
        })
    });
    let found = found.collect();
    let postgres = find_or_unpack_postgres(project, &mut apt);
    match &postgres {
        Ok(found) => report::fact(POSTGRESQL, &found.describe()),
        Err(error) => report::fact(POSTGRESQL, &format!("missing, {error:#}")),
    }
    if let Some(apt) = apt {
        apt.forget();
    }
    Programs { found, postgres }
}

/// PostgreSQL alone, found or unpacked.
///
/// # Errors
/// Why it is not to be had.
pub fn ensure_postgres(project: &Project) -> Result<Postgres> {
    let mut apt = None;
    let found = find_or_unpack_postgres(project, &mut apt);
    if let Some(apt) = apt {
        apt.forget();
    }
    found
}

fn find_or_unpack_postgres(project: &Project, apt: &mut Option<Apt>) -> Result<Postgres> {
    let folder = project.tools("programs").join(POSTGRESQL);
    if let Some(found) = Postgres::find(&folder) {
        return Ok(found);
    }
    let step = Step::begin(POSTGRESQL, "Debian's package, 50 MB, only the first time");
    let root = unpack(project, apt, POSTGRESQL, &folder)?;
    for (name, binary) in Postgres::binaries_below(&root)? {
        write_launcher(&folder, name, &binary)?;
    }
    let found =
        Postgres::find(&folder).context("Debian's package was unpacked, but does not run here")?;
    step.done("unpacked");
    Ok(found)
}

/// Unpacks a package below `folder`; gives the root of what was unpacked.
fn unpack(
    project: &Project,
    apt: &mut Option<Apt>,
    package: &str,
    folder: &Path,
) -> Result<PathBuf> {
    let apt = match apt {
        Some(apt) => apt,
        None => apt.insert(Apt::update(project)?),
    };
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let root = folder.join("root");
    fs::create_dir_all(&root)?;
    apt.unpack(package, &root)?;
    Ok(root)
}

/// Writes what starts an unpacked binary; `binary` is its path below the root.
fn write_launcher(folder: &Path, name: &str, binary: &str) -> Result<PathBuf> {
    let launcher = folder.join(name);
    fs::write(&launcher, LAUNCHER.replace("BINARY", binary))?;
    fs::set_permissions(&launcher, Permissions::from_mode(0o755))?;
    Ok(launcher)
}

impl Program {
    /// The first that works: the one that its variable names, the system's, the one that was unpacked before.
    fn find(&self, project: &Project) -> Option<(PathBuf, String)> {
        let given = env::var_os(self.variable).filter(|value| !value.is_empty());
        if let Some(given) = given.map(PathBuf::from) {
            return self.version_of(&given).map(|version| (given, version));
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = env::split_paths(&path)
            .chain(SYSTEM_FOLDERS.map(PathBuf::from))
            .collect();
        let on_system = self
            .names
            .iter()
            .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        on_system
            .chain([self.folder(project).join(self.name)])
            .filter(|binary| binary.is_file())
            .find_map(|binary| {
                let version = self.version_of(&binary)?;
                Some((binary, version))
            })
    }

    /// What it says of its version; nothing when it does not run.
    fn version_of(&self, binary: &Path) -> Option<String> {
        let output = exec::capture(Command::new(binary).arg(self.version)).ok()?;
        // nginx answers on standard error, and launchers may complain there.
        let text = match output.stdout.trim() {
            "" => output.stderr,
            stdout => stdout.to_owned(),
        };
        let line = text.lines().next_back()?.trim();
        Some(line.trim_start_matches("nginx version: ").to_owned())
    }

    fn folder(&self, project: &Project) -> PathBuf {
        project.tools("programs").join(self.name)
    }

    /// Unpacks its package; the launcher is written last and so says that the rest is complete.
    fn unpack(&self, project: &Project, apt: &mut Option<Apt>) -> Result<(PathBuf, String)> {
        if env::var_os(self.variable).is_some_and(|value| !value.is_empty()) {
            bail!("what {} names does not run", self.variable);
        }
        let step = Step::begin(
            self.name,
            &format!("Debian's package, {}, only the first time", self.size),
        );
        let folder = self.folder(project);
        let root = unpack(project, apt, self.name, &folder)?;
        fs::write(
            folder.join("fonts.conf"),
            FONTS.replace("ROOT", &root.display().to_string()),
        )?;
        let launcher = write_launcher(&folder, self.name, self.binary)?;
        let version = self
            .version_of(&launcher)
            .context("Debian's package was unpacked, but does not run here")?;
        step.done("unpacked");
        Ok((launcher, version))
    }
}
