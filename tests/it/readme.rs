//! The README's script, pasted into a shell by somebody who has never seen Forelog.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::demo::Demo;

const BINARY: &str = env!("CARGO_BIN_EXE_forelog");

/// The first block of shell under a heading.
fn script(heading: &str) -> String {
    let readme = std::fs::read_to_string("README.md").expect("the README");
    let section = readme.split(heading).nth(1).expect("the heading");
    section.split("```sh\n").nth(1).and_then(|rest| rest.split("\n```").next()).expect("a block").to_owned()
}

/// What each line answers, both streams together, in the shell of a user who is in the demonstration's directory.
fn pasted(script: &str, demo: &Demo) -> String {
    let programs = Path::new(BINARY).parent().expect("a directory").display().to_string();
    let script = script.replace("$PWD/target/debug", &programs).replace("forelog-demo", &demo.data().display().to_string());
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("exec 2>&1\n{script}")]).stdin(Stdio::null());
    String::from_utf8(shell.output().expect("run bash").stdout).expect("text")
}

#[tokio::test]
async fn readme_script_stops_everything_and_releases_it_by_two_persons() {
    let demo = Demo::start().await;
    let script = script("### From the first call to a stop and its release");
    let said = pasted(&script, &demo);
    let at = |text: &str| said.find(text).unwrap_or_else(|| panic!("{text} is not in what it says:\n{said}"));
    assert!(at("web-1") < at("confirmation_required") && at("confirmation_required") < at("\"action\""), "{said}");
    assert!(at("\"action\"") < at("kill_switch_engaged"), "{said}");
    let calls: Vec<&str> = script.lines().filter(|line| line.ends_with(" vm_list")).collect();
    assert_eq!(calls.len(), 4, "{calls:?}");
    assert_eq!(said.matches("\"items\"").count(), 2, "before the stop and after the release:\n{said}");
    let refused: Vec<&str> = said.lines().filter(|line| line.starts_with("[\"")).collect();
    assert!(refused.len() >= 3 && refused[0].contains("kill_switch_engaged"), "{said}");
}

/// An interactive zsh takes a # for a word, and an apostrophe behind it for the beginning of a text.
#[test]
fn readme_blocks_to_paste_have_no_comments() {
    let readme = std::fs::read_to_string("README.md").expect("the README");
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let commented: Vec<&str> = blocks.flat_map(str::lines).filter(|line| line.starts_with('#') || line.contains(" #")).collect();
    assert!(commented.is_empty(), "{commented:?}");
}
