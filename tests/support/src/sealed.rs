//! Files that the kernel protects from changes.

use std::fs::File;
use std::io::Write as _;

use rustix::fs::{MemfdFlags, SealFlags};

/// Creates a sealed file, which can no longer be changed.
pub fn sealed_file(bytes: &[u8]) -> File {
    let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
    let seals = SealFlags::WRITE | SealFlags::SHRINK;
    loop {
        let mut file = File::from(rustix::fs::memfd_create(c"test", flags).expect("a file"));
        file.write_all(bytes).expect("room");
        match rustix::fs::fcntl_add_seals(&file, seals) {
            // The kernel still holds references to pages.
            Err(rustix::io::Errno::BUSY) => {}
            done => {
                done.expect("sealed");
                return file;
            }
        }
    }
}
