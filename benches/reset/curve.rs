//! The cost of a reset by the number and location of written pages: the tables and pictures of
//! docs/reset-cost.md.

use core::convert::Infallible;
use core::time::Duration;
use std::path::Path;
use std::time::Instant;

use plotters::prelude::*;
use wasm_meminit_apply::{MemorySlot, SlotConfig, Strategy};
use wasm_meminit_test_support::images::STRATEGIES;

use crate::paired::{Way, measure};
use crate::{MEMORY, PAGE, image, timed, touch, write};

const N_PAGES: [usize; 9] = [0, 1, 4, 16, 64, 256, 1024, 2048, 4096];

#[derive(Clone, Copy)]
enum Pattern {
    Scattered,
    Clustered,
}

impl Pattern {
    const fn name(self) -> &'static str {
        match self {
            Self::Scattered => "scattered",
            Self::Clustered => "side by side",
        }
    }

    fn touch(self, memory: &mut [u8], n_pages: usize) {
        match self {
            Self::Scattered => touch(memory, n_pages),
            // In the middle, so that some are in the image and some are not.
            Self::Clustered => {
                let first = (memory.len() / PAGE - n_pages).min(256 - n_pages.min(256) / 2);
                (first..first + n_pages).for_each(|page| write(memory, page));
            }
        }
    }
}

/// Times in nanoseconds, by strategy: for the reset, and for the whole cycle.
struct Costs {
    n_pages: usize,
    resets: [f64; STRATEGIES.len()],
    cycles: [f64; STRATEGIES.len()],
}

pub(crate) fn group(time: Duration) {
    for pattern in [Pattern::Scattered, Pattern::Clustered] {
        let curve: Vec<Costs> = N_PAGES
            .iter()
            .map(|&n_pages| costs(pattern, n_pages, time))
            .collect();
        print(pattern, &curve);
        // `cargo bench` runs in the package's directory.
        if !time.is_zero() {
            let name = match pattern {
                Pattern::Scattered => "docs/reset-cost-scattered.svg",
                Pattern::Clustered => "docs/reset-cost-clustered.svg",
            };
            draw(pattern, &curve, Path::new(name)).expect("a picture");
        }
    }
}

fn costs(pattern: Pattern, n_pages: usize, time: Duration) -> Costs {
    let image = image();
    let slot = |strategy| {
        let config = SlotConfig::new(MEMORY as u64).with_strategy(strategy);
        // A forced strategy is measured without a residency limit; the default has its own.
        let config = match strategy {
            Strategy::Auto => config,
            _ => config.with_keep_resident(u64::MAX),
        };
        MemorySlot::new(&config).expect("addresses")
    };
    let mut slots = STRATEGIES.map(slot);
    let mut others = STRATEGIES.map(slot);
    let resets = slots.iter_mut().map(|slot| {
        let image = &image;
        Way::new(move |n| {
            let mut took = Duration::ZERO;
            for _ in 0..n {
                slot.instantiate(Some(image), MEMORY as u64).expect("fits");
                pattern.touch(slot.as_mut_slice(), n_pages);
                let start = Instant::now();
                slot.reset().expect("reset");
                took += start.elapsed();
            }
            Ok(took)
        })
    });
    let cycles = others.iter_mut().map(|slot| {
        let image = &image;
        Way::new(move |n| {
            Ok(timed(n, || {
                slot.instantiate(Some(image), MEMORY as u64).expect("fits");
                pattern.touch(slot.as_mut_slice(), n_pages);
                slot.reset().expect("reset");
            }))
        })
    });
    let mut ways: Vec<Way<'_, Infallible>> = resets.chain(cycles).collect();
    let Ok(()) = measure(&mut ways, time, 1);
    let median = |nth: usize| ways[nth].median();
    Costs {
        n_pages,
        resets: core::array::from_fn(median),
        cycles: core::array::from_fn(|nth| median(STRATEGIES.len() + nth)),
    }
}

/// Prints a markdown table: the reset and, after a slash, the whole cycle, in microseconds.
fn print(pattern: Pattern, curve: &[Costs]) {
    println!("pages written, {}, of {}", pattern.name(), MEMORY / PAGE);
    print!("| pages |");
    for strategy in STRATEGIES {
        print!(" {strategy} |");
    }
    println!("\n|--:|{}", "--:|".repeat(STRATEGIES.len()));
    for costs in curve {
        print!("| {} |", costs.n_pages);
        for (reset, cycle) in costs.resets.iter().zip(costs.cycles) {
            print!(" {} / {} |", micros(*reset), micros(cycle));
        }
        println!();
    }
}

/// Formats a time in microseconds with three significant digits.
fn micros(nanos: f64) -> String {
    let micros = nanos / 1000.0;
    match micros {
        ..10.0 => format!("{micros:.2}"),
        10.0..100.0 => format!("{micros:.1}"),
        _ => format!("{micros:.0}"),
    }
}

/// Draws the whole cycle, with logarithmic axes, no background, and a grey that is readable on
/// white and on black.
fn draw(pattern: Pattern, curve: &[Costs], to: &Path) -> Result<(), Box<dyn core::error::Error>> {
    const GREY: RGBColor = RGBColor(128, 128, 128);
    // Okabe and Ito's palette, which colour-blind readers can distinguish.
    const COLOURS: [RGBColor; STRATEGIES.len()] = [
        RGBColor(0, 158, 115),
        RGBColor(86, 180, 233),
        RGBColor(230, 159, 0),
        RGBColor(213, 94, 0),
        RGBColor(204, 121, 167),
    ];
    let font = |size: i32| ("sans-serif", size).into_font().color(&GREY);
    let area = SVGBackend::new(to, (760, 460)).into_drawing_area();
    // The first point represents 0 pages, which a logarithmic axis cannot show.
    let x = |n_pages: usize| if n_pages == 0 { 0.5 } else { n_pages as f64 };
    let caption = format!("ready → written → reset, pages {}", pattern.name());
    let mut chart = ChartBuilder::on(&area)
        .caption(caption, font(18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d((0.5..4096.0).log_scale(), (0.5..10_000.0).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GREY.mix(0.25))
        .axis_style(GREY)
        .label_style(font(13))
        .x_desc("pages written (0 at the left edge)")
        .y_desc("µs")
        .x_label_formatter(&|x| {
            if *x < 1.0 {
                "0".into()
            } else {
                format!("{x:.0}")
            }
        })
        .y_label_formatter(&|y| format!("{y}"))
        .draw()?;
    for (nth, strategy) in STRATEGIES.iter().enumerate() {
        let points: Vec<(f64, f64)> = curve
            .iter()
            .map(|costs| (x(costs.n_pages), costs.cycles[nth] / 1000.0))
            .collect();
        let colour = COLOURS[nth];
        let width = if nth == 0 { 3 } else { 1 };
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(width)))?
            .label(strategy.to_string())
            .legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(width))
            });
        chart.draw_series(
            points
                .into_iter()
                .map(|at| Circle::new(at, 2, colour.filled())),
        )?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(font(14))
        .draw()?;
    area.present()?;
    Ok(())
}
