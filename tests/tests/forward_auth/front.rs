//! The proxies, with the files of `examples`.

use std::path::{Path, PathBuf};
use std::process::Command;

use keyward_tests::{PATIENCE, Process, World, eventually, free_port, root};
use tempfile::TempDir;

/// A proxy that asks the edge about each request before it passes it to the API. Killed when it is dropped.
pub struct Front {
    port: u16,
    process: Process,
    log: PathBuf,
    _folder: TempDir,
}

impl Front {
    /// nginx with `examples/nginx/keyward.conf`, its three addresses replaced. `api` is the API's base URL.
    pub async fn nginx(binary: &Path, world: &World, api: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let at = |name: &str| folder.path().join(name);
        let port = free_port();
        let mut example = read("examples/nginx/keyward.conf");
        for (address, ours) in [
            ("127.0.0.1:8701", address(&world.edge.url())),
            ("127.0.0.1:8702", address(api)),
            ("127.0.0.1:8080", format!("127.0.0.1:{port}")),
        ] {
            assert_eq!(example.matches(address).count(), 1, "{address}");
            example = example.replace(address, &ours);
        }
        write(&at("keyward.conf"), &example);
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};", at(kind).display()))
            .join("\n");
        let main = format!(
            "daemon off;\nmaster_process off;\npid {pid};\nerror_log stderr;\nevents {{}}\n\
             http {{\naccess_log off;\nclient_max_body_size 64m;\n{temporary}\ninclude {example};\n}}\n",
            pid = at("nginx.pid").display(),
            example = at("keyward.conf").display(),
        );
        write(&at("nginx.conf"), &main);
        let mut command = Command::new(binary);
        command.args(["-e", "stderr", "-p"]).arg(folder.path());
        command.arg("-c").arg(at("nginx.conf"));
        Self::start("nginx", &mut command, port, folder).await
    }

    /// Caddy with `examples/caddy/Caddyfile`. `api` is the API's base URL.
    pub async fn caddy(binary: &Path, world: &World, api: &str) -> Self {
        let example = root().join("examples/caddy/Caddyfile");
        let site = format!("import {}", example.display());
        Self::caddy_with(binary, world, api, &site).await
    }

    /// Caddy with a site of the test's own, which finds the addresses in the environment as the example does.
    pub async fn caddy_with(binary: &Path, world: &World, api: &str, site: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let port = free_port();
        let file = folder.path().join("Caddyfile");
        // Nothing of the machine is touched: no admin endpoint, no certificates, loopback only.
        let options = "{\n\tadmin off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n}\n";
        write(&file, &format!("{options}{site}\n"));
        let mut command = Command::new(binary);
        command.args(["run", "--adapter", "caddyfile", "--config"]);
        command
            .arg(&file)
            .env("KEYWARD_SITE", format!("http://:{port}"))
            .env("KEYWARD_EDGE", address(&world.edge.url()))
            .env("KEYWARD_API", address(api))
            .env("XDG_DATA_HOME", folder.path())
            .env("XDG_CONFIG_HOME", folder.path());
        Self::start("caddy", &mut command, port, folder).await
    }

    async fn start(name: &str, command: &mut Command, port: u16, folder: TempDir) -> Self {
        let log = folder.path().join("proxy.log");
        let process = Process::start(name, command, &log);
        let mut front = Self {
            port,
            process,
            log,
            _folder: folder,
        };
        eventually("the proxy listens", PATIENCE, || {
            assert!(front.process.is_running(), "{name} ended:\n{}", front.log());
            async move {
                let connected = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
                connected.ok()
            }
        })
        .await;
        front
    }

    /// Where callers come: a base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Everything that it wrote.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the log of {}:\n{}", self.process.name(), self.log());
        }
    }
}

fn address(url: &str) -> String {
    url.trim_start_matches("http://").to_owned()
}

fn read(file: &str) -> String {
    let path = root().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file can be written");
}
