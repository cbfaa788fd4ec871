//! Real programs behave the same in an engine with and without our memory, at every start, and
//! differently if our memory is wrong.

use anyhow::{Context as _, Result, ensure};
use wasm_meminit_peers::{
    ENGINES, Engine, ImageStarts, PROGRAMS, Prepared, Program, Start, corpus,
};

const N_STARTS: u64 = 3;

/// The initial memory of an instance, and the output of a run.
struct Observed {
    initial_contents: Vec<u8>,
    output: Vec<u8>,
}

fn observe(compiled: &mut dyn Start, program: &Program) -> Result<Observed> {
    let mut guest = compiled.start()?;
    let initial_contents = guest.all_bytes()?;
    let output = (program.run)(&mut *guest)?;
    ensure!(
        guest.all_bytes()? != initial_contents,
        "the program wrote nothing"
    );
    Ok(Observed {
        initial_contents,
        output,
    })
}

fn check(engine: &dyn Engine, program: &Program, wasm: &[u8]) -> Result<Vec<u8>> {
    let expected = observe(&mut *engine.untouched(wasm)?, program).context("untouched")?;
    ensure!(program.expects(&expected.output), "unexpected output");

    let prepared = Prepared::new(wasm)?;
    ensure!(
        prepared.initial_contents()? == expected.initial_contents,
        "the image differs from what the engine writes"
    );
    let mut ours = engine.ours(&prepared)?;
    for nth in 0..N_STARTS {
        let got = observe(&mut *ours, program).with_context(|| format!("start {nth}"))?;
        ensure!(
            got.initial_contents == expected.initial_contents,
            "start {nth}: the initial memory differs"
        );
        ensure!(
            got.output == expected.output,
            "start {nth}: the output differs"
        );
    }
    let starts = ImageStarts {
        n_images: N_STARTS,
        n_reused: if engine.maps() { N_STARTS - 1 } else { 0 },
    };
    ensure!(ours.image_starts() == starts, "{:?}", ours.image_starts());

    // The module no longer contains data, so it must behave differently without the image, and
    // with one wrong bit.
    let wrong = [
        prepared.with_image(&[])?,
        prepared.with_flipped_bit(program.marker)?,
    ];
    for wrong in &wrong {
        let got = observe(&mut *engine.ours(wrong)?, program);
        ensure!(
            !got.is_ok_and(|it| it.output == expected.output),
            "a wrong image goes unnoticed"
        );
    }
    Ok(expected.output)
}

#[test]
fn programs_run_from_our_memory() {
    let corpus = corpus();
    let mut n_checked = 0;
    for program in PROGRAMS {
        let Some(wasm) = corpus.module(program.file).expect("readable") else {
            eprintln!(
                "skipped: {}: no {} (`cargo xtask corpus` fetches it)",
                program.name, program.file
            );
            continue;
        };
        let mut first: Option<Vec<u8>> = None;
        for engine in ENGINES {
            let output = check(*engine, program, &wasm)
                .unwrap_or_else(|err| panic!("{}, {}: {err:#}", engine.name(), program.name));
            eprintln!(
                "{:<18} {:<10} {:>6} bytes of output, equal in {N_STARTS} starts",
                engine.name(),
                program.name,
                output.len(),
            );
            n_checked += 1;
            // The host answers every engine the same.
            let first = first.get_or_insert_with(|| output.clone());
            assert!(*first == output, "{}: the output differs", engine.name());
        }
        eprintln!("{}", String::from_utf8_lossy(&first.unwrap_or_default()));
    }
    eprintln!("{n_checked} programs ran from our memory");
}
