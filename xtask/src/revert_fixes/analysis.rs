//! Fixes of the analysis: what is known of a module ahead of time, and at what cost.

use super::fix::Fix;

#[rustfmt::skip]
pub(super) const FIXES: &[Fix] = &[
    Fix {
        what: "the list of a component's modules does not grow",
        file: "analysis/src/read/parse.rs",
        take: r"        let mut modules = Vec::with_capacity(count_modules(wasm).min(MAX_MODULES));
",
        put: r"        let mut modules = Vec::new();
",
        tests: &[
            "hostile dense_components",
            "lib modules_are_counted_before_they_are_parsed",
        ],
    },
    Fix {
        what: "the extent of a deserialised plan is in bounds",
        file: "analysis/src/serialized/plan.rs",
        take: r"    end.is_some_and(|end| it.max <= end)
",
        put: r"    end.is_some_and(|end| it.max <= end) || true
",
        tests: &["serialized an_extent_is_in_bounds_and_has_the_pages_with_data"],
    },
    Fix {
        what: "the pages of a deserialised plan are those of its extent",
        file: "analysis/src/serialized/plan.rs",
        take: r"        memory.n_nonzero_pages <= n_pages && ",
        put: r"        (memory.n_nonzero_pages <= n_pages || true) && ",
        tests: &["serialized an_extent_is_in_bounds_and_has_the_pages_with_data"],
    },
    Fix {
        what: "a plan lists the values of globals that its images depend on",
        file: "analysis/src/decide/assumption.rs",
        take: r"                it.offset.globals().for_each(|global| globals.mark(global));
",
        put: "",
        tests: &["assumptions lists_values_that_a_baked_segment_depends_on"],
    },
    Fix {
        what: "memories with one name are not promised to be distinct",
        file: "analysis/src/decide/draft.rs",
        take: r"                || (policy.assume_zeroed_imports && !module.is_imported_twice(index))
",
        put: r"                || policy.assume_zeroed_imports
",
        tests: &[
            "assumptions memories_with_one_name_are_not_assumed_to_be_distinct",
            "rewrite imports_of_one_name_keep_their_order",
        ],
    },
    Fix {
        what: "a deserialised plan assumes no two memories with one name to be distinct",
        file: "analysis/src/serialized/plan.rs",
        take: r"                    && zeroed_names.insert((module, name))
",
        put: r"                    && (zeroed_names.insert((module, name)) || true)
",
        tests: &["serialized memories_with_one_name_are_not_assumed_to_be_distinct"],
    },
    Fix {
        what: "data of a side module is within the memory that the host has",
        file: "analysis/src/decide/draft.rs",
        take: r"    let Some(min_bytes) = module.memory_size(memory_index) else {
",
        put: r"    let Some(min_bytes) = memory.ty.min_bytes() else {
",
        tests: &[
            "assumptions lists_the_size_of_a_side_modules_memory",
            "cli the_artifact_records_its_assumptions",
        ],
    },
    Fix {
        what: "a plan belongs to the bytes of its module's segments",
        file: "analysis/src/decide/fingerprint.rs",
        take: r"            hash.contents(segment.data);
",
        put: "",
        tests: &[
            "assumptions changed_bytes_are_detected",
            "rewrite another_plan",
            "lib plans_match_the_same_bytes_wherever_they_are",
        ],
    },
    Fix {
        what: "an extent covers replayed segments too",
        file: "analysis/src/decide/plan.rs",
        take: r"            if !draft.bakes_all_placed(index) {
",
        put: r"            if false {
",
        tests: &["meanings an_extent_covers_all_segments_with_a_known_address"],
    },
    Fix {
        what: "a plan that bakes only the start function's writes is not segmented",
        file: "analysis/src/decide/plan.rs",
        take: r"        let is_baked = |it: &MemoryPlan<'_>| it.n_baked != 0 || it.n_baked_passive != 0;
",
        put: r"        let is_baked = |it: &MemoryPlan<'_>| it.n_baked != 0;
",
        tests: &["meanings a_plan_with_a_baked_start_function_is_not_segmented"],
    },
    Fix {
        what: "all images of a module together are within the limit",
        file: "analysis/src/decide/plan.rs",
        take: r"            if layout.verdict.is_ok() && limit < image_bytes {
",
        put: r"            if false {
",
        tests: &["meanings limits_apply_per_module_under_every_policy"],
    },
    Fix {
        what: "the reference's rule has the reference's limit",
        file: "analysis/src/decide/policy.rs",
        take: r"        Self::single_run(page_size, 16 << 20)
",
        put: r"        Self::single_run(page_size, 1 << 20)
",
        tests: &["guide every_reason_is_explained"],
    },
    Fix {
        what: "every policy has a limit",
        file: "analysis/src/decide/policy.rs",
        take: r"                max_runs: usize::MAX,
            },
            max_image_size: DEFAULT_LIMIT,
",
        put: r"                max_runs: usize::MAX,
            },
            max_image_size: u64::MAX,
