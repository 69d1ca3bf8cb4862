//! A disk that is soon full.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use lakefeed_tests::skipped;

/// A small file system in memory, gone with the value.
pub(crate) struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// One of so many megabytes; none, said by name, where mounting is not allowed.
    pub(crate) fn mount(path: &'a Path, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mut command = Command::new("mount");
        let size = format!("size={megabytes}m");
        command.args(["-t", "tmpfs", "-o", &size, "none"]).arg(path);
        let mounted = command.output().is_ok_and(|output| output.status.success());
        if !mounted {
            skipped("a small tmpfs cannot be mounted here");
        }
        mounted.then_some(Self(path))
    }

    /// Writes until there is no space; answers the file that takes it.
    pub(crate) fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        let mut file = File::create(&ballast).unwrap();
        let block = vec![0_u8; 4096];
        while file.write_all(&block).is_ok() {}
        ballast
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0).output());
    }
}
