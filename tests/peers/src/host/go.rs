//! What `syscall/js` asks of its host: a small model of JavaScript values.
//!
//! Enough for a program that starts and offers functions to the host.

use alloc::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

use crate::guest::Bytes;

/// A reference to a JavaScript value: its place in [`Go::cells`].
type Ref = u32;

const NULL: Ref = 2;
const GLOBAL: Ref = 5;
/// The object that the program knows as its runtime.
const RUNTIME: Ref = 6;

/// The upper half of a number that is not one: a reference, whose kind is in the lowest bits.
const NAN_HEAD: u32 = 0x7ff8_0000;

/// A JavaScript value, as the program passes it: a number, or a reference.
#[derive(Clone, Copy, Debug, Default)]
enum Js {
    #[default]
    Undefined,
    Number(f64),
    Ref(Ref),
}

#[derive(Clone, Debug)]
enum Cell {
    /// NaN, 0, null, true and false.
    Primitive,
    Text(Vec<u8>),
    Object(BTreeMap<Vec<u8>, Js>),
    Array(Vec<Js>),
    /// A constructor, or the function that makes callbacks.
    Native(Native),
    /// A function of the program, which no import here calls.
    Callback,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Native {
    Object,
    Array,
    MakeCallback,
}

/// The values that a Go program has references to.
#[derive(Clone, Debug)]
pub struct Go {
    cells: Vec<Cell>,
}

impl Default for Go {
    fn default() -> Self {
        let mut go = Self {
            cells: vec![Cell::Primitive; 5],
        };
        go.add(Cell::Object(BTreeMap::new()));
        go.add(Cell::Object(BTreeMap::new()));
        for (name, native) in [
            ("Object", Native::Object),
            ("Array", Native::Array),
            ("Promise", Native::Object),
            ("Uint8Array", Native::Object),
        ] {
            let native = go.add(Cell::Native(native));
            go.put(GLOBAL, name.as_bytes(), native);
        }
        go.put(RUNTIME, b"_pendingEvent", Js::Ref(NULL));
        let make = go.add(Cell::Native(Native::MakeCallback));
        go.put(RUNTIME, b"_makeFuncWrapper", make);
        // A file system of which nothing is known.
        let flags = [
            "O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND", "O_EXCL",
        ];
        let flags = flags.map(|it| (it.as_bytes().to_vec(), Js::Number(-1.0)));
        let constants = go.add(Cell::Object(flags.into()));
        let fs = go.add(Cell::Object([(b"constants".to_vec(), constants)].into()));
        go.put(GLOBAL, b"fs", fs);
        let process = go.add(Cell::Object(BTreeMap::new()));
        go.put(GLOBAL, b"process", process);
        go
    }
}

impl Go {
    /// Returns the names of a global object's properties, one in each line.
    ///
    /// # Errors
    ///
    /// There is no such object.
    pub fn properties(&self, object: &str) -> Result<Vec<u8>> {
        match self.cell(self.get(Js::Ref(GLOBAL), object.as_bytes())?) {
            Some(Cell::Object(properties)) => {
                Ok(properties.keys().cloned().collect::<Vec<_>>().join(&b'\n'))
            }
            _ => bail!("no object {object}"),
        }
    }

    /// Calls a function of `syscall/js`.
    pub(super) fn call(&mut self, name: &str, frame: u32, memory: &mut dyn Bytes) -> Result<()> {
        let at = |offset: u32| frame.wrapping_add(offset);
        let target = load(memory, at(8))?;
        match name {
            "syscall/js.finalizeRef" => Ok(()),
            "syscall/js.stringVal" => {
                let text = self.add(Cell::Text(slice(memory, at(8))?));
                self.store(memory, at(24), text)
            }
            "syscall/js.valueGet" => {
                let value = self.get(target, &slice(memory, at(16))?)?;
                self.store(memory, at(32), value)
            }
            "syscall/js.valueSet" => {
                let (name, value) = (slice(memory, at(16))?, load(memory, at(32))?);
                let Js::Ref(target) = target else {
                    bail!("no object has {}", String::from_utf8_lossy(&name));
                };
                self.put(target, &name, value);
                Ok(())
            }
            "syscall/js.valueIndex" => {
                let nth = usize::try_from(memory.read_u32(at(16))?)?;
                let item = self.items(target)?.get(nth).copied();
                self.store(memory, at(24), item.unwrap_or_default())
            }
            "syscall/js.valueSetIndex" => {
                let nth = usize::try_from(memory.read_u32(at(16))?)?;
                let value = load(memory, at(24))?;
                let item = self.items(target)?.get_mut(nth);
                *item.context("past the end of an array")? = value;
                Ok(())
            }
            "syscall/js.valueLength" => {
                let len = self.items(target)?.len() as u64;
                memory.write(at(16), &len.to_le_bytes())
            }
            "syscall/js.valuePrepareString" => {
                let len = self.text(target)?.len() as u64;
                self.store(memory, at(16), target)?;
                memory.write(at(24), &len.to_le_bytes())
            }
            "syscall/js.valueLoadString" => {
                let to = memory.read_u32(at(16))?;
                memory.write(to, self.text(target)?)
            }
            "syscall/js.valueCall" => {
                let function = self.get(target, &slice(memory, at(16))?)?;
                let result = self.apply(function, values(memory, at(32))?)?;
                self.store(memory, at(56), result)?;
                memory.write(at(64), &[1])
            }
            "syscall/js.valueInvoke" | "syscall/js.valueNew" => {
                let result = self.apply(target, values(memory, at(16))?)?;
                self.store(memory, at(40), result)?;
                memory.write(at(48), &[1])
            }
            _ => bail!("no such import: gojs.{name}"),
        }
    }