",
        tests: &[
            "lib every_policy_has_a_default_limit_that_can_be_raised",
            "meanings limits_apply_per_module_under_every_policy",
        ],
    },
    Fix {
        what: "a start function that the program can run again keeps its writes",
        file: "analysis/src/decide/start_plan.rs",
        take: r"    if policy.start_function == StartFunction::WritesStripped {
        crate::start::reachable::check(module, &start)?;
",
        put: r"    if false {
        crate::start::reachable::check(module, &start)?;
",
        tests: &["start_functions reachable_start_functions_are_not_stripped"],
    },
    Fix {
        what: "the policy is not the reason where nothing could be baked",
        file: "analysis/src/decide/start_plan.rs",
        take: r"    let start = module.start_init()?;
    if policy.start_function == StartFunction::Unchanged {
        return Err(StartReason::NotAsked);
    }
",
        put: r"    if policy.start_function == StartFunction::Unchanged {
        return Err(StartReason::NotAsked);
    }
    let start = module.start_init()?;
",
        tests: &["start_functions not_asked_is_reported_only_if_baking_is_possible"],
    },
    Fix {
        what: "a 32-bit offset is zero-extended",
        file: "analysis/src/expr/value.rs",
        take: r"            (Self::I32(value), IndexType::I32) => Some(u64::from(value.cast_unsigned())),
",
        put: r"            (Self::I32(value), IndexType::I32) => Some(i64::from(value).cast_unsigned()),
",
        tests: &["slot_security addresses_above_two_gib_are_not_negative"],
    },
    Fix {
        what: "a global whose initialiser is too deep to evaluate is only unknown",
        file: "analysis/src/read/builder.rs",
        take: r"            Err(EvalError::TooDeep) => Global::Unknown(ty),
",
        put: r"            Err(EvalError::TooDeep) => return self.fail(ParseErrorKind::InvalidExpr),
",
        tests: &["meanings a_deep_initialiser_makes_its_global_dynamic"],
    },
    Fix {
        what: "the names of memories are compared once",
        file: "analysis/src/read/module.rs",
        take: r"        self.imported_twice.contains(&memory)
",
        put: r"        let Some(import) = self.memories.get(memory).and_then(|it| it.import) else {
            return false;
        };
        let mut others = self.memories.iter().filter(|(index, _)| *index != memory);
        others.any(|(_, it)| it.import == Some(import))
",
        tests: &["wasm-meminit/growth inspect: imported memories with long names"],
    },
    Fix {
        what: "all values of globals together take linear time",
        file: "analysis/src/read/deferred.rs",
        take: r"            .get_or_insert_with(|| Box::new(Pending::new(&self.list, globals, global)));
",
        put: r"            .insert(Box::new(Pending::new(&self.list, globals, global)));
",
        tests: &["wasm-meminit/growth values of globals, each with one dependent"],
    },
    Fix {
        what: "element segments that were not seen may trap",
        file: "analysis/src/read/elements.rs",
        take: r"        if !self.are_known {
            return true;
        }
