//! A guest, or a QEMU, that talks rubbish on its sockets: it costs a bounded read now and then, and its words are short and
//! without secrets wherever they go. What speaks here is ours, because a real guest is not made hostile so easily.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use forelog::core::call::Outcome;
use forelog::core::id::CallId;
use forelog::core::time::{Clock, Micros};
use forelog::providers::compute::qemu::{ImageDir, Qemu};
use forelog::providers::compute::{Compute, JobState, MachineRef, PowerState, ProviderError};
use forelog::providers::provider_text;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// As much as one look may cost, and what lies in the socket's buffers.
const BOUNDED: usize = 4 << 20;

/// Stands still until a test moves it.
#[derive(Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Micros {
        Micros(1_800_000_000_000_000 + self.0.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst).try_into().expect("it goes forward"))
    }
}

/// What was taken from one that speaks, and how often somebody came.
#[derive(Default)]
struct Heard {
    bytes: AtomicUsize,
    connections: AtomicUsize,
}

/// A machine that is nothing but its sockets.
struct Bench {
    qemu: Arc<Qemu>,
    clock: Arc<Hand>,
    web1: MachineRef,
    home: PathBuf,
    _temporary: TempDir,
}

impl Bench {
    fn new() -> Self {
        let temporary = tempfile::tempdir().expect("a directory");
        let (image, machines) = (temporary.path().join("image"), temporary.path().join("machines"));
        let home = machines.join("web1");
        for dir in [&image, &home] {
            std::fs::create_dir_all(dir).expect("a directory");
        }
        for name in ["vmlinuz", "initrd.img", "base.qcow2"] {
            std::fs::write(image.join(name), "").expect("a file");
        }
        let record = json!({
            "label": "Shop", "memory_mib": 256, "vcpu": 1, "disk_gib": 4, "os": "Debian 12", "region": "here", "network": 1
        });
        std::fs::write(home.join("machine.json"), record.to_string()).expect("a file");
        let clock = Arc::new(Hand::default());
        let port: Arc<dyn Clock> = Arc::<Hand>::clone(&clock);
        let qemu = Qemu::open(machines, ImageDir::open(image).expect("an image"), port).expect("the provider");
        Self { qemu, clock, web1: MachineRef("web1".into()), home, _temporary: temporary }
    }

    /// Somebody who does `speak` with each connection to `socket`.
    fn serve<F: Future<Output = ()> + Send>(
        &self,
        socket: &str,
        speak: impl Fn(UnixStream, Arc<Heard>) -> F + Send + 'static,
    ) -> Arc<Heard> {
        let listener = UnixListener::bind(self.home.join(socket)).expect("a socket");
        let heard = Arc::new(Heard::default());
        let counted = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.connections.fetch_add(1, Ordering::SeqCst);
                speak(stream, Arc::clone(&counted)).await;
            }
        });
        heard
    }

    /// An agent that keeps in step and answers each request with these bytes.
    fn answer(&self, answer: impl Fn(&Value) -> Vec<u8> + Clone + Send + Sync + 'static) -> Arc<Heard> {
        self.serve("agent.sock", move |stream, heard| {
            let answer = answer.clone();
            async move {
                let mut stream = BufReader::new(stream);
                let mut line = Vec::new();
                while stream.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
                    let text = line.strip_prefix(&[0xff]).unwrap_or(&line);
                    let request: Value = serde_json::from_slice(text).expect("a request");
                    let said = if request["execute"] == "guest-sync-delimited" {
                        [&[0xff], json!({"return": request["arguments"]["id"]}).to_string().as_bytes(), b"\n"].concat()
                    } else {
                        answer(&request)
                    };
                    if pour(stream.get_mut(), &said, &heard).await.is_err() {
                        return;
                    }
                    line.clear();
                }
            }
        })
    }

    async fn ask(&self) -> ProviderError {
        let jobs = self.qemu.guest().expect("guests");
        let error = jobs.status(&self.web1, &call()).await.expect_err("rubbish is no status");
        assert!(matches!(error, ProviderError::GuestUnavailable(_) | ProviderError::Refused(_)), "{error:?}");
        assert!(error.to_string().chars().count() < provider_text::MAX_LENGTH + 100, "{error}");
        error
    }

    fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(time.as_micros().try_into().expect("soon"), Ordering::SeqCst);
    }
}

