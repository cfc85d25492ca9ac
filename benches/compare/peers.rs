//! What others put between agents and servers, each in front of the echo server, as its own documentation starts it.
//! `scripts/compare.sh` installs them; one that is not installed has no row.

use std::ffi::OsString;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::echo;
use crate::load::{Era, Target, answer};
use crate::process::Tree;

const TIMEOUT: Duration = Duration::from_mins(5);

/// A running peer; it ends with this value.
pub struct Peer {
    pub name: &'static str,
    process: Child,
    target: Option<Target>,
    dir: tempfile::TempDir,
}

impl Peer {
    pub fn processes(&self) -> Tree {
        Tree::of([self.process.id()])
    }

    fn start(name: &'static str, mut command: Command, dir: tempfile::TempDir) -> Self {
        let log = File::create(dir.path().join("log")).expect("a log file");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("share the log file")).stderr(log);
        let process = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name, process, target: None, dir }
    }

    fn wait_until_listening(&mut self, address: &str) {
        let until = Instant::now() + TIMEOUT;
        while std::net::TcpStream::connect(address).is_err() {
            let ended = self.process.try_wait().expect("ask for the process");
            let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < until, "{} does not listen at {address}: {}", self.name, log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where calls go. There is one to take.
    pub fn target(&mut self) -> Target {
        self.target.take().expect("taken once")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Its workers too, which a killed parent leaves behind.
        let all: Vec<String> = Tree::of([self.process.id()]).pids().map(|pid| pid.to_string()).collect();
        let killed = std::process::Command::new("kill").arg("-KILL").args(all).status();
        killed.and_then(|_| self.process.wait()).expect("end the peer");
    }
}

/// mcp-proxy (crates.io), its audit log off, with the sessionless protocol compiled in.
pub fn mcp_proxy(upstream: &echo::Server) -> Option<Peer> {
    let program = installed("FORELOG_COMPARE_MCP_PROXY")?;
    let (dir, port) = (tempfile::tempdir().expect("a directory"), free_port());
    let config = format!(
        "[proxy]\nname = \"compare\"\n[proxy.listen]\nhost = \"127.0.0.1\"\nport = {port}\n[[backends]]\nname = \"echo\"\n\
         transport = \"http\"\nurl = \"{}\"\n[observability]\naudit = false\nlog_level = \"error\"\n",
        upstream.url()
    );
    let file = dir.path().join("proxy.toml");
    std::fs::write(&file, config).expect("write the configuration");
    let mut command = Command::new(program);
    command.arg("--config").arg(file);
    let address = format!("127.0.0.1:{port}");
    let mut peer = Peer::start("mcp-proxy", command, dir);
    peer.wait_until_listening(&address);
    peer.target = Some(echo::Server::behind(&address, "/", "none", "echo/echo", Era::Stateless));
    Some(peer)
}

/// ContextForge (PyPI), one process on SQLite as its quick start has it, its audit trail on (which records
/// changes of its catalogue; of a call it keeps a row of metrics), its rate limit and its pages for people off.
pub async fn context_forge(upstream: &echo::Server) -> Option<Peer> {
    const SECRET: &str = "only-for-this-measurement-of-32-characters";
    const PASSWORD: &str = "Only-4-this-measurement!";
    const ADMIN: &str = "admin@example.com";
    let python = installed("FORELOG_COMPARE_CONTEXTFORGE")?;
    let (dir, port) = (tempfile::tempdir().expect("a directory"), free_port());
    let database = format!("sqlite:///{}/mcp.db", dir.path().display());
    let variables: [(&str, &str); 15] = [
        ("DATABASE_URL", &database),
        ("JWT_SECRET_KEY", SECRET),
        ("AUTH_ENCRYPTION_SECRET", SECRET),
        ("BASIC_AUTH_PASSWORD", PASSWORD),
        ("PLATFORM_ADMIN_EMAIL", ADMIN),
        ("PLATFORM_ADMIN_PASSWORD", PASSWORD),
        ("DEFAULT_USER_PASSWORD", PASSWORD),
        ("AUDIT_TRAIL_ENABLED", "true"),
        ("PERMISSION_AUDIT_ENABLED", "true"),
        ("RATE_LIMITING_ENABLED", "false"),
        ("MCPGATEWAY_UI_ENABLED", "false"),
        ("SSRF_ALLOW_LOCALHOST", "true"),
        ("SSRF_ALLOW_PRIVATE_NETWORKS", "true"),
        ("CACHE_TYPE", "memory"),
        ("LOG_LEVEL", "ERROR"),
    ];
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&python);
        command.arg("-m").args(arguments).envs(variables).current_dir(dir.path());
        command
    };
    let mut mint =
        run(&["mcpgateway.utils.create_jwt_token", "--username", ADMIN, "--admin", "--exp", "600", "--secret", SECRET]);
    let minted = mint.output().expect("run the token tool");
    let token = String::from_utf8_lossy(&minted.stdout).lines().last().unwrap_or_default().trim().to_owned();
    let port_text = port.to_string();
    let server = run(&["uvicorn", "mcpgateway.main:app", "--host", "127.0.0.1", "--port", &port_text, "--no-access-log"]);
    let address = format!("127.0.0.1:{port}");
    let mut peer = Peer::start("ContextForge", server, dir);
    peer.wait_until_listening(&address);
    let path = register(&address, &token, &upstream.url()).await;
    peer.target = Some(echo::Server::behind(&address, &path, &token, "echo-echo", Era::Initialized));
    Some(peer)
}

/// Makes the echo server known to it, and a server with its one tool; answers the path of that.
async fn register(address: &str, token: &str, upstream: &str) -> String {
    let body = json!({ "name": "echo", "url": upstream, "transport": "STREAMABLEHTTP" });
    let gateway = ask(address, token, "POST", "/gateways", &body).await;
    assert!(gateway["id"].is_string(), "{gateway}");
    let tools = ask(address, token, "GET", "/tools", &Value::Null).await;
    assert_eq!(tools[0]["name"], "echo-echo", "{tools}");
    let body = json!({ "server": { "name": "echo", "associated_tools": [tools[0]["id"]] } });
    let server = ask(address, token, "POST", "/servers", &body).await;
    format!("/servers/{}/mcp", server["id"].as_str().unwrap_or_else(|| panic!("{server}")))
}

async fn ask(address: &str, token: &str, method: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = BufReader::new(TcpStream::connect(address).await.expect("connect"));
    connection.write_all(request.as_bytes()).await.expect("send");
    let answer = answer(&mut connection).await;
    assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
    serde_json::from_slice(&answer.body).expect("a document")
}

fn installed(variable: &str) -> Option<OsString> {
    std::env::var_os(variable).filter(|path| !path.is_empty())
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}
