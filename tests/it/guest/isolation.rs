//! What the process of a guest has: nothing of ours.

use std::path::{Path, PathBuf};

use super::{Bench, find_process};

/// Whoever can look into the process of a guest must find nothing of ours there, and others must find none of its files.
#[tokio::test]
async fn guest_process_has_nothing_of_ours() {
    let bench = Bench::on().await;
    let pid = find_process(&bench.home());
    let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap();
    let text = |name: &str| String::from_utf8(read(name)).unwrap();
    assert!(std::env::vars().count() > 2, "this process has more to give away");
    let environment = text("environ");
    let names: std::collections::BTreeSet<_> =
        environment.split_terminator('\0').filter_map(|pair| pair.split('=').next()).collect();
    assert!(names.iter().all(|name| ["LC_ALL", "PATH", "PWD"].contains(name)), "{names:?}");

    let status = text("status");
    let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim_start_matches(':').trim();
    assert_eq!((value("NoNewPrivs"), value("Seccomp")), ("1", "2"));
    assert_eq!(u64::from_str_radix(value("CapEff"), 16).unwrap(), 0);
    // Its error output ends with us, and it goes on.
    assert_ne!(u64::from_str_radix(value("SigIgn"), 16).unwrap() & (1 << 12), 0, "SIGPIPE");
    let limits = text("limits");
    assert!(limits.lines().any(|line| line.starts_with("Max core file size") && line.contains(" 0 ")), "{limits}");

    for entry in walk(&bench.dir) {
        let about = std::fs::symlink_metadata(&entry).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777;
        assert_eq!(mode, if about.is_dir() || is_socket(&about) { 0o700 } else { 0o600 }, "{}", entry.display());
    }
}

fn is_socket(about: &std::fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(&about.file_type())
}

/// What is below `dir`.
fn walk(dir: &Path) -> Vec<PathBuf> {
    let (mut waiting, mut found) = (vec![dir.to_owned()], Vec::new());
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path.clone());
            }
            found.push(path);
        }
    }
    found
}
