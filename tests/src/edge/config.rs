//! The configuration that workerd is started with.

use std::fmt::Write;
use std::path::Path;

use super::EdgeOptions;
use crate::secrets::Secrets;

/// The guards' storage, below the edge's folder.
pub const GUARD_DISK: &str = "guards";
/// KV's storage, below the edge's folder.
pub const KV_DISK: &str = "kv";
/// The folder below [`GUARD_DISK`] that workerd makes for the class.
pub const GUARD_KEY: &str = "keyward-guard";

/// Where a module comes from.
pub enum Folder {
    /// The built edge.
    Build,
    /// This crate's `simulation`.
    Simulation,
}

/// A module of a Worker.
pub struct Module {
    /// Its file name.
    pub name: &'static str,
    /// Where it comes from.
    pub folder: Folder,
}

/// Everything that is copied next to the configuration.
pub const MODULES: [Module; 6] = [
    module("network.mjs", Folder::Simulation),
    module("worker.mjs", Folder::Build),
    module("proxy.mjs", Folder::Build),
    module("keyward_edge.js", Folder::Build),
    module("keyward_edge_bg.wasm", Folder::Build),
    module("kv.mjs", Folder::Simulation),
];

const fn module(name: &'static str, folder: Folder) -> Module {
    Module { name, folder }
}

/// What the configuration says.
pub struct Facts<'a> {
    /// The edge's folder.
    pub folder: &'a Path,
    /// One for each gate.
    pub gate_ports: &'a [u16],
    /// Where the simulation of KV is controlled.
    pub kv_port: u16,
    /// Of `wrangler.toml`.
    pub compatibility_date: &'a str,
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
  modules = [ (name = "kv.mjs", esModule = embed "kv.mjs") ],
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
    format!(
        r#"const gate{gate} :Workerd.Worker = (
  modules = [
    (name = "network.mjs", esModule = embed "network.mjs"),
    (name = "worker.mjs", esModule = embed "worker.mjs"),
    (name = "proxy.mjs", esModule = embed "proxy.mjs"),
    (name = "keyward_edge.js", esModule = embed "keyward_edge.js"),
    (name = "keyward_edge_bg.wasm", wasm = embed "keyward_edge_bg.wasm"),
  ],
  compatibilityDate = "{date}",
  bindings = [
    (name = "KV", kvNamespace = "kv"),
    (name = "GUARD", {guard}),
{bindings}  ],
{storage});
"#,
        date = facts.compatibility_date,
    )
}
