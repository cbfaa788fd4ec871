//! The functions that programs import: a small WASI preview 1, Emscripten's host functions, and
//! those of Go's `GOOS=js`.
//!
//! They are deterministic: a clock that ticks when it is read, pseudorandom numbers, no files,
//! no arguments, and captured output.

mod go;

use anyhow::{Context as _, Result, bail};

pub use self::go::Go;
use crate::guest::{Bytes, Value};

/// The result of a host function.
type Answer = Result<Option<Value>>;

const SUCCESS: Answer = Ok(Some(Value::I32(0)));
/// `errno` of preview 1 (and of Emscripten, negated).
const BADF: i32 = 8;
const NOSYS: i32 = 52;
const SPIPE: i32 = 70;

/// 2023-11-14 22:13:20 UTC, in nanoseconds.
const FIRST_TIME: u64 = 1_700_000_000_000_000_000;
const TICK: u64 = 1_000_000;

/// The host of one instance.
#[derive(Clone, Debug)]
pub struct Host {
    /// The bytes written to the standard output and error.
    written: Vec<u8>,
    time: u64,
    random: u64,
    go: Go,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            written: Vec::new(),
            time: FIRST_TIME,
            random: 0x9e37_79b9_7f4a_7c15,
            go: Go::default(),
        }
    }
}

impl Host {
    /// The bytes written to the standard output and error.
    pub fn written(&self) -> &[u8] {
        &self.written
    }

    /// The JavaScript values of a Go program.
    pub fn go(&mut self) -> &mut Go {
        &mut self.go
    }

    /// Calls an imported function.
    ///
    /// # Errors
    ///
    /// There is no such function, or the program exits, which traps.
    pub fn call(
        &mut self,
        module: &str,
        name: &str,
        args: &[Value],
        memory: &mut dyn Bytes,
    ) -> Answer {
        match module {
            "wasi_snapshot_preview1" => self.wasi(name, &Args(args), memory),
            "env" => self.emscripten(name, &Args(args), memory),
            "gojs" => {
                self.gojs(name, Args(args).u32(0)?, memory)?;
                Ok(None)
            }
            _ => bail!("no such import: {module}.{name}"),
        }
    }

    fn wasi(&mut self, name: &str, args: &Args<'_>, memory: &mut dyn Bytes) -> Answer {
        match name {
            "args_sizes_get" | "environ_sizes_get" => {
                memory.write(args.u32(0)?, &[0; 4])?;
                memory.write(args.u32(1)?, &[0; 4])?;
                SUCCESS
            }
            "args_get" | "environ_get" | "fd_close" | "fd_sync" | "sched_yield" => SUCCESS,
            "clock_time_get" => {
                memory.write(args.u32(2)?, &self.tick().to_le_bytes())?;
                SUCCESS
            }
            "random_get" => {
                for at in args.u32(0)?..args.u32(0)?.saturating_add(args.u32(1)?) {
                    memory.write(at, &[self.random_byte()])?;
                }
                SUCCESS
            }
            "fd_write" => self.fd_write(args, memory),
            "fd_fdstat_get" if args.u32(0)? < 3 => {
                // A character device, no flags, no rights.
                let mut fdstat = [0; 24];
                fdstat[0] = 2;
                memory.write(args.u32(1)?, &fdstat)?;
                SUCCESS
            }
            "fd_seek" => Ok(Some(Value::I32(SPIPE))),
            "fd_read" | "fd_fdstat_get" | "fd_prestat_get" => Ok(Some(Value::I32(BADF))),
            "proc_exit" => bail!("the program exited with code {}", args.u32(0)?),
            _ => bail!("no such import: wasi_snapshot_preview1.{name}"),
        }
    }

    fn fd_write(&mut self, args: &Args<'_>, memory: &mut dyn Bytes) -> Answer {
        if !matches!(args.u32(0)?, 1 | 2) {
            return Ok(Some(Value::I32(BADF)));
        }
        let mut n_written = 0_u32;
        for nth in 0..args.u32(2)? {
            let vector = args.u32(1)? + 8 * nth;
            let (at, len) = (memory.read_u32(vector)?, memory.read_u32(vector + 4)?);
            self.written.extend(memory.read_vec(at, len)?);
            n_written += len;
        }
        memory.write(args.u32(3)?, &n_written.to_le_bytes())?;
        SUCCESS
    }

    fn emscripten(&mut self, name: &str, args: &Args<'_>, memory: &mut dyn Bytes) -> Answer {
        match name {
            "emscripten_date_now" | "emscripten_get_now" => {
                // Exact, since milliseconds since 1970 need 41 bits.
                #[allow(clippy::cast_precision_loss, reason = "41 bits")]
                let millis = (self.tick() / 1_000_000) as f64;
                Ok(Some(Value::F64(millis)))
            }
            "_emscripten_get_now_is_monotonic" => Ok(Some(Value::I32(1))),
            // Refused: the program's heap does not grow.
            "emscripten_resize_heap" => SUCCESS,
            "emscripten_memcpy_big" => {
                let bytes = memory.read_vec(args.u32(1)?, args.u32(2)?)?;
                memory.write(args.u32(0)?, &bytes)?;
                Ok(None)
            }
            // UTC; and Embind's registration of types has no effect.
            "_tzset_js" => Ok(None),
            _ if name.starts_with("_embind_register_") => Ok(None),
            // There are no files.
            _ if name.starts_with("__syscall_") => Ok(Some(Value::I32(-NOSYS))),
            "host_get_timezone_offset" | "host_interrupt" => SUCCESS,
            _ => bail!("no such import: env.{name}"),
        }
    }

    /// Go's arguments and results are in its own stack frame, from `frame` + 8 on.
    fn gojs(&mut self, name: &str, frame: u32, memory: &mut dyn Bytes) -> Result<()> {
        match name {
            "runtime.nanotime1" => memory.write(frame + 8, &self.tick().to_le_bytes()),
            "runtime.walltime" => {
                let time = self.tick();
                memory.write(frame + 8, &(time / 1_000_000_000).to_le_bytes())?;
                let nanos = u32::try_from(time % 1_000_000_000)?;
                memory.write(frame + 16, &nanos.to_le_bytes())
            }
            "runtime.getRandomData" => {
                let (at, len) = (memory.read_u32(frame + 8)?, memory.read_u32(frame + 16)?);
                for at in at..at.saturating_add(len) {
                    memory.write(at, &[self.random_byte()])?;
                }
                Ok(())
            }
            "runtime.wasmWrite" => {
                let (at, len) = (memory.read_u32(frame + 16)?, memory.read_u32(frame + 24)?);
                self.written.extend(memory.read_vec(at, len)?);
                Ok(())
            }
            "runtime.resetMemoryDataView" | "runtime.clearTimeoutEvent" => Ok(()),
            // Nothing waits for time to pass.
            "runtime.scheduleTimeoutEvent" => memory.write(frame + 16, &1_u32.to_le_bytes()),
            "runtime.wasmExit" => bail!("the program exited"),
            _ => self.go.call(name, frame, memory),
        }
    }

    fn tick(&mut self) -> u64 {
        self.time += TICK;
        self.time
    }

    /// Marsaglia's xorshift.
    fn random_byte(&mut self) -> u8 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random.to_le_bytes()[3]
    }
}

struct Args<'a>(&'a [Value]);

impl Args<'_> {
    fn u32(&self, nth: usize) -> Result<u32> {
        self.0.get(nth).context("too few arguments")?.as_u32()
    }
}
