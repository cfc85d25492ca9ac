//! The machines of one directory: `<dir>/<machine>/` holds `machine.json`, the disk, the sockets and the journal. Whatever is known here can be read again after a restart; only connections live in memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::accelerator::{self, Accelerator};
use super::agent::Agent;
use crate::core::time::Clock;
use crate::log::private;
use crate::providers::child;
use crate::providers::compute::{Hostname, MachineRef, ProviderError};

/// What a machine is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MachineSpec {
    /// Name shown to people.
    pub label: String,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Virtual processors.
    pub vcpu: u32,
    /// Disk in GiB.
    pub disk_gib: u32,
    /// Operating system, as a short text.
    pub os: String,
    /// Where it stands.
    pub region: String,
}

/// `machine.json`: the specification, and the network that only this machine is in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    #[serde(flatten)]
    pub(super) spec: MachineSpec,
    /// The third byte of its addresses.
    pub(super) network: u8,
    /// What the machine's guest is told to call itself when it starts; the machine's own name if absent.
    #[serde(default)]
    pub(super) hostname: Option<Hostname>,
}

impl Record {
    /// What the machine is called in its network.
    pub(super) fn hostname<'a>(&'a self, machine: &'a MachineRef) -> &'a str {
        self.hostname.as_ref().map_or(&machine.0, Hostname::as_str)
    }

    pub(super) fn address(&self) -> String {
        format!("10.77.{}.15", self.network)
    }

    pub(super) fn subnet(&self) -> String {
        format!("10.77.{}.0/24", self.network)
    }
}

/// Where the guest's files lie: `vmlinuz`, `initrd.img`, `base.qcow2`, as `scripts/guest-image.sh` makes them.
#[derive(Clone, Debug)]
pub struct ImageDir(PathBuf);

impl ImageDir {
    /// The image in `dir`, if it is whole.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, ProviderError> {
        let dir = dir.into();
        for name in ["vmlinuz", "initrd.img", "base.qcow2"] {
            if !dir.join(name).exists() {
                let why = format!("{} has no {name}; scripts/guest-image.sh builds it", dir.display());
                return Err(ProviderError::Unreachable(why.into()));
            }
        }
        Ok(Self(dir))
    }

    /// The file behind a link: an overlay must name the very image it stands on, which is never written again.
    pub(super) fn resolve(&self, name: &str) -> Result<PathBuf, ProviderError> {
        self.0.join(name).canonicalize().map_err(|e| ProviderError::Unreachable(format!("finding {name}: {e}").into()))
    }
}

pub(super) struct Machines {
    pub(super) dir: PathBuf,
    pub(super) image: ImageDir,
    pub(super) clock: Arc<dyn Clock>,
    agents: Mutex<HashMap<String, Arc<Agent>>>,
    accelerator: OnceCell<Accelerator>,
}

impl Machines {
    pub(super) fn open(dir: PathBuf, image: ImageDir, clock: Arc<dyn Clock>) -> Result<Self, ProviderError> {
        private::make_dir(&dir).map_err(unreadable)?;
        let dir = std::path::absolute(dir).map_err(unreadable)?;
        Ok(Self { dir, image, clock, agents: Mutex::default(), accelerator: OnceCell::new() })
    }

    /// The directory of a machine that exists.
    pub(super) fn find(&self, machine: &MachineRef) -> Result<PathBuf, ProviderError> {
        let home = self.dir.join(&machine.0);
        if is_name(&machine.0) && home.join("machine.json").exists() {
            return Ok(home);
        }
        Err(ProviderError::NotFound(format!("machine {}", machine.0).into()))
    }

    pub(super) fn read(&self, machine: &MachineRef) -> Result<Record, ProviderError> {
        let bytes = std::fs::read(self.find(machine)?.join("machine.json")).map_err(unreadable)?;
        let broken = |e| ProviderError::Unreachable(format!("reading machine.json of {}: {e}", machine.0).into());
        serde_json::from_slice(&bytes).map_err(broken)
    }

