//! An instance as a program's driver sees it, whatever the engine.

use anyhow::{Context as _, Result, bail};

/// What crosses the border of an instance.
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
    /// The number, as an address or a length in bytes.
    ///
    /// # Errors
    ///
    /// For another type.
    pub fn as_u32(self) -> Result<u32> {
        match self {
            Self::I32(value) => Ok(value.cast_unsigned()),
            other => bail!("an i32 was expected: {other:?}"),
        }
    }
}

/// A linear memory, read and written by the host.
pub trait Bytes {
    /// Copies the bytes at an address.
    ///
    /// # Errors
    ///
    /// Where they are not all in the memory.
    fn read(&self, at: u32, out: &mut [u8]) -> Result<()>;

    /// Writes bytes to an address.
    ///
    /// # Errors
    ///
    /// Where they are not all in the memory.
    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()>;

    /// The `u32` at an address.
    ///
    /// # Errors
    ///
    /// Where it is not all in the memory.
    fn read_u32(&self, at: u32) -> Result<u32> {
        let mut bytes = [0; 4];
        self.read(at, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// That many bytes at an address.
    ///
    /// # Errors
    ///
    /// Where they are not all in the memory.
    fn read_vec(&self, at: u32, len: u32) -> Result<Vec<u8>> {
        // What a program says of itself is no reason to allocate gigabytes.
        if 1 << 24 < len {
            bail!("{len} bytes at once");
        }
        let mut bytes = vec![0; usize::try_from(len)?];
        self.read(at, &mut bytes)?;
        Ok(bytes)
    }

    /// The bytes at an address, up to the first zero.
    ///
    /// # Errors
    ///
    /// Where the memory ends before.
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

/// A memory that the engine shows as a slice.
#[derive(Debug)]
pub struct Slice<'a>(pub &'a mut [u8]);

impl Bytes for Slice<'_> {
    fn read(&self, at: u32, out: &mut [u8]) -> Result<()> {
        let at = usize::try_from(at)?;
        let bytes = self.0.get(at..).and_then(|it| it.get(..out.len()));
        out.copy_from_slice(bytes.context("read behind the memory's end")?);
        Ok(())
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        let at = usize::try_from(at)?;
        let target = self
            .0
            .get_mut(at..)
            .and_then(|it| it.get_mut(..bytes.len()));
        target
            .context("write behind the memory's end")?
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
    /// Where there is none of that name, or it traps.
    fn call(&mut self, export: &str, args: &[Value]) -> Result<Vec<Value>>;

    /// The program's only memory.
    fn memory(&mut self) -> Box<dyn Bytes + '_>;

    /// How large it is, in bytes.
    fn memory_bytes(&mut self) -> u64;
}

impl dyn Guest + '_ {
    /// All of the program's memory.
    ///
    /// # Errors
    ///
    /// Where it cannot be read.
    pub fn all_bytes(&mut self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.memory_bytes())?];
        self.memory().read(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Calls a function of addresses and lengths that gives one, or nothing (0).
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

    /// Copies bytes, and a zero behind them, to where the program's own allocator says.
    ///
    /// # Errors
    ///
    /// Where it has no room.
    pub fn place(&mut self, allocator: &str, bytes: &[u8]) -> Result<u32> {
        let len = u32::try_from(bytes.len())?;
        let at = self.run(allocator, &[len + 1])?;
        if at == 0 {
            bail!("{allocator} has no {len} bytes");
        }
        self.memory().write(at, bytes)?;
        self.memory().write(at + len, &[0])?;
        Ok(at)
    }
}