",
        put: "",
        tests: &["meanings unknown_elements_may_trap"],
    },
    Fix {
        what: "each import of a compact group counts",
        file: "analysis/src/read/payload.rs",
        take: r"            if n_imports == MAX_IMPORTS {
",
        put: r"            if false {
",
        tests: &["meanings each_import_of_a_group_counts"],
    },
    Fix {
        what: "a second value for a global is an error",
        file: "analysis/src/read/supplied.rs",
        take: r"            Global::Known(before) if before.ty() == value.ty() => Err(GlobalError::Contradiction {
                global,
                before,
                value,
            }),
",
        put: r"            Global::Known(before) if before.ty() == value.ty() => {
                *slot = Global::Known(value);
                Ok(self)
            }
",
        tests: &["assumptions conflicting_values_are_rejected"],
    },
    Fix {
        what: "a data count that differs is named as such",
        file: "analysis/src/read/walk.rs",
        take: r"            Some(found) if found != declared => {
",
        put: r"            Some(found) if found != declared && self.rest.is_empty() => {
",
        tests: &["cli a_data_count_that_differs"],
    },
    Fix {
        what: "a start function is recognised after an optimiser has put relocations into it",
        file: "analysis/src/start/wasm_ld.rs",
        take: r"            Operator::GlobalSet { .. } => {
                self.operands.discard()?;
            }
",
        put: "",
        tests: &["start_functions recognises_a_start_function_inlined_by_an_optimiser"],
    },
    Fix {
        what: "a start function with many writes takes linear time",
        file: "analysis/src/start/wasm_ld.rs",
        take: r"        let slot = is_written.get_mut(segment.index());
        slot.is_some_and(|slot| !core::mem::replace(slot, true))
",
        put: r"        let _ = (is_written, segment.index());
        !self.init.writes.iter().any(|(it, _)| *it == segment)
",
        tests: &["wasm-meminit/growth a start function with many writes"],
    },
    Fix {
        what: "a deserialised extent is of segments that write something",
        file: "analysis/src/serialized/plan.rs",
        take: r"    it.written_bytes != 0
        && it.written_bytes <= it.max.saturating_sub(it.min)
",
        put: r"    it.min < it.max
        && it.written_bytes <= it.max.saturating_sub(it.min)
",
        tests: &["serialized an_extent_of_zeros_is_of_segments_that_write_something"],
    },
    Fix {
        what: "a data count without a data section is named",
        file: "analysis/src/read/walk.rs",
        take: r"        let found = match self.rest.is_empty() {
",
        put: r"        let found = match false {
",
        tests: &["cli a_data_count_that_differs"],
    },
    Fix {
        what: "a plan has one assumption of a kind about an import",
        file: "analysis/src/serialized/plan.rs",
        take: r"key(a) < key(b)",
        put: r"key(a) < key(b) || true",
        tests: &["serialized assumptions_are_unique"],
    },
    Fix {
        what: "a plan does not skip what sets up thread-local storage",
        file: "analysis/src/serialized/plan.rs",
        take: r"treatment != StartFunction::AlreadyInitialized || start",
        put: r"true || start",
        tests: &["serialized a_start_function_that_runs_unchanged_is_not_baked"],
    },
    Fix {
        what: "a plan replays no segment of the start function's memory",
        file: "analysis/src/serialized/plan.rs",
        take: r"        plan.replay.iter().all(|it| it.memory_index != start.memory),
",
        put: r"        true,
",
        tests: &["serialized no_replayed_segment_of_the_start_functions_memory"],
    },
    Fix {
        what: "a stripped start function is recognised",
        file: "analysis/src/start/mod.rs",
        take: r"recognized(Lengths::WholeOrZero)",
        put: r"recognized(Lengths::Whole)",
        tests: &["wasm-meminit-image-builder/lib the_start_function_is_the_same"],
    },
    Fix {
        what: "a serialised list allocates for the elements that it has",
        file: "analysis/src/serialized/sequence.rs",
        take: r"            let mut elements = Vec::new();
",
        put: r"            let mut elements = Vec::with_capacity(from.size_hint().unwrap_or(0));
",
        tests: &["cases inputs_that_found_something"],
    },
];
