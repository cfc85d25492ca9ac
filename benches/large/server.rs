//! What only the long run asks of a server.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::forelog::{Server, demo};
use crate::load::answer;
use crate::postgres::Cluster;

impl Server {
    /// Reads a list.
    pub async fn get(&self, connection: &mut BufReader<TcpStream>, path: &str, who: &str) -> Value {
        self.ask(connection, "GET", path, who, "").await
    }

    /// One of its VMs.
    pub fn vm(&self) -> String {
        self.demo["vms"][0]["id"].as_str().expect("a vm").to_owned()
    }

    /// Where its files are.
    pub fn data(&self) -> &std::path::Path {
        self.data.path()
    }

    /// The database, if it is not a file.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// A gauge of `/metrics`.
    pub async fn metric(&self, name: &str) -> f64 {
        let mut connection = self.connection().await;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", self.address());
        connection.write_all(request.as_bytes()).await.expect("send");
        let text = String::from_utf8(answer(&mut connection).await.body).expect("text");
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or_else(|| panic!("{name}: {text}"));
        line.trim().parse().expect("a number")
    }

    /// Kills it and starts it again; answers how long it took until it served.
    pub fn restart(&mut self) -> Duration {
        self.process.kill().and_then(|()| self.process.wait()).expect("end forelog");
        let (file, before) = (self.data.path().join("demo.json"), self.address());
        let started = Instant::now();
        self.process = demo(self.cluster.as_ref(), self.data.path());
        // It says where it is once it serves; until then the file is not there, or says where it was.
        while self.address() == before {
            let said = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            self.demo = said.unwrap_or_else(|| self.demo.clone());
            std::thread::sleep(Duration::from_millis(5));
        }
        started.elapsed()
    }
}
