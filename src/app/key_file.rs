//! The file of the key that every data key is wrapped under.
//!
//! INVARIANT: a key is made whole or not at all, and over none that is there. When one may be made, the rooms decide.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use super::room_error::{RoomError, failed};
use crate::core::time::Entropy;
use crate::log::private;

/// The key; none if there is no such file.
pub(super) fn read_key(path: &Path) -> Result<Option<Zeroizing<[u8; 32]>>, RoomError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("opening", path)(error)),
    };
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(failed("reading", path))?;
    let mut key = Zeroizing::new([0; 32]);
    if text.is_empty() {
        return Err(RoomError::KeyEmpty(path.to_owned()));
    }
    hex::decode_to_slice(text.trim(), &mut *key).map_err(|_| RoomError::KeyUnreadable(path.to_owned()))?;
    Ok(Some(key))
}

/// Makes one.
pub(super) fn make_key(path: &Path, entropy: &dyn Entropy) -> Result<Zeroizing<[u8; 32]>, RoomError> {
    let mut key = Zeroizing::new([0; 32]);
    entropy.fill(&mut *key);
    let text = Zeroizing::new(hex::encode(*key));
    // Under another name until it is whole and on disk: half a key would be a broken one for ever. Who makes one at the same
    // time finds the name taken.
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = private::create(&draft).map_err(failed("making", path))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed("writing", path))?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft).map_err(failed("making", path))?;
    linked.map_err(failed("making", path))?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("writing", path))?;
    Ok(key)
}
