//! The configuration that workerd is started with.

use std::fmt::Write;
use std::io;
use std::path::Path;

use super::EdgeOptions;
use crate::secrets::Secrets;

/// The guards' storage, below the edge's folder.
pub const GUARD_DISK: &str = "guards";
/// KV's storage, below the edge's folder.
pub const KV_DISK: &str = "kv";
/// The folder below [`GUARD_DISK`] that workerd makes for the class.
pub const GUARD_KEY: &str = "keyward-guard";

/// The simulation of the network: the gates' main module, which wraps the built edge.
const NETWORK: &str = "network.mjs";
/// What that one imports besides the edge.
const MEMORY: &str = "memory.mjs";
/// The simulation of the store behind KV, a Worker of its own.
const KV: &str = "kv.mjs";

/// What workerd makes of a file, by the end of its name.
const KINDS: [(&str, &str); 3] = [("mjs", "esModule"), ("js", "esModule"), ("wasm", "wasm")];

/// Copies the simulations and every module of the built edge next to the configuration. Gives the names of the built
/// ones. They are copies: a build under way changes no test.
///
/// # Errors
/// When a file can't be read or written.
pub fn copy_modules(edge_build: &Path, folder: &Path) -> io::Result<Vec<String>> {
    let mut built = Vec::new();
    for entry in edge_build.read_dir()? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if kind(&name).is_some() {
            std::fs::copy(entry.path(), folder.join(&name))?;
            built.push(name);
        }
    }
    built.sort();
    let simulation = Path::new(env!("CARGO_MANIFEST_DIR")).join("simulation");
    for name in [NETWORK, MEMORY, KV] {
        std::fs::copy(simulation.join(name), folder.join(name))?;
    }
    Ok(built)
}

fn kind(name: &str) -> Option<&'static str> {
    let (_, end) = name.rsplit_once('.')?;
    let known = KINDS.iter().find(|(known, _)| *known == end);
    known.map(|(_, kind)| *kind)
}

/// What the configuration says.
pub struct Facts<'a> {
    /// The edge's folder.
    pub folder: &'a Path,
    /// The file names of the built edge's modules.
    pub built: &'a [String],
    /// One for each gate.
    pub gate_ports: &'a [u16],
    /// Where the simulation of KV is controlled.
    pub kv_port: u16,
    /// Of `wrangler.toml`.
    pub compatibility_date: &'a str,
    /// Of `wrangler.toml`.
    pub compatibility_flags: &'a [String],
    /// The Worker's secrets.
    pub secrets: &'a Secrets,
    /// Where usage goes.
    pub control_plane: &'a str,
    /// Lease time and the like.
    pub options: &'a EdgeOptions,
}

/// The configuration, in Cap'n Proto's text form.
pub fn text(facts: &Facts<'_>) -> String {
    let mut services = String::new();
    let mut sockets = String::new();
    let mut workers = String::new();
    for (gate, port) in facts.gate_ports.iter().enumerate() {
        let _ = writeln!(
            services,
            "    (name = \"gate{gate}\", worker = .gate{gate}),"
        );
        let _ = writeln!(
            sockets,
            "    (name = \"gate{gate}\", address = \"127.0.0.1:{port}\", http = (), service = \"gate{gate}\"),"
        );
        workers.push_str(&worker(gate, facts));
    }
    let folder = facts.folder.display();
    format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
{services}    (name = "kv", worker = .kv),
    (name = "{GUARD_DISK}", disk = (path = "{folder}/{GUARD_DISK}", writable = true)),
    (name = "{KV_DISK}-disk", disk = (path = "{folder}/{KV_DISK}", writable = true)),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  sockets = [
{sockets}    (name = "kv", address = "127.0.0.1:{kv_port}", http = (), service = "kv"),
  ],
);
{workers}const kv :Workerd.Worker = (
  modules = [ (name = "{KV}", esModule = embed "{KV}") ],
  compatibilityDate = "{date}",
  bindings = [ (name = "STORE", durableObjectNamespace = "Store") ],
  durableObjectNamespaces = [ (className = "Store", uniqueKey = "kv-store", enableSql = true) ],
  durableObjectStorage = (localDisk = "{KV_DISK}-disk"),
);
"#,
        kv_port = facts.kv_port,
        date = facts.compatibility_date,
    )
}

/// The guards live in the first gate's Worker; the other gates reach them there.
fn worker(gate: usize, facts: &Facts<'_>) -> String {
    let (guard, storage) = if gate == 0 {
        let storage = format!(
            "  durableObjectNamespaces = [ (className = \"Guard\", uniqueKey = \"{GUARD_KEY}\", enableSql = true) ],\n  \
             durableObjectStorage = (localDisk = \"{GUARD_DISK}\"),\n"
        );
        (r#"durableObjectNamespace = "Guard""#, storage)
    } else {
        let guard = r#"durableObjectNamespace = (className = "Guard", serviceName = "gate0")"#;
        (guard, String::new())
    };
    let secrets = facts.secrets;
    let variables = [
        ("TAG_SECRET", secrets.tag.clone()),
        ("PUSH_SECRET", secrets.push.clone()),
        ("ASSERTION_SECRET", secrets.assertion.clone()),
        ("CONTROL_PLANE_URL", facts.control_plane.to_owned()),
        ("LEASE_MS", facts.options.lease_ms.to_string()),
        (
            "USAGE_INTERVAL_MS",
            facts.options.usage_interval_ms.to_string(),
        ),
    ];
    let mut bindings = String::new();
    for (name, value) in variables {
        let _ = writeln!(bindings, "    (name = \"{name}\", text = \"{value}\"),");
    }
    let flags: Vec<String> = facts
        .compatibility_flags
        .iter()
        .map(|flag| format!("\"{flag}\""))
        .collect();
    let mut modules = String::new();
    // The first is the main one.
    for name in [NETWORK, MEMORY]
        .into_iter()
        .chain(facts.built.iter().map(String::as_str))
    {
        let kind = kind(name).unwrap_or("esModule");
        let _ = writeln!(
            modules,
            "    (name = \"{name}\", {kind} = embed \"{name}\"),"
        );
    }
    format!(
        r#"const gate{gate} :Workerd.Worker = (
  modules = [
{modules}  ],
  compatibilityDate = "{date}",
  compatibilityFlags = [{flags}],
  bindings = [
    (name = "KV", kvNamespace = "kv"),
    (name = "GUARD", {guard}),
{bindings}  ],
{storage});
"#,
        date = facts.compatibility_date,
        flags = flags.join(", "),
    )
}
