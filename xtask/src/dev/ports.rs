//! The three ports in a row.

use std::io;
use std::net::TcpListener;

use anyhow::{Result, anyhow};

/// Where the parts listen, all on 127.0.0.1.
pub struct Ports {
    first: u16,
}

impl From<u16> for Ports {
    fn from(first: u16) -> Self {
        Self { first }
    }
}

impl Ports {
    /// Says in one sentence which port can't be had, before anything starts.
    pub fn check(&self) -> Result<()> {
        for (offset, part) in ["control plane", "edge", "demo upstream"]
            .into_iter()
            .enumerate()
        {
            let port = usize::from(self.first) + offset;
            if let Err(error) = TcpListener::bind(format!("127.0.0.1:{port}")) {
                return Err(refusal(port, part, &error));
            }
        }
        Ok(())
    }

    /// Base URL of the control plane.
    pub fn control_plane(&self) -> String {
        format!("http://{}", self.control_plane_address())
    }

    /// Base URL of the edge.
    pub fn edge(&self) -> String {
        format!("http://{}", self.edge_address())
    }

    /// Base URL of the demo upstream.
    pub fn upstream(&self) -> String {
        format!("http://{}", self.upstream_address())
    }

    /// `address:port` of the control plane.
    pub fn control_plane_address(&self) -> String {
        self.address(0)
    }

    /// `address:port` of the edge.
    pub fn edge_address(&self) -> String {
        self.address(1)
    }

    /// The edge's port.
    pub fn edge_port(&self) -> String {
        (u32::from(self.first) + 1).to_string()
    }

    /// `address:port` of the demo upstream.
    pub fn upstream_address(&self) -> String {
        self.address(2)
    }

    fn address(&self, offset: u32) -> String {
        format!("127.0.0.1:{}", u32::from(self.first) + offset)
    }
}

fn refusal(port: usize, part: &str, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "port {port}, meant for the {part}, is in use: stop what uses it or choose others with --port N"
        ),
        io::ErrorKind::PermissionDenied => anyhow!(
            "port {port}, meant for the {part}, is reserved: choose one above 1023 with --port N"
        ),
        _ => anyhow!("port {port}, meant for the {part}, can't be had: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_ports_in_a_row() {
        let ports = Ports::from(8700);
        assert_eq!(ports.control_plane(), "http://127.0.0.1:8700");
        assert_eq!(ports.edge(), "http://127.0.0.1:8701");
        assert_eq!(ports.edge_port(), "8701");
        assert_eq!(ports.upstream(), "http://127.0.0.1:8702");
    }

    #[test]
    fn a_port_in_use_is_named_with_its_part() -> Result<()> {
        let taken = TcpListener::bind("127.0.0.1:0")?;
        let port = taken.local_addr()?.port();
        let error = Ports::from(port)
            .check()
            .err()
            .map(|error| error.to_string());
        let expected = format!("port {port}, meant for the control plane, is in use");
        assert!(error.is_some_and(|error| error.starts_with(&expected)));
        Ok(())
    }
}
