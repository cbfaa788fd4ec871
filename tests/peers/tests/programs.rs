//! Real programs do the same in an engine whether they start as they are or from our
//! memory, again and again, and something else where our memory is wrong.

use anyhow::{Context as _, Result, ensure};
use wasm_meminit_peers::{
    ENGINES, Engine, ImageStarts, PROGRAMS, Prepared, Program, Start, corpus,
};

const N_STARTS: u64 = 3;

/// What a start finds in the memory, and what a run makes of it.
struct Observed {
    first_state: Vec<u8>,
    output: Vec<u8>,
}

fn observe(compiled: &mut dyn Start, program: &Program) -> Result<Observed> {
    let mut guest = compiled.start()?;
    let first_state = guest.all_bytes()?;
    let output = (program.run)(&mut *guest)?;
    ensure!(guest.all_bytes()? != first_state, "it has written nothing");
    Ok(Observed {
        first_state,
        output,
    })
}

fn check(engine: &dyn Engine, program: &Program, wasm: &[u8]) -> Result<Vec<u8>> {
    let expected = observe(&mut *engine.untouched(wasm)?, program).context("untouched")?;
    ensure!(program.expects(&expected.output), "not what it is for");

    let prepared = Prepared::new(wasm)?;
    ensure!(
        prepared.first_state()? == expected.first_state,
        "the image is not what the engine writes"
    );
    let mut ours = engine.ours(&prepared)?;
    for nth in 0..N_STARTS {
        let got = observe(&mut *ours, program).with_context(|| format!("start {nth}"))?;
        ensure!(
            got.first_state == expected.first_state,
            "start {nth}: another first state"
        );
        ensure!(got.output == expected.output, "start {nth}: another output");
    }
    let starts = ImageStarts {
        n_images: N_STARTS,
        n_reused: if engine.maps() { N_STARTS - 1 } else { 0 },
    };
    ensure!(ours.image_starts() == starts, "{:?}", ours.image_starts());

    // No data is in the module any more: without the image it does something else, and
    // with one wrong bit too.
    let wrong = [
        prepared.with_image(&[])?,
        prepared.with_flipped_bit(program.marker)?,
    ];
    for wrong in &wrong {
        let got = observe(&mut *engine.ours(wrong)?, program);
        ensure!(
            !got.is_ok_and(|it| it.output == expected.output),
            "the image is wrong, and nobody notices"
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
            // The host gives no engine another answer than the others.
            let first = first.get_or_insert_with(|| output.clone());
            assert!(*first == output, "{}: another output", engine.name());
        }
        eprintln!("{}", String::from_utf8_lossy(&first.unwrap_or_default()));
    }
    eprintln!("{n_checked} programs ran from our memory");
}
