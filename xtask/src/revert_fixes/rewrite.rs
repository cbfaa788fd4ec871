//! Fixes of image-builder: rewritten modules.

use super::fix::Fix;

#[rustfmt::skip]
pub(super) const FIXES: &[Fix] = &[
    Fix {
        what: "a component is not copied once for each level of nesting",
        file: "image-builder/src/rewrite/component.rs",
        take: r"            let inner = self.component(section.contents, depth, f)?;
",
        put: r"            let mut nested = Self {
                bytes: Vec::with_capacity(section.contents.len()),
                missing: Vec::new(),
            };
            nested.component(section.contents, depth, f)?;
            self.bytes.extend_from_slice(&nested.finish());
            let inner = 0;
",
        tests: &["hostile dense_components_are_copied"],
    },
    Fix {
        what: "a component of unchanged modules is unchanged, even with padded sizes",
        file: "image-builder/src/rewrite/component.rs",
        take: "        true => section.size_width(),",
        put: "        true => 1,",
        tests: &["rewrite padded_sizes_of_nested_binaries_are_kept"],
    },
    Fix {
        what: "the size of a module that became shorter is not padded",
        file: "image-builder/src/rewrite/component.rs",
        take: "        false => 1,",
        put: "        false => section.size_width(),",
        tests: &["rewrite sizes_of_changed_modules_are_not_padded"],
    },
    Fix {
        what: "memories and exports come before the names",
        file: "image-builder/src/rewrite/internalize.rs",
        take: r"        let is_after_memories = n_before_trailing <= nth
            || ",
        put: r"        let is_after_memories = n_before_trailing + 1 < nth
            || ",
        tests: &["rewrite names_stay_last"],
    },
    Fix {
        what: "code stays where it is though numbers before it are padded",
        file: "image-builder/src/rewrite/assemble.rs",
        take: r"                    let count = padded(n_segments, section.contents.len());
",
        put: r"                    let count = padded(n_segments, 1);
",
        tests: &["rewrite code_stays_where_it_is_though_numbers_are_padded"],
    },
    Fix {
        what: "a module packed for its start has few segments",
        file: "image-builder/src/rewrite/choose.rs",
        take: r"            let covers = joined(NARROW, bounds.doubled());
",
        put: r"            let covers = joined(0, bounds.doubled());
",
        tests: &["rewrite packing_does_not_create_thousands_of_segments"],
    },
    Fix {
        what: "packing for its start gives a module the image that engines make",
        file: "image-builder/src/rewrite/choose.rs",
        take: r"            vec![with_image(covers, bounds.doubled())]
",
        put: r"            vec![covers]
",
        tests: &["rewrite packing_for_start_can_gain_an_image"],
    },
    Fix {
        what: "packing keeps the image that engines make of a module",
        file: "image-builder/src/rewrite/choose.rs",
        take: r"        .map(|(cover, was_dense)| if *was_dense { densify(cover) } else { cover })
",
        put: r"        .map(|(cover, _)| cover)
",
        tests: &["rewrite packing_for_speed_keeps_engine_images"],
    },
    Fix {
        what: "a limit on segments is kept",
        file: "image-builder/src/rewrite/limit.rs",
        take: r"    if !too_many(&covers) {
",
        put: r"    if too_many(&covers) {
",
        tests: &["rewrite a_segment_limit_is_respected"],
    },
    Fix {
        what: "names of segments that cannot be read are not kept",
        file: "image-builder/src/rewrite/names.rs",
        take: r"                Ok(None) | Err(_) => continue,
",
        put: r"                Ok(None) => continue,
                Err(_) => contents.to_vec(),
",
        tests: &["rewrite stale_names"],
    },
    Fix {
        what: "packing keeps the order of writes to two imports though one has no image",
        file: "image-builder/src/rewrite/pack.rs",
        take: r"        |it: &&MemoryPlan<'_>| it.is_imported() && !it.ty().shared && it.extent().is_some();
",
        put: r"        |it: &&MemoryPlan<'_>| it.is_imported() && !it.ty().shared && it.n_baked() != 0;
",
        tests: &["rewrite imports_keep_their_order_though_one_has_no_image"],
    },
    Fix {
        what: "segments of an imported shared memory stay as they are",
        file: "image-builder/src/rewrite/pack.rs",
        take: r"            if it.ty().shared {
                return None;
            }
",
        put: "",
        tests: &["rewrite shared_imports_are_not_packed"],
    },
    Fix {
        what: "no module gets more segments than engines accept",
        file: "image-builder/src/rewrite/snapshot.rs",
        take: r"    if MAX_DATA_SEGMENTS < n_segments {
",
        put: r"    if false {
",
        tests: &["rewrite more_segments_than_engines_accept"],
    },
    Fix {
        what: "stripping the writes of a start function takes linear time",
        file: "image-builder/src/rewrite/start.rs",
        take: r"    for it in &original.uses {
        if let Some(is_removed) = is_removed.get_mut(position(it.segment))
            && !body.contains(&it.at.start)
        {
            *is_removed = false;
        }
    }
",
        put: r"    for (nth, is_removed) in is_removed.iter_mut().enumerate() {
        let is_other = |it: &super::code::DataUse| {
            position(it.segment) == nth && !body.contains(&it.at.start)
        };
        if original.uses.iter().any(is_other) {
            *is_removed = false;
        }
    }
",
        tests: &["wasm-meminit/growth strip: a start function with many writes"],
    },
    Fix {
        what: "a module is not stripped by another module's plan",
        file: "image-builder/src/rewrite/strip.rs",
        take: r"    if !plan.matches(module) {
        return Err(RewriteError::WrongPlan);
    }
",
        put: "",
        tests: &["rewrite another_plan"],
    },
    Fix {
        what: "the data of object files is not stripped",
        file: "image-builder/src/rewrite/strip.rs",
        take: r"    if original.is_relocatable && is_baked.contains(&true) {
        return Err(RewriteError::Relocatable);
    }
",
        put: "",
        tests: &["rewrite object_files"],
    },
    Fix {
        what: "as many components within each other are rewritten as the limit says",
        file: "image-builder/src/rewrite/component.rs",
        take: r"    if depth == MAX_DEPTH {
",
        put: r"    if depth.saturating_add(1) == MAX_DEPTH {
",
        tests: &["rewrite components_nested_too_deeply"],
    },
];
