//! The output of jobs that have ended, a file for each stream. INVARIANT: it is there before the journal says that the job
//! has ended, so whichever process learns of the end can read it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::core::id::CallId;
use crate::log::private;
use crate::providers::compute::{ProviderError, Stream};

/// Keeps a job's output; a job that wrote nothing has no file.
pub(super) fn keep(dir: &Path, call: &CallId, stream: Stream, bytes: &[u8]) -> Result<(), ProviderError> {
    if bytes.is_empty() {
        return Ok(());
    }
    private::write(&path_of(dir, call, stream), bytes).map_err(|error| failed(&error))
}

/// A part of a job's output.
pub(super) fn read(dir: &Path, call: &CallId, stream: Stream, offset: u64, max: u32) -> Result<Vec<u8>, ProviderError> {
    let mut file = match File::open(path_of(dir, call, stream)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.map_err(|error| failed(&error))?,
    };
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.take(max.into()).read_to_end(&mut bytes))
        .map_err(|error| failed(&error))?;
    Ok(bytes)
}

fn path_of(dir: &Path, call: &CallId, stream: Stream) -> PathBuf {
    dir.join(format!("{call}.{}", if stream == Stream::Stdout { "stdout" } else { "stderr" }))
}

fn failed(error: &io::Error) -> ProviderError {
    ProviderError::Unreachable(format!("the output of a simulated job: {error}").into())
}
