//! Policies: what may be called by whom, written in Cedar and checked against the catalogue before they count.
//!
//! Invariant: a set is in force only after it was validated, passed its cases and was written down as an event; whatever
//! goes wrong with a new set, the old one stays, and without any nothing is permitted (P12).

mod cases;
mod error;
mod fault;
mod literals;
mod place;
mod question;
mod schema;
mod set;
mod size_limits;
mod verdict_cache;

use std::cmp::Ordering;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

pub use self::cases::{Cases, run_cases};
pub use self::error::PolicyError;
pub use self::question::Query;
use self::question::Vocabulary;
#[cfg(feature = "testing")]
pub use self::schema::schema;
pub use self::set::{Set, rules};
use self::verdict_cache::VerdictCache;
use crate::core::proposal::Verdict;
use crate::core::tool::ToolSpec;

/// The policies that come with Forelog, and their cases.
const DEFAULT: &str = include_str!("../../policies/default.cedar");
/// The file of a directory that its policies are tried against.
const CASES: &str = "cases.toml";

const DEFAULT_CASES: &str = include_str!("../../policies/cases.toml");

/// What policies say of a call about several resources, that each of them has to permit: the strictest of what they say of one and
/// of another.
#[must_use]
pub fn both(one: Verdict, other: Verdict) -> Verdict {
    let named = |verdicts: [&[String]; 2]| {
        let mut ids: Vec<String> = verdicts.concat();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    // Who decides is named: who denies, else who holds.
    let decides = |verdict: &Verdict| (!verdict.permit, verdict.permit && verdict.hold.is_some());
    let policies = match decides(&one).cmp(&decides(&other)) {
        Ordering::Greater => one.policies,
        Ordering::Less => other.policies,
        Ordering::Equal => named([&one.policies, &other.policies]),
    };
    let permit = one.permit && other.permit;
    let hold = match (one.hold, other.hold) {
        (Some(one), Some(other)) if one != other => Some(one.and(&other)),
        (one, other) => one.or(other),
    };
    Verdict {
        // Of two versions it is neither: it is evaluated again.
        version: if one.version == other.version { one.version } else { 0 },
        permit,
        hold: hold.filter(|_| permit),
        policies,
        shadows: named([&one.shadows, &other.shadows]),
        missing: one.missing || other.missing,
    }
}

/// A set that was not taken, and what stays in force instead.
#[derive(Debug, thiserror::Error)]
#[error("the set is not taken; {kept}: {error}")]
pub struct LoadError {
    /// What is wrong with the new set.
    pub error: PolicyError,
    /// What stays.
    pub kept: Kept,
}

/// What is in force after a set was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// This version of the policies.
    Version(i64),
    /// None, so that nothing is permitted.
    Nothing,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "version {version} stays in force"),
            Self::Nothing => f.write_str("no policies are in force, so nothing is permitted"),
        }
    }
}

/// A set that was validated and passed its cases, and is not in force yet.
pub struct Loaded {
    set: Arc<Set>,
    /// How many cases it passed.
    pub cases: usize,
}

impl Loaded {
    /// SHA-256 of its text, hex: what the event names.
    #[must_use]
    pub fn sha256(&self) -> &str {
        self.set.sha256()
    }

    /// The set, to ask it without putting it in force.
    #[must_use]
    pub fn set(&self) -> &Arc<Set> {
        &self.set
    }
}

#[derive(Clone)]
struct InForce {
    version: i64,
    set: Arc<Set>,
}

/// The policies in force on this node.
pub struct Policies {
    words: Arc<Vocabulary>,
    in_force: RwLock<Option<InForce>>,
    memo: VerdictCache,
}

