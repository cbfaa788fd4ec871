//! Generates modules byte by byte: shares no code with what it tests, and is fast enough for
//! a hundred thousand items.

/// Appends an unsigned LEB128 number.
pub(crate) fn unsigned(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

/// Appends a signed LEB128 number.
pub(crate) fn signed(mut value: i64, out: &mut Vec<u8>) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if (value == 0 && byte & 0x40 == 0) || (value == -1 && byte & 0x40 != 0) {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

/// Appends an `i32.const`.
pub(crate) fn i32_const(value: u32, out: &mut Vec<u8>) {
    out.push(0x41);
    signed(value.cast_signed().into(), out);
}

/// A module under construction.
pub(crate) struct Wasm(Vec<u8>);

impl Wasm {
    pub(crate) fn new() -> Self {
        Self(b"\0asm\x01\0\0\0".to_vec())
    }

    /// Adds a section of `n` items.
    pub(crate) fn section(
        mut self,
        id: u8,
        n: u32,
        mut item: impl FnMut(u32, &mut Vec<u8>),
    ) -> Self {
        let mut contents = Vec::new();
        unsigned(n.into(), &mut contents);
        (0..n).for_each(|nth| item(nth, &mut contents));
        self.raw(id, &contents);
        self
    }

    /// Adds a section that consists of one number.
    pub(crate) fn number(mut self, id: u8, number: u32) -> Self {
        let mut contents = Vec::new();
        unsigned(number.into(), &mut contents);
        self.raw(id, &contents);
        self
    }

    fn raw(&mut self, id: u8, contents: &[u8]) {
        self.0.push(id);
        unsigned(contents.len() as u64, &mut self.0);
        self.0.extend_from_slice(contents);
    }

    /// Adds `n` imported immutable `i32` globals, named by their numbers.
    pub(crate) fn imported_globals(self, n: u32) -> Self {
        self.imports(n, "e", |_, out| out.extend_from_slice(&[3, 0x7f, 0]))
    }

    /// `n` imports from `module`, named by their numbers, each of the type that is written.
    pub(crate) fn imports(self, n: u32, module: &str, ty: impl Fn(u32, &mut Vec<u8>)) -> Self {
        self.section(2, n, |nth, out| {
            let name = nth.to_string();
            for part in [module, &name] {
                unsigned(part.len() as u64, out);
                out.extend_from_slice(part.as_bytes());
            }
            ty(nth, out);
        })
    }

    /// Adds `n` memories of 4 GiB.
    pub(crate) fn memories(self, n: u32) -> Self {
        self.section(5, n, |_, out| {
            out.push(0);
            unsigned(65_536, out);
        })
    }

    /// Adds `n` active segments, each given as memory, address and bytes.
    pub(crate) fn active(self, n: u32, segment: impl Fn(u32) -> (u32, u32, Vec<u8>)) -> Self {
        self.section(11, n, |nth, out| {
            let (memory, address, data) = segment(nth);
            out.push(2);
            unsigned(memory.into(), out);
            i32_const(address, out);
            out.push(0x0b);
            unsigned(data.len() as u64, out);
            out.extend_from_slice(&data);
        })
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}