fn call() -> CallId {
    "call_00000000000000000000000001".parse().expect("a call")
}

/// Writes in pieces, counting what is taken.
async fn pour(stream: &mut UnixStream, bytes: &[u8], heard: &Heard) -> std::io::Result<()> {
    for piece in bytes.chunks(16 * 1024) {
        stream.write_all(piece).await?;
        heard.bytes.fetch_add(piece.len(), Ordering::SeqCst);
    }
    Ok(())
}

async fn flood(mut stream: UnixStream, rubbish: Arc<Vec<u8>>, heard: Arc<Heard>) {
    while pour(&mut stream, &rubbish, &heard).await.is_ok() {}
}

fn rubbish() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("short lines", b"x\n".repeat(8 * 1024)),
        ("empty lines", b"\n".repeat(16 * 1024)),
        ("a line without an end", vec![b'x'; 16 * 1024]),
        ("zeros", vec![0; 16 * 1024]),
        ("marks of another", b"\xff{\"return\":1}\n".repeat(1024)),
        ("answers that nobody asked for", b"{\"return\":{\"pid\":1}}\n".repeat(1024)),
        ("nests", b"[".repeat(16 * 1024)),
        ("marks", vec![0xff; 16 * 1024]),
    ]
}

#[tokio::test]
async fn hostile_agent_that_floods_is_left_alone_for_longer_and_longer() {
    for (what, bytes) in rubbish() {
        let (bench, bytes) = (Bench::new(), Arc::new(bytes));
        let heard = bench.serve("agent.sock", move |stream, heard| flood(stream, Arc::clone(&bytes), heard));
        for _ in 0..20 {
            bench.ask().await;
        }
        assert_eq!(heard.connections.load(Ordering::SeqCst), 1, "{what}: it is left alone");
        assert!(heard.bytes.load(Ordering::SeqCst) < BOUNDED, "{what}");
        for second in 1..=60 {
            bench.pass(Duration::from_secs(1));
            bench.ask().await;
            assert!(heard.connections.load(Ordering::SeqCst) <= 7, "{what}: after {second} s");
        }
    }
}

#[tokio::test]
async fn hostile_agent_whose_answers_are_rubbish_costs_a_bounded_read_and_is_heard_again_later() {
    let answers: Vec<(&str, Vec<u8>)> = vec![
        ("long", [vec![b'x'; 8 << 20], b"\n".to_vec()].concat()),
        ("a long text", json!({"return": {"pid": "7".repeat(8 << 20)}}).to_string().into_bytes()),
        ("many parts", format!("{{\"return\":[{}0]}}\n", "0,".repeat(100_000)).into_bytes()),
        ("many objects", format!("{{\"return\":[{}0]}}\n", "{},".repeat(60_000)).into_bytes()),
        ("deep", format!("{}{}\n", "[".repeat(100_000), "]".repeat(100_000)).into_bytes()),
        ("neither answer nor error", b"{\"event\":1}\n".to_vec()),
        ("no document", b"rubbish\n".to_vec()),
        ("nothing", b"\n".to_vec()),
    ];
    for (what, bytes) in answers {
        let bench = Bench::new();
        let heard = bench.answer(move |_| bytes.clone());
        for _ in 0..20 {
            bench.ask().await;
        }
        assert_eq!(heard.connections.load(Ordering::SeqCst), 1, "{what}: it is left alone");
        assert!(heard.bytes.load(Ordering::SeqCst) < BOUNDED, "{what}");
        bench.pass(Duration::from_mins(2));
        bench.ask().await;
        assert_eq!(heard.connections.load(Ordering::SeqCst), 2, "{what}: it is heard again");
    }
}

