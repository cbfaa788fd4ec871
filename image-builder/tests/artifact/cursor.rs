//! Reads the items of a header, for the independent decoder.

use super::format::{Assumption, At, I64, Layout, Memory, Policy, Segment, Start, Value, What};

pub(crate) type Result<T> = core::result::Result<T, String>;

pub(crate) fn check(is: bool, what: &str) -> Result<()> {
    if is { Ok(()) } else { Err(what.to_owned()) }
}

pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn raw(&mut self, len: usize) -> Result<&'a [u8]> {
        check(len <= self.0.len(), "too few bytes")?;
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.raw(1)?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.raw(4)?.try_into().unwrap()))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.raw(8)?.try_into().unwrap()))
    }

    pub(crate) fn uint(&mut self) -> Result<u64> {
        let (mut value, mut shift) = (0_u128, 0);
        loop {
            let byte = self.u8()?;
            value |= u128::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                check(byte != 0 || shift == 7, "not the shortest form")?;
                return u64::try_from(value).map_err(|err| err.to_string());
            }
            check(shift < 70, "too long")?;
        }
    }

    pub(crate) fn index(&mut self) -> Result<u32> {
        let index = self.uint()?;
        check(index < 0xffff_ffff, "index")?;
        Ok(index as u32)
    }

    pub(crate) fn bool(&mut self) -> Result<bool> {
        let byte = self.u8()?;
        check(byte < 2, "bool")?;
        Ok(byte == 1)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = self.uint()?;
        check(len <= self.0.len() as u64, "too few bytes")?;
        self.raw(len as usize)
    }

    pub(crate) fn name(&mut self) -> Result<String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|err| err.to_string())
    }

    pub(crate) fn names(&mut self) -> Result<[String; 2]> {
        Ok([self.name()?, self.name()?])
    }

    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<Option<T>> {
        if self.bool()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    pub(crate) fn hash(&mut self) -> Result<[u8; 32]> {
        Ok(self.raw(32)?.try_into().unwrap())
    }

    pub(crate) fn log2(&mut self) -> Result<u8> {
        let log2 = self.u8()?;
        check(log2 <= 30, "log2")?;
        Ok(log2)
    }

    pub(crate) fn value(&mut self) -> Result<Value> {
        match self.u8()? {
            0x7f => Ok(Value::I32(self.u32()? as i32)),
            0x7e => Ok(Value::I64(self.u64()? as i64)),
            _ => Err("value".into()),
        }
    }

    pub(crate) fn treatment(&mut self) -> Result<u8> {
        let treatment = self.u8()?;
        check(treatment < 4, "treatment")?;
        Ok(treatment)
    }

    pub(crate) fn policy(&mut self) -> Result<Policy> {
        let layout = match self.u8()? {
            0 => Layout::Single {
                allowed: self.uint()?,
            },
            1 => Layout::Many {
                max_gap: self.uint()?,
                max_runs: self.uint()?,
            },
            _ => return Err("layout".into()),
        };
        check(
            !matches!(layout, Layout::Many { max_runs: 0, .. }),
            "no runs",
        )?;
        Ok(Policy {
            layout,
            max_image: self.uint()?,
            fresh_imports: self.bool()?,
            treatment: self.treatment()?,
        })
    }

    pub(crate) fn assumption(&mut self) -> Result<Assumption> {
        let kind = self.u8()?;
        let index = self.index()?;
        let what = match kind {
            0 => What::Global(self.names()?, self.value()?),
            1 => What::Zeroed(self.names()?),
            2 => What::Size(self.names()?, self.uint()?),
            3 => What::Start(self.treatment()?),
            _ => return Err("kind of assumption".into()),
        };
        Ok(Assumption { index, what })
    }

    pub(crate) fn start(&mut self) -> Result<Start> {
        Ok(Start {
            memory: self.index()?,
            flag: self.uint()?,
            is_done: self.bool()?,
            tls: self.option(|it| Ok((it.index()?, it.uint()?)))?,
        })
    }

    pub(crate) fn segment(&mut self, memories: &[Memory]) -> Result<Segment> {
        let (memory, segment) = (self.index()?, self.index()?);
        let is_i64 = memories.get(memory as usize).ok_or("no such memory")?.flags & I64 != 0;
        let at = if self.0.first() == Some(&0) {
            self.u8()?;
            let bytes = self.bytes()?;
            check(is_expression(bytes, is_i64)?, "expression")?;
            At::Expr(bytes.to_vec())
        } else {
            let value = self.value()?;
            check(
                matches!(value, Value::I64(_)) == is_i64,
                "type of a constant",
            )?;
            At::Value(value)
        };
        Ok(Segment {
            memory,
            segment,
            at,
            data: self.bytes()?.to_vec(),
        })
    }

    /// Reads an operand in the WebAssembly binary format, not necessarily of minimal length.
    pub(crate) fn leb(&mut self, bits: u32, is_signed: bool) -> Result<()> {
        let max = bits.div_ceil(7);
        for nth in 1..=max {
            let byte = self.u8()?;
            if byte < 128 {
                let used = bits - 7 * (max - 1);
                if nth == max && !is_signed {
                    return check(byte >> used == 0, "too large");
                }
                // All bits from the sign bit up are equal.
                let top = byte >> (used - 1);
                return check(
                    nth < max || top == 0 || top == 127 >> (used - 1),
                    "too large",
                );
            }
        }
        Err("too long".into())
    }
}

fn is_expression(bytes: &[u8], is_i64: bool) -> Result<bool> {
    let mut cursor = Cursor(bytes);
    let (mut depth, mut n, mut n_constants) = (0_i64, 0, 0);
    loop {
        let op = cursor.u8()?;
        match op {
            0x0b => return Ok(depth == 1 && cursor.0.is_empty() && (n, n_constants) != (1, 1)),
            0x23 => {
                let before = cursor.0;
                cursor.leb(32, false)?;
                // The highest index is reserved.
                check(
                    !before.starts_with(&[0xff, 0xff, 0xff, 0xff, 0x0f]),
                    "global",
                )?;
                depth += 1;
            }
            0x41 | 0x42 => {
                cursor.leb(if op == 0x41 { 32 } else { 64 }, true)?;
                n_constants += 1;
                if (op == 0x42) != is_i64 {
                    return Ok(false);
                }
                depth += 1;
            }
            0x6a..=0x6c | 0x7c..=0x7e => {
                if (0x7c <= op) != is_i64 || depth < 2 {
                    return Ok(false);
                }
                depth -= 1;
            }
            _ => return Err("instruction".into()),
        }
        n += 1;
    }
}
