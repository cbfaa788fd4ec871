//! The Zig compiler's formatter: formats a source file.

use anyhow::{Context as _, Result, bail};

use super::Program;
use crate::guest::{Guest, Value};

pub(super) const ZIG_FMT: Program = Program {
    name: "zig fmt",
    file: "zig_fmt.wasm",
    // A keyword that the source uses.
    marker: b"while",
    lines: &["fn gcd(a: u64, b: u64) u64 {", "    var m = a;"],
    run,
};

const SOURCE: &str = r#"
const std=@import("std");
pub const  Point=struct{x:f32=0,y:f32=0,
pub fn add(a:Point,b:Point)Point{return .{.x=a.x+b.x,.y=a.y+b.y};}};
const Kind=enum(u8){none,some,all,_};
fn gcd(a:u64,b:u64)u64{var m=a;var n=b;
while(n!=0){const t=n;n=m%n;m=t;}
return m;}
pub fn main()!void{
var list=std.ArrayList(u32).init(std.heap.page_allocator);defer list.deinit();
for(0..10)|i|{if(i%2==0){try list.append(@intCast(i));}else{continue;}}
const k:Kind=switch(list.items.len){0=>.none,1,2,3=>.some,else=>.all};
std.debug.print("{} {any}\n",.{gcd(12,18),k});
const text=
\\ a line
  \\ another
;
_=text catch unreachable orelse null;
}
test "gcd"{try std.testing.expectEqual(@as(u64,6),gcd(12,18));}
"#;

/// A source file of 1 kB.
pub(super) const SMALL: Program = Program {
    name: "zig fmt, a small file",
    run: run_small,
    ..ZIG_FMT
};

/// How often the source is repeated.
const TIMES: usize = 20;

fn run(guest: &mut dyn Guest) -> Result<Vec<u8>> {
    format(guest, &SOURCE.repeat(TIMES))
}

fn run_small(guest: &mut dyn Guest) -> Result<Vec<u8>> {
    format(guest, SOURCE)
}

fn format(guest: &mut dyn Guest, source: &str) -> Result<Vec<u8>> {
    let len = u32::try_from(source.len())?;
    let at = guest.run("alloc", &[len])?;
    if at == 0 {
        bail!("alloc failed");
    }
    guest.memory().write(at, source.as_bytes())?;
    let results = guest.call("format", &[Value::from(at), Value::from(len)])?;
    let [at, len] = results.as_slice() else {
        bail!("format gave {} results", results.len());
    };
    let (at, len) = (at.as_u32()?, len.as_u32()?);
    if at == 0 {
        bail!("format failed");
    }
    let formatted = guest.memory().read_vec(at, len).context("the result")?;
    guest.run("free_all", &[])?;
    Ok(formatted)
}
