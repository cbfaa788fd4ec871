//! The bytes of an input file.

use core::fmt;
use core::ops::Deref;
use std::io::{self, ErrorKind, Read};

use memmap2::MmapMut;

/// Files from this size on are read into huge pages: half of what reading a large file takes is
/// to get memory for it, one small page after another.
const LARGE: usize = 4 << 20;

/// How much is read at first of a file whose length is not known.
const UNKNOWN: usize = 1 << 20;

/// The bytes of a file, or those that have been read.
pub(crate) enum Bytes {
    Heap(Vec<u8>),
    /// The first `len` bytes of anonymous memory.
    Large {
        memory: MmapMut,
        len: usize,
    },
}

impl Bytes {
    /// Returns an empty buffer with room for `len` bytes, or `None` if there is no memory. Of 0
    /// bytes, the length is not known.
    pub(super) fn with_room(len: usize) -> Option<Self> {
        let room = match len {
            0 => UNKNOWN,
            // One byte more, so that the end is detected without growing the buffer.
            len => len.checked_add(1)?,
        };
        if LARGE <= len
            && let Ok(memory) = MmapMut::map_anon(room)
        {
            // Where this is refused, the pages are small.
            #[cfg(target_os = "linux")]
            let _ = memory.advise(memmap2::Advice::HugePage);
            return Some(Self::Large { memory, len: 0 });
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(room).ok()?;
        Some(Self::Heap(bytes))
    }

    /// Appends at most `max` bytes, and returns how many: none only at the end of the file.
    pub(super) fn read_from(&mut self, reader: &mut dyn Read, max: usize) -> io::Result<usize> {
        match self {
            Self::Heap(bytes) => {
                if bytes.len() == bytes.capacity() {
                    grow(bytes, max)?;
                }
                // `read_to_end` must not grow it: without memory, that ends the process.
                let room = bytes.capacity() - bytes.len();
                reader.take(max.min(room) as u64).read_to_end(bytes)
            }
            Self::Large { memory, len } if *len < memory.len() => {
                let end = len.saturating_add(max).min(memory.len());
                let n = read_some(reader, &mut memory[*len..end])?;
                *len += n;
                Ok(n)
            }
            Self::Large { .. } => {
                // There is more than the system said.
                let mut bytes = Vec::new();
                grow(&mut bytes, self.len().saturating_add(max))?;
                bytes.extend_from_slice(self);
                *self = Self::Heap(bytes);
                self.read_from(reader, max)
            }
        }
    }
}

/// Makes room for `n` more bytes, or for many more.
fn grow(bytes: &mut Vec<u8>, n: usize) -> io::Result<()> {
    let done = bytes.try_reserve(n).or_else(|_| bytes.try_reserve_exact(n));
    done.map_err(|_| io::Error::from(ErrorKind::OutOfMemory))
}

fn read_some(reader: &mut dyn Read, to: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(to) {
            Err(err) if err.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Large { memory, len } => &memory[..*len],
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file may be shorter or longer than the system says, and may come in small parts.
    #[test]
    fn all_of_a_file_is_read_whatever_its_size_was_said_to_be() {
        let file: Vec<u8> = (0..LARGE + 70_001).map(|it| (it % 251) as u8).collect();
        for said in [0, LARGE - 1, LARGE, LARGE + 70_000, file.len(), 2 * LARGE] {
            let mut bytes = Bytes::with_room(said).expect("memory");
            let mut reader = (&file[..7]).chain(&file[7..]);
            let mut sizes = Vec::new();
            loop {
                match bytes.read_from(&mut reader, 1 << 20).expect("read") {
                    0 => break,
                    n => sizes.push(n),
                }
            }
            assert!(*bytes == *file, "{said}");
            assert_eq!(sizes.iter().sum::<usize>(), file.len(), "{said}");
            assert!(sizes.iter().all(|it| *it <= 1 << 20), "{said}");
        }
        assert!(Bytes::with_room(usize::MAX).is_none());
        assert!(Bytes::with_room(usize::MAX - 1).is_none());
    }
}