#[tokio::test]
async fn hostile_agents_words_are_short_and_without_secrets() {
    for length in [0, 1000, 100_000, 3_900_000] {
        let bench = Bench::new();
        bench.answer(move |_| {
            let words =
                format!("DATABASE_URL=postgres://forelog:hunter2hunter2@db/forelog \u{1b}[2J\u{202e}{}", "a ".repeat(length));
            [json!({"error": {"class": "GenericError", "desc": words}}).to_string().as_bytes(), b"\n"].concat()
        });
        let error = bench.ask().await;
        let Outcome::Failed(refusal) = Outcome::from(error) else { panic!("a refusal") };
        for text in [refusal.message.clone(), format!("{refusal:?}")] {
            assert!(!text.contains("hunter2") && !text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
            assert!(text.len() < 4 * provider_text::MAX_LENGTH, "{}", text.len());
        }
    }
}

#[tokio::test]
async fn hostile_agent_that_answers_out_of_step_is_asked_anew() {
    use base64::Engine;
    let told = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let bench = Bench::new();
    let (early, right) = (told("exited 66 0 0 0\n"), told("exited 3 5 0 0\n"));
    let heard = bench.answer(move |request| {
        if request["execute"] == "guest-exec" {
            // The answer to what is going to be asked next comes with this one.
            let early = json!({"return": {"exited": true, "exitcode": 0, "out-data": early}});
            return format!("{}\n{early}\n", json!({"return": {"pid": 1}})).into_bytes();
        }
        format!("{}\n", json!({"return": {"exited": true, "exitcode": 0, "out-data": right}})).into_bytes()
    });
    let status = bench.qemu.guest().expect("guests").status(&bench.web1, &call()).await.expect("a status");
    assert_eq!(status.state, JobState::Exited { code: 3 });
    assert_eq!(heard.connections.load(Ordering::SeqCst), 2, "what came unasked went with its connection");
}

#[tokio::test]
async fn hostile_agent_that_says_half_a_line_is_silent() {
    let bench = Bench::new();
    let heard = bench.serve("agent.sock", |mut stream, heard| async move {
        let _ = pour(&mut stream, b"\xff{\"return\":", &heard).await;
        // Until whoever asks has hung up.
        let mut rest = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
    });
    let error = bench.ask().await;
    assert!(error.to_string().contains("no answer"), "{error}");
    assert_eq!(heard.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn hostile_qemu_costs_a_bounded_read() {
    for (what, bytes) in rubbish() {
        let (bench, bytes) = (Bench::new(), Arc::new(bytes));
        let heard = bench.serve("qmp.sock", move |stream, heard| flood(stream, Arc::clone(&bytes), heard));
        assert_eq!(bench.qemu.get(&bench.web1).await.expect("the machine").power, PowerState::Unknown, "{what}");
        assert!(heard.bytes.load(Ordering::SeqCst) < BOUNDED, "{what}");
        assert_eq!(heard.connections.load(Ordering::SeqCst), 1, "{what}");
        let console = bench.qemu.take_console(&bench.web1).await.expect_err("rubbish");
        assert!(console.to_string().chars().count() < provider_text::MAX_LENGTH + 100, "{console}");
    }
}

#[test]
fn hostile_children_are_all_started_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut waiting, mut found) = (vec![root.clone()], Vec::new());
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                waiting.push(path);
            } else if std::fs::read_to_string(&path).expect("a text").contains("Command::new(") {
                found.push(path.strip_prefix(&root).expect("below").display().to_string());
            }
        }
    }
    assert_eq!(found, ["providers/child.rs"], "a child that is started elsewhere inherits our environment");
}
