//! Writes the man pages and the shell completions of the package into a directory, laid out as they are below `/usr/share`.
//!
//! INVARIANT: they are made from the definitions that parse the command line, so they name what it takes and nothing else. An
//! example, so that the two libraries weigh on no build of the binary.

use std::path::PathBuf;
use std::{env, fs, io};

use clap::CommandFactory;
use clap_complete::Shell;
use forelog::cli::Cli;

/// Each shell, and where Debian's package of it looks for completions.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Zsh, "zsh/vendor-completions"),
    (Shell::Fish, "fish/vendor_completions.d"),
];

fn main() -> io::Result<()> {
    let usage = || io::Error::new(io::ErrorKind::InvalidInput, "usage: command_line DIR");
    let share = PathBuf::from(env::args_os().nth(1).ok_or_else(usage)?);
    let pages = share.join("man/man1");
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(Cli::command(), &pages)?;
    for (shell, place) in SHELLS {
        let place = share.join(place);
        fs::create_dir_all(&place)?;
        clap_complete::generate_to(shell, &mut Cli::command(), "forelog", &place)?;
    }
    let bash = share.join("bash-completion/completions");
    fs::rename(bash.join("forelog.bash"), bash.join("forelog"))
}
