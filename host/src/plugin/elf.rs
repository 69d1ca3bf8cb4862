//! Whether a file is a whole shared library for this machine, told from its headers.
//!
//! The system's loader trusts those headers: a library that was cut short by an interrupted copy would not be refused
//! by it but end the process, at the first access to a page that is not there.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::error::{PluginRefusal, RefusalCode};
use super::manifest::platform;

const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;
const SHARED_OBJECT: u16 = 3;
const LOADED: u32 = 1;
const MACHINE: u16 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
const BITS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;

/// Checks the headers of a shared library.
///
/// # Errors
///
/// `PLUGIN-010` for another kind of file or one cut short, `PLUGIN-011` for another kind of machine.
pub(super) fn check(file: &File) -> Result<(), PluginRefusal> {
    let header: [u8; HEADER_BYTES] = read(file, 0).ok_or_else(not_a_library)?;
    if !header.starts_with(b"\x7fELF") || u16_at(&header, 16) != SHARED_OBJECT {
        return Err(not_a_library());
    }
    if header[4] != BITS_64 || header[5] != LITTLE_ENDIAN || u16_at(&header, 18) != MACHINE {
        return Err(PluginRefusal::new(
            RefusalCode::WrongMachine,
            "the library was built for another kind of machine",
            format!("install the plugin's build for {}", platform()),
        ));
    }
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let (start, size, count) = (u64_at(&header, 32), u16_at(&header, 54), u16_at(&header, 56));
    for index in 0..u64::from(count) {
        let segment: Option<[u8; SEGMENT_BYTES]> = start
            .checked_add(index * u64::from(size))
            .and_then(|offset| read(file, offset));
        let segment = segment.ok_or_else(cut_short)?;
        let end = u64_at(&segment, 8).checked_add(u64_at(&segment, 32));
        if u32_at(&segment, 0) == LOADED && end.is_none_or(|end| end > length) {
            return Err(cut_short());
        }
    }
    Ok(())
}

fn read<const N: usize>(file: &File, offset: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let result: io::Result<()> = file.read_exact_at(&mut bytes, offset);
    result.ok().map(|()| bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn not_a_library() -> PluginRefusal {
    PluginRefusal::new(
        RefusalCode::NotALibrary,
        "the file is not a shared library",
        "fetch the plugin's library again",
    )
}

fn cut_short() -> PluginRefusal {
    PluginRefusal::new(
        RefusalCode::NotALibrary,
        "the shared library is cut short",
        "fetch the plugin's library again",
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// The code for a library whose only segment is as long as given, in a file of `length` bytes.
    fn checked(segment: u64, length: u64) -> Option<RefusalCode> {
        let mut bytes = vec![0u8; HEADER_BYTES + SEGMENT_BYTES];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[16] = 3;
        bytes[18..20].copy_from_slice(&MACHINE.to_le_bytes());
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64] = 1;
        bytes[96..104].copy_from_slice(&segment.to_le_bytes());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        file.set_len(length).unwrap();
        check(&file).err().map(|refusal| refusal.code)
    }

    #[test]
    fn a_library_that_is_cut_short_anywhere_is_refused() {
        assert_eq!(checked(5000, 5000), None);
        for (segment, length) in [(5000, 4999), (u64::MAX, 5000), (10, 119), (10, 63), (10, 0)] {
            assert_eq!(
                checked(segment, length),
                Some(RefusalCode::NotALibrary),
                "{segment} {length}"
            );
        }
    }
}