    /// Calls or constructs: no function here differs.
    fn apply(&mut self, function: Js, args: Vec<Js>) -> Result<Js> {
        let first = args.first().copied().unwrap_or_default();
        let Some(Cell::Native(native)) = self.cell(function) else {
            bail!("not a function of the host: {function:?}");
        };
        Ok(match native {
            Native::Object => self.add(Cell::Object(BTreeMap::new())),
            Native::Array => match first {
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "saturates; lengths are small"
                )]
                Js::Number(len) => self.add(Cell::Array(vec![Js::Undefined; len as u16 as usize])),
                // 0, which is not passed as a number.
                _ => self.add(Cell::Array(Vec::new())),
            },
            Native::MakeCallback => self.add(Cell::Callback),
        })
    }

    fn add(&mut self, cell: Cell) -> Js {
        self.cells.push(cell);
        // A program that makes 2^32 values would have exhausted the host's memory.
        Js::Ref((self.cells.len() - 1) as Ref)
    }

    fn cell(&self, value: Js) -> Option<&Cell> {
        match value {
            Js::Ref(at) => self.cells.get(usize::try_from(at).ok()?),
            _ => None,
        }
    }

    fn get(&self, object: Js, name: &[u8]) -> Result<Js> {
        match self.cell(object) {
            Some(Cell::Object(properties)) => Ok(properties.get(name).copied().unwrap_or_default()),
            other => bail!("no object has {}: {other:?}", String::from_utf8_lossy(name)),
        }
    }

    /// Sets a property. Other values than objects ignore it, as in JavaScript.
    fn put(&mut self, object: Ref, name: &[u8], value: Js) {
        if let Some(Cell::Object(properties)) = self.cells.get_mut(object as usize) {
            properties.insert(name.to_vec(), value);
        }
    }

    fn items(&mut self, array: Js) -> Result<&mut Vec<Js>> {
        if let Js::Ref(at) = array
            && let Some(Cell::Array(items)) = self.cells.get_mut(usize::try_from(at)?)
        {
            return Ok(items);
        }
        bail!("not an array: {array:?}")
    }

    fn text(&self, value: Js) -> Result<&[u8]> {
        match self.cell(value) {
            Some(Cell::Text(text)) => Ok(text),
            _ => bail!("not a text: {value:?}"),
        }
    }

    /// Writes a value in the program's encoding.
    fn store(&self, memory: &mut dyn Bytes, at: u32, value: Js) -> Result<()> {
        let bits = match value {
            Js::Undefined => 0,
            Js::Number(number) => number.to_bits(),
            Js::Ref(at) => {
                let kind = match self.cell(value) {
                    None | Some(Cell::Primitive) => 0,
                    Some(Cell::Object(_) | Cell::Array(_)) => 1,
                    Some(Cell::Text(_)) => 2,
                    Some(Cell::Native(_) | Cell::Callback) => 4,
                };
                u64::from(NAN_HEAD | kind) << 32 | u64::from(at)
            }
        };
        memory.write(at, &bits.to_le_bytes())
    }
}

/// Reads a value in the program's encoding.
fn load(memory: &dyn Bytes, at: u32) -> Result<Js> {
    let mut bytes = [0; 8];
    memory.read(at, &mut bytes)?;
    let number = f64::from_le_bytes(bytes);
    Ok(if number.to_bits() == 0 {
        Js::Undefined
    } else if number.is_nan() {
        Js::Ref(memory.read_u32(at)?)
    } else {
        Js::Number(number)
    })
}

/// Reads the bytes of a Go slice or string.
fn slice(memory: &dyn Bytes, at: u32) -> Result<Vec<u8>> {
    memory.read_vec(memory.read_u32(at)?, memory.read_u32(at + 8)?)
}

/// Reads a Go slice of values.
fn values(memory: &dyn Bytes, at: u32) -> Result<Vec<Js>> {
    let (first, len) = (memory.read_u32(at)?, memory.read_u32(at + 8)?);
    (0..len).map(|nth| load(memory, first + 8 * nth)).collect()
}
