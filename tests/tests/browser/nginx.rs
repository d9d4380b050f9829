//! A real nginx as a cache that many browsers share, in front of the edge.

use std::path::Path;
use std::process::Command;

use keyward_tests::{PATIENCE, Process, eventually, free_port, read_log};

/// The cache.
pub struct Cache {
    port: u16,
    _process: Process,
}

impl Cache {
    /// Starts one that keeps what may be kept, by address alone: telling apart what differs by other headers is left
    /// to `Vary`. `X-Cache` says where an answer came from.
    pub async fn start(nginx: &Path, folder: &Path, edge: &str) -> Self {
        let folder = folder.join("nginx");
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let port = free_port();
        let file = folder.join("nginx.conf");
        std::fs::write(&file, configuration(&folder, port, edge)).expect("a file can be written");
        let mut command = Command::new(nginx);
        command.args(["-e", "stderr", "-c"]).arg(&file);
        command.arg("-p").arg(&folder);
        let log = folder.join("nginx.log");
        let process = Process::start("nginx", &mut command, &log);
        eventually("nginx listens", PATIENCE, || async {
            let open = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
            assert!(!read_log(&log).contains("[emerg]"), "{}", read_log(&log));
            open.ok()
        })
        .await;
        Self {
            port,
            _process: process,
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn configuration(folder: &Path, port: u16, edge: &str) -> String {
    let folder = folder.display();
    format!(
        r#"daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_cache_path {folder}/cache keys_zone=shared:1m;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass {edge};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_cache shared;
      proxy_cache_key $scheme$http_host$request_uri;
      add_header X-Cache $upstream_cache_status always;
    }}
  }}
}}
"#
    )
}
