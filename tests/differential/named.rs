//! Modules that once failed, or that are easy to get wrong.

use wasm_meminit_test_oracle::host::Host;
use wasm_meminit_test_oracle::valid::is_valid;

use crate::check::{Tally, check};
use crate::plain_hosts;
use crate::ways::policies;

/// Checks all ways, policies and hosts.
#[track_caller]
pub(crate) fn check_wat(text: &str) {
    check_in(text, &plain_hosts());
}

#[track_caller]
fn check_in(text: &str, hosts: &[Host]) {
    let wasm = wat::parse_str(text).expect("text format");
    if let Err(err) = check_all(&wasm, hosts) {
        panic!("{err}\n{text}");
    }
}

/// The same for a module that would be large as text.
#[track_caller]
pub(crate) fn check_wasm(wasm: &[u8]) {
    if let Err(err) = check_all(wasm, &plain_hosts()) {
        panic!("{err}");
    }
}

fn check_all(wasm: &[u8], hosts: &[Host]) -> Result<(), String> {
    assert!(is_valid(wasm));
    check(wasm, hosts, &policies(false), 1, &mut Tally::default())
}

/// Rounding its size up to a host page overflows; its artifact used to be rejected.
#[test]
fn a_memory_that_ends_in_the_last_host_page() {
    check_wat(
        r#"(module
             (memory i64 18446744073709551615 (pagesize 1))
             (data (i64.const 0) "x"))"#,
    );
}

/// The page that holds the last bytes has no end below 2^64.
#[test]
fn data_in_the_last_host_page() {
    check_wat(
        r#"(module
             (memory i64 18446744073709551615 (pagesize 1))
             (data (i64.const 0) "x")
             (data (i64.const -3) "yz"))"#,
    );
}

#[test]
fn an_empty_segment_at_the_end_and_one_past_it() {
    check_wat(r#"(module (memory 1) (data (i32.const 65536) "") (data (i32.const 0) "a"))"#);
    check_wat(r#"(module (memory 1) (data (i32.const 0) "a") (data (i32.const 65537) ""))"#);
}

#[test]
fn a_trap_keeps_what_was_written_before_it() {
    check_wat(
        r#"(module
             (memory (import "a" "m") 1)
             (memory 1)
             (data (memory 0) (i32.const 0) "seen")
             (data (memory 1) (i32.const 0) "seen")
             (data (memory 1) (i32.const 65535) "trap")
             (data (memory 0) (i32.const 8) "never"))"#,
    );
}

/// Whether it traps is not known, so nothing after it is baked.
#[test]
fn a_dynamic_offset_is_a_barrier() {
    check_wat(
        r#"(module
             (global $base (import "a" "g") i32)
             (memory 1)
             (data (i32.const 0) "before")
             (data (global.get $base) "may trap")
             (data (i32.const 4) "after"))"#,
    );
}

#[test]
fn later_segments_win_across_baked_and_replayed() {
    check_wat(
        r#"(module
             (memory (import "a" "m") 1)
             (data (i32.const 4094) "aaaa")
             (data (i32.const 4092) "bbbb")
             (data (i32.const 4096) "\00\00")
             (data (i32.const 4090) ""))"#,
    );
}

#[test]
fn a_memory_smaller_than_a_host_page() {
    check_wat(
        r#"(module
             (memory 5 (pagesize 1))
             (memory 4097 (pagesize 1))
             (data (memory 0) (i32.const 0) "abcde")
             (data (memory 1) (i32.const 4096) "x"))"#,
    );
}

#[test]
fn addresses_are_unsigned() {
    check_wat(
        r#"(module
             (memory 65535)
             (data (i32.const -65537) "x")
             (data (i32.const 0x8000_0000) "y"))"#,
    );
}

#[test]
fn arithmetic_wraps_before_zero_extension() {
    check_wat(
        r#"(module
             (global $a i32 (i32.const -1))
             (global $b i32 (i32.add (global.get $a) (i32.const 11)))
             (memory 1)
             (data (i32.mul (global.get $b) (i32.const 0x2000_0001)) "x")
             (data (i32.sub (i32.const 1) (global.get $a)) "y"))"#,
    );
}

/// If an element segment traps, no data is written.
#[test]
fn elements_run_before_data() {
    check_wat(
        r#"(module
             (memory (import "a" "m") 1)
             (table (import "a" "t") 1 funcref)
             (func $leaked)
             (elem (i32.const 0) $leaked)
             (elem (i32.const 1) $leaked)
             (data (i32.const 0) "never"))"#,
    );
}

/// The edge of the reference's rule: a span of twice the data is not dense, but one byte
/// less is. Overlapping bytes count twice.
#[test]
fn density_of_exactly_one_half() {
    check_wat(r#"(module (memory 1) (data (i32.const 5) "a") (data (i32.const 8) "b"))"#);
    check_wat(r#"(module (memory 1) (data (i32.const 5) "a") (data (i32.const 7) "b"))"#);
    check_wat(
        r#"(module (memory 1) (data (i32.const 5) "ab") (data (i32.const 6) "bcde") (data (i32.const 16) "f"))"#,
    );
}