impl Policies {
    /// No policies yet, for this catalogue.
    pub fn new(tools: &[&'static ToolSpec]) -> Result<Self, PolicyError> {
        let words = Vocabulary::new(tools).map_err(|error| PolicyError::Schema(error.to_string()))?;
        Ok(Self { words: Arc::new(words), in_force: RwLock::new(None), memo: VerdictCache::default() })
    }

    /// The set in force and its version, if there is one.
    #[must_use]
    pub fn current(&self) -> Option<(i64, Arc<Set>)> {
        self.in_force().map(|now| (now.version, now.set))
    }

    /// What the policies in force say of a call. None in force: not permitted, version 0.
    #[must_use]
    pub fn evaluate(&self, query: &Query<'_>) -> Verdict {
        let Some(now) = self.in_force() else { return Verdict::default() };
        self.memo.verdict(query, now.version, || Verdict { version: now.version, ..now.set.evaluate(query) })
    }

    /// The set of a directory, or without one that which comes with Forelog, tried. Puts nothing in force.
    pub fn load(&self, dir: Option<&Path>) -> Result<Loaded, LoadError> {
        dir.map_or_else(|| self.load_default(), |dir| self.load_dir(dir))
    }

    /// Reads, validates and tries the `*.cedar` files of a directory against its `cases.toml`. Puts nothing in force.
    pub fn load_dir(&self, dir: &Path) -> Result<Loaded, LoadError> {
        let of = dir.join(CASES).display().to_string();
        read_dir(dir).and_then(|(files, cases)| self.check(&files, Some((&of, &cases)))).map_err(|error| self.refused(error))
    }

    /// The same for the policies that come with Forelog.
    pub fn load_default(&self) -> Result<Loaded, LoadError> {
        let files = [("default.cedar".to_owned(), DEFAULT.to_owned())];
        self.check(&files, Some((CASES, DEFAULT_CASES))).map_err(|error| self.refused(error))
    }

    /// The files of a directory, or those that come with Forelog, and their digest; not looked at any further.
    pub fn read(dir: Option<&Path>) -> Result<(Vec<(String, String)>, String), PolicyError> {
        let files = match dir {
            Some(dir) => read_dir(dir)?.0,
            None => vec![("default.cedar".to_owned(), DEFAULT.to_owned())],
        };
        let sha256 = set::digest(&files);
        Ok((files, sha256))
    }

    /// Reads and validates a set that was tried against its cases before it was put in force. Puts nothing in force.
    pub fn load_recorded(&self, files: &[(String, String)]) -> Result<Loaded, PolicyError> {
        self.check(files, None)
    }

    /// Puts a set in force, once the event that says so is committed. An older version than the one in force is ignored.
    pub fn install(&self, version: i64, loaded: &Loaded) {
        let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
        if in_force.as_ref().is_none_or(|now| now.version <= version) {
            *in_force = Some(InForce { version, set: loaded.set.clone() });
        }
    }

    fn in_force(&self) -> Option<InForce> {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// On a thread of its own, whose stack is large enough for what [`size_limits::check`] lets through.
    fn check(&self, files: &[(String, String)], cases: Option<(&str, &str)>) -> Result<Loaded, PolicyError> {
        for (file, text) in files {
            size_limits::check(file, text)?;
        }
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("policies".into()).stack_size(size_limits::STACK);
            let tried = thread.spawn_scoped(scope, || self.try_set(files, cases));
            let tried = tried.map_err(|why| PolicyError::Unreadable { path: "a thread to read on".into(), why })?;
            tried.join().unwrap_or_else(|_| Err(PolicyError::invalid("the set", "reading it failed".into())))
        })
    }

    fn try_set(&self, files: &[(String, String)], cases: Option<(&str, &str)>) -> Result<Loaded, PolicyError> {
        let set = Set::parse(self.words.clone(), files, cases.is_some())?;
        let Some((file, cases)) = cases else { return Ok(Loaded { set: Arc::new(set), cases: 0 }) };
        let cases = Cases::parse(file, cases)?;
        let failures = run_cases(&set, &cases);
        if !failures.is_empty() {
            return Err(PolicyError::Cases(failures));
        }
        Ok(Loaded { set: Arc::new(set), cases: cases.len() })
    }

    fn refused(&self, error: PolicyError) -> LoadError {
        let kept = self.in_force().map_or(Kept::Nothing, |now| Kept::Version(now.version));
        LoadError { error, kept }
    }
}

/// The policies of a directory in order of their names, and its cases.
fn read_dir(dir: &Path) -> Result<(Vec<(String, String)>, String), PolicyError> {
    let (mut files, mut left) = (Vec::new(), size_limits::BYTES);
    for entry in std::fs::read_dir(dir).map_err(unreadable(dir))? {
        let path = entry.map_err(unreadable(dir))?.path();
        if path.extension().is_some_and(|extension| extension == "cedar") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push((name, read_file(&path, &mut left)?));
        }
    }
    if files.is_empty() {
        return Err(PolicyError::Empty(dir.display().to_string()));
    }
    files.sort();
    let cases = dir.join(CASES);
    Ok((files, read_file(&cases, &mut left)?))
}

/// A file of which no more is read than is `left` of what a set may have. What is no file could keep its reader for ever.
fn read_file(path: &Path, left: &mut u64) -> Result<String, PolicyError> {
    let refused = |message: String| PolicyError::invalid(&path.display().to_string(), message);
    if !std::fs::metadata(path).map_err(unreadable(path))?.is_file() {
        return Err(refused("it is not a file".into()));
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable(path))?;
    let read = file.take(*left + 1).read_to_string(&mut text).map_err(unreadable(path))?;
    *left = left
        .checked_sub(u64::try_from(read).unwrap_or(u64::MAX))
        .ok_or_else(|| refused(format!("with it the set is larger than {} KiB", size_limits::BYTES / 1024)))?;
    Ok(text)
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> PolicyError {
    let path = path.display().to_string();
    move |why| PolicyError::Unreadable { path, why }
}
