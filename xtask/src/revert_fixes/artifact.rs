//! Fixes of image-builder: images, artifacts, and their comparison with modules.

use super::fix::Fix;

#[rustfmt::skip]
pub(super) const FIXES: &[Fix] = &[
    Fix {
        what: "an artifact assumes no two memories with one name to be distinct",
        file: "image-builder/src/artifact/decode.rs",
        take: r"                        && names.insert((module, name))
",
        put: r"                        && (names.insert((module, name)) || true)
",
        tests: &["artifact memories_with_one_name_are_not_distinct"],
    },
    Fix {
        what: "a plan with pieces that overlap is noticed before it becomes an image",
        file: "image-builder/src/image/splice.rs",
        take: r#"    debug_assert!(from <= to, "pieces overlap");
"#,
        put: "",
        tests: &[
            "lib overlapping_pieces_are_no_image",
            "lib pieces_out_of_order_are_no_image",
        ],
    },
    Fix {
        what: "only the head of an artifact is read to load it",
        file: "image-builder/src/artifact/decode.rs",
        take: r"        reader.by_ref().take(header_len).read_to_end(&mut head)?;
",
        put: r"        let _ = header_len;
        reader.by_ref().read_to_end(&mut head)?;
",
        tests: &["artifact only_the_head_is_read"],
    },
    Fix {
        what: "a run over an imported memory needs a promise",
        file: "image-builder/src/artifact/decode.rs",
        take: r"            !memory.imported || memory.runs.is_empty() || is_zeroed
",
        put: r"            !memory.imported || memory.runs.is_empty() || is_zeroed || nth < usize::MAX
",
        tests: &["cli a_run_of_zeros_over_an_imported_memory"],
    },
    Fix {
        what: "an artifact can be mapped with the pages of every host",
        file: "image-builder/src/artifact/encode.rs",
        take: r"        let wide = HostPageSize::KIB_64.max(page_size);
",
        put: r"        let wide = page_size;
",
        tests: &["artifact the_default_alignment_supports_all_page_sizes_for_large_images"],
    },
    Fix {
        what: "padding is not allocated",
        file: "image-builder/src/artifact/encode.rs",
        take: r"            self.push(ZEROS.get(..n).unwrap_or(&ZEROS))?;
",
        put: r"            self.push(alloc::vec![0; n].leak())?;
",
        tests: &["artifact padding_of_1_gib_is_not_allocated"],
    },
    Fix {
        what: "an expression that has no value is refused",
        file: "image-builder/src/artifact/entry.rs",
        take: r"            Ok((expr @ OffsetExpr::Expr(_), [])) if expr.is_well_typed(index_type) => expr,
",
        put: r"            Ok((expr @ OffsetExpr::Expr(_), [])) => expr,
",
        tests: &["artifact forged_contents"],
    },
    Fix {
        what: "a start function's flag may lie in several runs",
        file: "image-builder/src/artifact/file.rs",
        take: r"    image.read(start.flag, &mut found);
",
        put: r"    for run in image.runs() {
        let at = usize::try_from(start.flag.wrapping_sub(run.addr)).ok();
        let rest = at.and_then(|at| run.data.get(at..)).unwrap_or(&[]);
        if let Some(whole) = rest.first_chunk::<4>() {
            found = *whole;
        } else if !rest.is_empty() {
            return Err(DecodeError::Invalid { part: Part::Start });
        }
    }
",
        tests: &["artifact every_artifact_is_read_by_both_decoders"],
    },
    Fix {
        what: "bytes past the end of a memory are refused",
        file: "image-builder/src/artifact/file.rs",
        take: r"        self.check_end(&image, memory, index)?;
",
        put: "",
        tests: &[
            "artifact bytes_past_the_end_of_a_memory_are_rejected",
            "cli a_byte_past_the_end",
        ],
    },
    Fix {
        what: "the codes of an artifact are those of its format, not those of a type",
        file: "image-builder/src/artifact/wire.rs",
        take: r"const I32: u8 = 0x7f;
",
        put: r"const I32: u8 = 0x7d;
",
        tests: &["artifact golden_artifacts_do_not_change"],
    },
    Fix {
        what: "a captured memory that cannot be an image has the reason in its error",
        file: "image-builder/src/image/capture.rs",
        take: r"            (Some(Reason::PageSize { page_size }), _) => Err(BuildError::PageSize {
                wasm_page: page_size,
                host_page: policy.page_size().bytes(),
            }),
",
        put: "",
        tests: &["lib an_error_names_its_reason"],
    },
    Fix {
        what: "an image is not built from another module's plan",
        file: "image-builder/src/image/module.rs",
        take: r"        if !plan.matches(module) {
            return Err(BuildError::WrongPlan);
        }
",
        put: "",
        tests: &["serialized a_plan_of_another_module_is_refused"],
    },
    Fix {
        what: "an image that does not fit the process's memory is an error",
        file: "image-builder/src/image/splice.rs",
        take: r"        .try_reserve_exact(len)
        .map_err(|_| BuildError::OutOfMemory { image_bytes })?;
",
        put: r"        .reserve_exact(len);
",
        tests: &["lib sizes_are_checked_before_they_are_allocated"],
    },
    Fix {
        what: "verify takes what the artifact assumes",
        file: "image-builder/src/verify/assume.rs",
        take: r"                None => module.with_global(*global, *value).map_err(|_| mismatch()),
",
        put: r"                None => Ok(module),
",
        tests: &["cli the_artifact_records_its_assumptions"],
    },
    Fix {
        what: "the same bytes from another module are a difference",
        file: "image-builder/src/verify/compare.rs",
        take: r"        Some(found) if found != hash => Err(Finding::Source {
",
        put: r"        Some(found) if found != hash && hash.0.is_empty() => Err(Finding::Source {
",
        tests: &["cli the_same_bytes_from_another_module"],
    },
    Fix {
        what: "what is visible before the replay is compared",
        file: "image-builder/src/verify/sides.rs",
        take: r"        same(Moment::Image, &self.image, &self.runs)?;
",
        put: "",
        tests: &[
            "cli bytes_of_a_replayed_segment_in_the_image",
            "forged images_with_a_byte_changed",
        ],
    },
    Fix {
        what: "what the start function fills with zeros is compared",
        file: "image-builder/src/verify/start.rs",
        take: r"        sides.expected.of(memory).zero(range.start, len);
        rest.of(memory).zero(range.start, len);
",
        put: r"        let _ = (range.start, len);
",
        tests: &["cli other_effects_of_the_start_function"],
    },
    Fix {
        what: "ranges that the start function fills and segments that it writes do not meet",
        file: "image-builder/src/verify/start.rs",
        take: r"        if range.start < other {
",
        put: r"        if false {
",
        tests: &["cli other_effects_of_the_start_function"],
    },
    Fix {
        what: "a module whose start function copies what the image has is not stripped",
        file: "image-builder/src/verify/stripped.rs",
        take: r"        Some(segment) => Err(Finding::NotStripped { segment }),
        None => Ok(assumed.list),
",
        put: r"        _ => Ok(assumed.list),
",
        tests: &["cli a_module_whose_start_function_copies_is_not_stripped"],
    },
    Fix {
        what: "an artifact may reckon with more traps than a host of which more is known",
        file: "image-builder/src/verify/head.rs",
        take: r"assume(module.clone().without_supplied(), artifact)?;
",
        put: r"assume(module.clone(), artifact)?;
",
        tests: &["cli a_host_of_which_more_is_known"],
    },
];
