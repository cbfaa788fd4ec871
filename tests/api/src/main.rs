//! Prints the public API that a file of rustdoc's JSON describes, one item a line.
//!
//! Without the traits that a type has by itself (`Send`) or through other traits (`Into`): they
//! follow from the rest, and have tests where they matter.

use std::process::ExitCode;

use public_api::Builder;

fn main() -> ExitCode {
    let Some(json) = std::env::args_os().nth(1) else {
        eprintln!("usage: wasm-meminit-public-api FILE.json");
        return ExitCode::FAILURE;
    };
    let builder = Builder::from_rustdoc_json(json)
        .omit_auto_trait_impls(true)
        .omit_blanket_impls(true);
    match builder.build() {
        Ok(api) => {
            println!("{api}");
            ExitCode::SUCCESS
        }
        Err(err) => {
            eprintln!("error: {err}");
            ExitCode::FAILURE
        }
    }
}