    /// Writes `machine.json` anew, whole and durably: in a crash it is as it was before.
    pub(super) fn write(&self, machine: &MachineRef, record: &Record) -> Result<(), ProviderError> {
        let home = self.find(machine)?;
        let (draft, text) = (home.join(".machine.json.new"), to_text(record)?);
        let mut file = private::create(&draft).map_err(unreadable)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(unreadable)?;
        std::fs::rename(&draft, home.join("machine.json")).map_err(unreadable)?;
        let synced = File::open(&home).and_then(|dir| dir.sync_all());
        synced.map_err(|e| ProviderError::AnswerLost(format!("the machine's file was written and may be lost: {e}").into()))
    }

    /// Every machine, by name.
    pub(super) fn list(&self) -> Result<Vec<MachineRef>, ProviderError> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(unreadable)? {
            let machine = MachineRef(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
            if self.find(&machine).is_ok() {
                names.push(machine);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The agent of a machine that exists. One for all callers: the channel carries one request at a time.
    pub(super) fn agent(&self, machine: &MachineRef) -> Result<Arc<Agent>, ProviderError> {
        let home = self.find(machine)?;
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || Arc::new(Agent::new(home, Arc::clone(&self.clock)));
        Ok(Arc::clone(agents.entry(machine.0.clone()).or_insert_with(made)))
    }

    pub(super) async fn accelerator(&self) -> Result<Accelerator, ProviderError> {
        self.accelerator.get_or_try_init(|| accelerator::choose(&self.dir)).await.copied()
    }

    /// Makes a machine, off. It appears whole or not at all.
    pub(super) async fn create(&self, machine: &MachineRef, spec: MachineSpec) -> Result<(), ProviderError> {
        if !is_name(&machine.0) {
            return Err(ProviderError::Refused(format!("{:?} is not a name: a-z, 0-9 and -, at most 63", machine.0).into()));
        }
        if self.find(machine).is_ok() {
            return Err(ProviderError::State(format!("machine {} exists", machine.0).into()));
        }
        let draft = self.dir.join(format!(".{}.new", machine.0));
        drop(std::fs::remove_dir_all(&draft));
        private::make_dir(&draft).map_err(unreadable)?;
        self.lay_disk(&draft, spec.disk_gib).await?;
        let record = Record { spec, network: self.free_network()?, hostname: None };
        private::write(&draft.join("machine.json"), &to_text(&record)?).map_err(unreadable)?;
        std::fs::rename(&draft, self.dir.join(&machine.0)).map_err(unreadable)
    }

    async fn lay_disk(&self, home: &Path, gib: u32) -> Result<(), ProviderError> {
        let (base, size) = (self.image.resolve("base.qcow2")?, format!("{gib}G"));
        let base = base.to_str().ok_or_else(|| ProviderError::Refused("the image's path is no text".into()))?;
        let arguments = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, "disk.qcow2", &size];
        match child::run("qemu-img", home, &arguments).await {
            Ok((ended, _)) if ended.success() => Ok(()),
            Ok((_, said)) => Err(ProviderError::Refused(said.into())),
            Err(e) => Err(ProviderError::Unreachable(format!("running qemu-img: {e}").into())),
        }
    }

    fn free_network(&self) -> Result<u8, ProviderError> {
        let records = self.list()?.iter().map(|machine| self.read(machine)).collect::<Result<Vec<_>, _>>()?;
        let free = (1..=254).find(|network| records.iter().all(|record| record.network != *network));
        free.ok_or_else(|| ProviderError::Refused("all 254 networks are taken".into()))
    }
}

fn to_text(record: &Record) -> Result<Vec<u8>, ProviderError> {
    serde_json::to_vec_pretty(record).map_err(|e| ProviderError::Refused(e.to_string().into()))
}

/// A name that is safe as a directory, a host name and part of a command line.
fn is_name(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    plain && (1..=63).contains(&text.len()) && !text.starts_with('-')
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
pub(super) fn unreadable(e: std::io::Error) -> ProviderError {
    ProviderError::Unreachable(format!("the machines' directory: {e}").into())
}
