//! An engine-independent interface to an instance, for the drivers of programs.

use anyhow::{Context as _, Result, bail};

use crate::host::Host;

/// A value that is passed to or from an instance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Of either sign.
    I32(i32),
    /// Of either sign.
    I64(i64),
    /// A number of 32 bits.
    F32(f32),
    /// A number of 64 bits.
    F64(f64),
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::I32(value.cast_signed())
    }
}

impl Value {
    /// Returns the value as an address or a length in bytes.
    ///
    /// # Errors
    ///
    /// The value has a different type.
    pub fn as_u32(self) -> Result<u32> {
        match self {
            Self::I32(value) => Ok(value.cast_unsigned()),
            other => bail!("expected an i32, found {other:?}"),
        }
    }
}

/// A linear memory, read and written by the host.
pub trait Bytes {
    /// Copies the bytes at an address.
    ///
    /// # Errors
    ///
    /// The range is out of bounds.
    fn read(&self, at: u32, out: &mut [u8]) -> Result<()>;

    /// Writes bytes to an address.
    ///
    /// # Errors
    ///
    /// The range is out of bounds.
    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()>;

    /// Returns the `u32` at an address.
    ///
    /// # Errors
    ///
    /// The range is out of bounds.
    fn read_u32(&self, at: u32) -> Result<u32> {
        let mut bytes = [0; 4];
        self.read(at, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Returns `len` bytes at an address.
    ///
    /// # Errors
    ///
    /// The range is out of bounds.
    fn read_vec(&self, at: u32, len: u32) -> Result<Vec<u8>> {
        // Do not allocate gigabytes because a program says so.
        if 1 << 24 < len {
            bail!("refusing to copy {len} bytes at once");
        }
        let mut bytes = vec![0; usize::try_from(len)?];
        self.read(at, &mut bytes)?;
        Ok(bytes)
    }

    /// Returns the bytes at an address, up to the first zero.
    ///
    /// # Errors
    ///
    /// The memory ends before a zero.
    fn read_c_str(&self, at: u32) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let mut byte = [0];
            let next = at.checked_add(u32::try_from(bytes.len())?);
            self.read(next.context("the string has no end")?, &mut byte)?;
            match byte {
                [0] => return Ok(bytes),
                [byte] => bytes.push(byte),
            }
        }
    }
}

/// A memory that the engine exposes as a slice.
#[derive(Debug)]
pub struct Slice<'a>(pub &'a mut [u8]);

impl Bytes for Slice<'_> {
    fn read(&self, at: u32, out: &mut [u8]) -> Result<()> {
        let at = usize::try_from(at)?;
        let bytes = self.0.get(at..).and_then(|it| it.get(..out.len()));
        out.copy_from_slice(bytes.context("read past the end of the memory")?);
        Ok(())
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        let at = usize::try_from(at)?;
        let target = self
            .0
            .get_mut(at..)
            .and_then(|it| it.get_mut(..bytes.len()));
        target
            .context("write past the end of the memory")?
            .copy_from_slice(bytes);
        Ok(())
    }
}

/// An instance.
pub trait Guest {
    /// Calls an exported function.
    ///
    /// # Errors
    ///
    /// There is no such function, or it traps.
    fn call(&mut self, export: &str, args: &[Value]) -> Result<Vec<Value>>;

    /// Returns the program's only memory.
    fn memory(&mut self) -> Box<dyn Bytes + '_>;

    /// Returns the host that the program calls.
    fn host(&mut self) -> &mut Host;

    /// Returns the memory's size in bytes.
    fn memory_bytes(&mut self) -> u64;
}

impl dyn Guest + '_ {
    /// Returns all bytes of the program's memory.
    ///
    /// # Errors
    ///
    /// The memory cannot be read.
    pub fn all_bytes(&mut self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.memory_bytes())?];
        self.memory().read(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Calls a function of addresses and lengths that returns one, or nothing (0).
    ///
    /// # Errors
    ///
    /// As for [`Guest::call`].
    pub fn run(&mut self, export: &str, args: &[u32]) -> Result<u32> {
        let args: Vec<Value> = args.iter().copied().map(Value::from).collect();
        let results = self
            .call(export, &args)
            .with_context(|| format!("calling {export}"))?;
        results.first().map_or(Ok(0), |it| it.as_u32())
    }

    /// Copies bytes, followed by a zero, to memory from the program's own allocator.
    ///
    /// # Errors
    ///
    /// The allocation fails.
    pub fn place(&mut self, allocator: &str, bytes: &[u8]) -> Result<u32> {
        let len = u32::try_from(bytes.len())?;
        let at = self.run(allocator, &[len + 1])?;
        if at == 0 {
            bail!("{allocator} failed to allocate {len} bytes");
        }
        self.memory().write(at, bytes)?;
        self.memory().write(at + len, &[0])?;
        Ok(at)
    }
}
