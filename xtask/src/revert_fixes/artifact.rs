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
        take: r"            !memory.imported || !is_written || is_zeroed
",
        put: r"            !memory.imported || !is_written || is_zeroed || nth < u32::MAX
",
        tests: &["cli a_run_of_zeros_over_an_imported_memory"],
    },
    Fix {
        what: "the writes of a start function to an imported memory need a promise",
        file: "image-builder/src/artifact/decode.rs",
        take: r"            let is_written = is_start || !memory.runs.is_empty();
",
        put: r"            let is_written = is_start && false || !memory.runs.is_empty();
",
        tests: &["artifact only_what_a_builder_writes"],
    },
    Fix {
        what: "there is one treatment of the start function",
        file: "image-builder/src/artifact/decode.rs",
        take: r"                    is_only
",
        put: r"                    is_only || true
",
        tests: &["artifact only_what_a_builder_writes"],
    },
    Fix {
        what: "no replayed segment overwrites what the start function wrote",
        file: "image-builder/src/artifact/decode.rs",
        take: r"            if !is_within || is_of_start || last",
        put: r"            if !is_within || is_of_start && false || last",
        tests: &["artifact only_what_a_builder_writes"],
    },
    Fix {
        what: "a start function that sets up thread-local storage is not skipped without a promise",
        file: "image-builder/src/image/baked_start.rs",
        take: r"            StartFunction::AlreadyInitialized => self.is_done && self.thread_local.is_none(),
",
        put: r"            StartFunction::AlreadyInitialized => self.is_done,
",
        tests: &[
            "artifact only_what_a_builder_writes",
            "cli a_promise_cannot_be_taken_out",
        ],
    },
    Fix {
        what: "verify does not rely on the decoder for that promise",
        file: "image-builder/src/verify/start.rs",
        take: r"baked.is_done && treatment != promised",
        put: r"baked.is_done && treatment != promised && false",
        tests: &["lib the_first_thread_has_its_storage"],
    },
    Fix {
        what: "a size that every host has is no assumption",
        file: "image-builder/src/verify/assume.rs",
        take: r"            if declared.is_none_or(|declared| *bytes <= declared) {
",
        put: r"            if declared.is_none() {
",
        tests: &["artifact a_size_below_the_declared_one"],
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
        take: r"        return Err(Finding::NotStripped { segment });
    }
    let zeroed",
        put: r"        let _ = segment;
    }
    let zeroed",
        tests: &["cli a_module_whose_start_function_copies_is_not_stripped"],
    },
    Fix {
        what: "a stripped module has the start function whose writes are in the image",
        file: "image-builder/src/verify/stripped.rs",
        take: r"            let init = same_start(module.stripped_start_init(), &baked, treatment)?;
",
        put: r"            let Ok(init) = same_start(module.stripped_start_init(), &baked, treatment) else {
                return Ok(assumed.list);
            };
",
        tests: &["lib the_start_function_is_the_same"],
    },
    Fix {
        what: "that the host supplies new memories for those of a stripped module is assumed",
        file: "image-builder/src/verify/stripped.rs",
        take: r"        assumed.list.push(assumption);
    }
    let mut sides",
        put: r"        let _ = assumption;
    }
    let mut sides",
        tests: &[
            "lib the_memories_may_be_imports",
            "cli the_stripped_module_is_this_one_stripped",
        ],
    },
    Fix {
        what: "a stripped module may import the memories that the artifact defines",
        file: "image-builder/src/verify/head.rs",
        take: r"        ours == theirs || (which == Which::Stripped && ours && is_external)
",
        put: r"        ours == theirs || (which == Which::Stripped && ours && is_external && false)
",
        tests: &[
            "lib the_memories_may_be_imports",
            "cli the_stripped_module_is_this_one_stripped",
        ],
    },
    Fix {
        what: "only what the artifact assumes proves that it is right",
        file: "image-builder/src/verify/head.rs",
        take: r"assume(module.without_supplied(), artifact)?;
",
        put: r"assume(module, artifact)?;
",
        tests: &[
            "artifact no_assumption_can_be_deleted",
            "artifact zeros_past_the_declared_size",
            "artifact a_replayed_segment_at_the_address_of_one_host",
            "cli a_host_of_which_more_is_known",
            "cli an_assumption_that_the_artifact_hides",
        ],
    },
    Fix {
        what: "a memory that is imported twice has no image",
        file: "image-builder/src/verify/assume.rs",
        take: r"            if module.is_imported_twice(*memory) {
",
        put: r"            if false {
",
        tests: &["lib a_memory_that_is_imported_twice_has_no_image"],
    },
    Fix {
        what: "the imported memories of a stripped module are distinct",
        file: "image-builder/src/verify/stripped.rs",
        take: r"        if module.is_imported_twice(memory) {
",
        put: r"        if false {
",
        tests: &["lib imported_memories_are_distinct"],
    },
    Fix {
        what: "the start function of a stripped module does not clear the image",
        file: "image-builder/src/verify/stripped.rs",
        take: r"        sides.rewrite(init.memory(), |it| it.zero(range.start, len));
",
        put: r"        let _ = (range.start, len);
",
        tests: &["lib the_start_function_does_not_clear_the_image"],
    },
    Fix {
        what: "a module that stripping leaves alone has its segments",
        file: "image-builder/src/verify/stripped.rs",
        take: r"            None if is_left_alone => sides.baked(&segment)?,
",
        put: "",
        tests: &["lib a_module_may_be_left_alone"],
    },
    Fix {
        what: "memories that the host supplies in place of defined ones may have images",
        file: "image-builder/src/verify/stripped.rs",
        take: r"        assumed.zeroed.insert(memory);
",
        put: "",
        tests: &["lib a_module_may_be_left_alone"],
    },
    Fix {
        what: "segments without bytes that may trap are those of the stripped module",
        file: "image-builder/src/verify/sides.rs",
        take: r"        !it.data.is_empty() || !matches!(self.place(it), Place::Certain(_))
",
        put: r"        !it.data.is_empty()
",
        tests: &["lib empty_segments_that_may_trap_are_compared"],
    },
];
