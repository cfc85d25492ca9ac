//! Chooses how QEMU runs a guest's instructions, by running some.
//!
//! Why not look for `/dev/kvm`: it can be there, open, and make virtual machines whose every instruction is emulated a
//! thousand times slower than without it. A boot sector that counts to twenty million tells the truth in a second.

use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use crate::log::private;
use crate::providers::child::{self, Bounds};
use crate::providers::compute::ProviderError;

/// How a guest's instructions are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// By the processor.
    Kvm,
    /// Translated by QEMU.
    Tcg,
}

impl Accelerator {
    /// The arguments that choose it.
    pub(super) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Kvm => &["-accel", "kvm", "-cpu", "host"],
            Self::Tcg => &["-accel", "tcg"],
        }
    }
}

/// Real KVM needs a fifth of this, most of it to start QEMU.
const TIMEOUT: Duration = Duration::from_secs(2);
/// What QEMU's exit device makes of the 16 that the sector writes to it: 16 * 2 + 1.
const COUNTED: i32 = 33;

/// Loads a counter, counts down, tells the exit device, waits for ever: real mode, 32-bit operands.
const PROGRAM: [u8; 20] = [
    0xfa, // cli
    0x66, 0xb9, 0x00, 0x2d, 0x31, 0x01, // mov ecx, 20_000_000
    0x66, 0x49, // dec ecx
    0x75, 0xfc, // jnz back
    0xb0, 0x10, // mov al, 16
    0xba, 0xf4, 0x00, // mov dx, 0xf4
    0xee, // out dx, al
    0xf4, // hlt
    0xeb, 0xfd, // jmp back
];

fn boot_sector() -> Vec<u8> {
    let mut sector = PROGRAM.to_vec();
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    sector
}

/// KVM if a guest under it counts in time, else TCG. Leaves nothing in `dir`.
pub(super) async fn choose(dir: &Path) -> Result<Accelerator, ProviderError> {
    let image = dir.join(format!(".probe-{}.img", std::process::id()));
    let failed = |e: std::io::Error| ProviderError::Unreachable(format!("probing the accelerator: {e}").into());
    private::write(&image, &boot_sector()).map_err(failed)?;
    let counted = counts(dir, &image, Accelerator::Kvm).await;
    tokio::fs::remove_file(&image).await.map_err(failed)?;
    Ok(if counted { Accelerator::Kvm } else { Accelerator::Tcg })
}

async fn counts(dir: &Path, image: &Path, accelerator: Accelerator) -> bool {
    let drive = format!("file={},format=raw,if=floppy,readonly=on", image.display());
    let bounds = Bounds { processor_seconds: Some(2 * TIMEOUT.as_secs()), file_bytes: None };
    let child = child::command("qemu-system-x86_64", dir, bounds)
        .args(accelerator.arguments())
        .args(["-M", "pc", "-m", "16", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-boot", "a"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-drive", &drive])
        .kill_on_drop(true)
        .status();
    matches!(timeout(TIMEOUT, child).await, Ok(Ok(status)) if status.code() == Some(COUNTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sector_is_bootable_and_counts_to_twenty_million() {
        let sector = boot_sector();
        assert_eq!(sector.len(), 512);
        assert_eq!(&sector[510..], [0x55, 0xaa]);
        assert_eq!(u32::from_le_bytes(sector[3..7].try_into().unwrap()), 20_000_000);
    }
}
