//! Fixes of the command-line tool.

use super::fix::Fix;

#[rustfmt::skip]
pub(super) const FIXES: &[Fix] = &[
    Fix {
        what: "an artifact has the hash of its stripped module",
        file: "src/commands/build/artifact.rs",
        take: r"        image = image.with_stripped(sha256(wasm, progress));
",
        put: r"        let _ = sha256(wasm, progress);
",
        tests: &["cli a_stripped_module_is_recognised_by_its_hash"],
    },
    Fix {
        what: "a stripped component says that only a core module is left",
        file: "src/commands/build/artifact.rs",
        take: r#"            true => format!(", only core module {nth} of the component"),
"#,
        put: r#"            true => format!("{}", &nth.to_string()[..0]),
"#,
        tests: &["cli stripping_a_component_writes_the_core_module"],
    },
    Fix {
        what: "an object file is refused before it is linked",
        file: "src/commands/build/survey.rs",
        take: r#"        Relocation::Object => Err(Error::of(
            &source,
            "this is an object file; its data segments are not relocated yet",
        )
        .with_hint("link it first, then build from the linker's output")),
"#,
        put: r"        Relocation::Object => Ok(()),
",
        tests: &["cli modules_with_relocations"],
    },
    Fix {
        what: "the memory of another instance is not promised to be zero",
        file: "src/report/instances.rs",
        take: r"        let is_promised = policy.assumes_zeroed_imports() && !self.are_linked(module);
",
        put: r"        let is_promised = policy.assumes_zeroed_imports() && module != usize::MAX;
",
        tests: &["cli a_memory_of_another_instance_is_not_the_hosts"],
    },
    Fix {
        what: "in a component, memories of instances that were not found are not the host's either",
        file: "src/report/instances.rs",
        take: r"                // In a component, a memory that is imported is always another instance's.
                self.link(module);
",
        put: r"",
        tests: &["cli no_memory_of_an_instance_in_a_component_is_the_hosts"],
    },
    Fix {
        what: "another component may instantiate a core module that is an argument",
        file: "src/report/instances.rs",
        take: r"                let modules = args.iter().filter(|it| is_module(it.kind));
                modules.for_each(|it| self.link(level.module(it.index)));
",
        put: r"                let _ = args;
",
        tests: &["cli no_memory_of_an_instance_in_a_component_is_the_hosts"],
    },
    Fix {
        what: "another component may instantiate a core module that is in an instance",
        file: "src/report/instances.rs",
        take: r"                let modules = exports.iter().filter(|it| is_module(it.kind));
                modules.for_each(|it| self.link(level.module(it.index)));
",
        put: r"                let _ = exports;
",
        tests: &["cli no_memory_of_an_instance_in_a_component_is_the_hosts"],
    },
    Fix {
        what: "another component may instantiate what a nested one exports",
        file: "src/report/instances.rs",
        take: r"                        if !outer.is_empty() {
",
        put: r"                        if outer.len() == usize::MAX {
",
        tests: &["cli no_memory_of_an_instance_in_a_component_is_the_hosts"],
    },
    Fix {
        what: "addresses that depend on other things differ",
        file: "src/diff/segments.rs",
        take: r"        if a.addr != b.addr || self.is_elsewhere {
",
        put: r"        if a.addr != b.addr || (self.is_elsewhere && a.offset.is_none()) {
",
        tests: &["cli offsets_that_depend_on_other_things"],
    },
    Fix {
        what: "the order of replayed segments is compared",
        file: "src/diff/segments.rs",
        take: r"        if self.is_reordered {
",
        put: r"        if self.is_reordered && self.is_elsewhere {
",
        tests: &["cli segments_that_are_replayed_in_another_order"],
    },
    Fix {
        what: "the order of what a start function copies is compared",
        file: "src/diff/segments.rs",
        take: r" || both.into_iter().all(is_copied)",
        put: "",
        tests: &["cli what_is_copied_in_another_order"],
    },
    Fix {
        what: "the storage of the first thread is compared",
        file: "src/contents/mod.rs",
        take: r"                thread_local: it.thread_local(),
",
        put: r"                thread_local: None,
",
        tests: &["cli the_storage_of_the_first_thread"],
    },
    Fix {
        what: "addresses that depend on other definitions differ",
        file: "src/diff/offsets.rs",
        take: r"        self.modules[side]?.global_definition(global)
",
        put: r"        self.modules[side]?.global_definition(global).filter(|_| false)
",
        tests: &["cli offsets_that_depend_on_definitions"],
    },
    Fix {
        what: "of a start function, the zeros that differ are shown",
        file: "src/diff/facts.rs",
        take: r"zeroed.get(nth.unwrap_or(0))",
        put: r"zeroed.get(nth.unwrap_or(0).min(0))",
        tests: &["cli the_zeros_that_differ_are_shown"],
    },
    Fix {
        what: "what images rely on is compared",
        file: "src/diff/mod.rs",
        take: r"            && self.facts.are_equal()
",
        put: "",
        tests: &["cli assumptions_elements_and_start_functions"],
    },
    Fix {
        what: "a start function that may copy is not taken for one that copies nothing",
        file: "src/report/require.rs",
        take: r"            && (start.is_recognised() || copying::may_copy(&module.module))
",
        put: r"            && start.is_recognised()
            && !copying::may_copy(&Default::default())
",
        tests: &["cli a_start_function_that_may_copy"],
    },
    Fix {
        what: "a page size may have a unit",
        file: "src/input/args.rs",
        take: r"    HostPageSize::new(units::bytes(text)?).map_err(|err| err.to_string())
",
        put: r#"    let bytes: u64 = text.parse().map_err(|_| units::bytes("").unwrap_err())?;
    HostPageSize::new(bytes).map_err(|err| err.to_string())
"#,
        tests: &["bin page_sizes"],
    },
    Fix {
        what: "files of other formats are named",
        file: "src/input/foreign.rs",
        take: r"    if let Some((_, what, advice)) = MAGIC.iter().find(|it| begins(it.0)) {
",
        put: r"    if let Some((_, what, advice)) = MAGIC.iter().find(|it| it.0.is_empty()) {
",
        tests: &["cli other_formats_are_named"],
    },
    Fix {
        what: "options are looked up, not compared with every import",
        file: "src/input/import.rs",
        take: r"        let all = self.found.get(&option.name).map_or(&[][..], Vec::as_slice);
",
        put: r"        let all = self.found.iter().filter(|it| *it.0 == &option.name);
        let all = all.last().map_or(&[][..], |it| it.1.as_slice());
",
        tests: &["wasm-meminit/growth inspect: an option for every fourth import"],
    },
    Fix {
        what: "an option that names no core module is about the selected one",
        file: "src/input/args.rs",
        take: r"            import.module = import.module.or(module);
",
        put: r"            let _ = (&import.module, module);
",
        tests: &["cli options_are_about_the_selected_module"],
    },
    Fix {
        what: "one command has the base and the size of a side module's memory",
        file: "src/report/hint.rs",
        take: r"            Reason::OutOfBounds { .. } | Reason::DynamicOffset { .. }
        )
    };
    let of_segments",
        put: r"            Reason::OutOfBounds { .. }
        )
    };
    let of_segments",
        tests: &["cli a_side_module_needs_one_command"],
    },
    Fix {
        what: "no size is asked for that a memory cannot have",
        file: "src/report/hint.rs",
        take: r"                    IndexType::I32 => Some(1 << 32),
",
        put: r"                    IndexType::I32 => None,
",
        tests: &["cli an_address_beyond_any_memory_needs_no_size"],
    },
    Fix {
        what: "diff lists at most 1,000 segments of a file",
        file: "src/diff/json.rs",
        take: r"    room.segments -= n_segments;
",
        put: r"",
        tests: &["cli segments_of_a_thousand_modules"],
    },
    Fix {
        what: "the stripped module that an artifact names is its module, stripped",
        file: "src/commands/verify.rs",
        take: r"if comparison.verified.is_some() && !is_as_named(",
        put: r"if comparison.finding.is_some() && !is_as_named(",
        tests: &["cli the_stripped_module_is_this_one_stripped"],
    },
    Fix {
        what: "two values for one global are an error",
        file: "src/input/globals.rs",
        take: r"                Some(before) if before == value => continue,
",
        put: r#"                Some(_) => continue,
                #[allow(unreachable_patterns, reason = "reverted")]
"#,
        tests: &["cli a_value_can_select_its_module"],
    },
    Fix {
        what: "a value can be given for one module of a component",
        file: "src/input/import.rs",
        take: r"        let Some(module) = option.module else {
",
        put: r"        let Some(module) = option.module.filter(|it| *it == usize::MAX) else {
",
        tests: &["cli a_value_can_select_its_module"],
    },
    Fix {
        what: "the message for an unknown import is short",
        file: "src/input/import.rs",
        take: r"        names.truncate(MAX_SHOWN);
",
        put: "",
        tests: &["cli the_message_for_an_unknown_name_is_short"],
    },
    Fix {
        what: "a dash is stdout",
        file: "src/output/identity.rs",
        take: r#"    if path.as_os_str() == "-" {
"#,
        put: r"    if path.as_os_str().is_empty() {
",
        tests: &["cli a_dash_is_stdout"],
    },
    Fix {
        what: "a link that leads nowhere is written through",
        file: "src/output/identity.rs",
        take: r"            Ok(link) => path = fs::canonicalize(&directory)?.join(link),
            Err(_) => {
",
        put: r"            _ => {
",
        tests: &["cli dangling_links"],
    },
    Fix {
        what: "an output is never the input, under any name",
        file: "src/output/mod.rs",
        take: r"                .is_some_and(|it| *it == identity && it.is_storage())
",
        put: r"                .is_some_and(|it| *it == identity && it.is_storage() && path.as_os_str().is_empty())
",
        tests: &[
            "cli an_output_is_never_the_input",
            "cli a_redirected_stdout_is_stdout",
        ],
    },
    Fix {
        what: "two outputs are two files",
        file: "src/output/mod.rs",
        take: r"            if let Some((other, _)) = seen.iter().find(|(_, it)| *it == identity) {
",
        put: r"            if let Some((other, _)) = seen.iter().find(|(it, _)| it.is_empty()) {
",
        tests: &["cli two_outputs_must_be_two_files"],
    },
    Fix {
        what: "summaries do not go into an output that is stdout",
        file: "src/output/mod.rs",
        take: r"        if self.use_stdout() {
",
        put: r"        if self.targets.is_empty() {
",
        tests: &["cli a_dash_is_stdout"],
    },
    Fix {
        what: "a signal ends a tool that waits for something else than its files",
        file: "src/output/mod.rs",
        take: r"            transaction.watch_signals();
",
        put: "",
        tests: &["cli a_signal_leaves_no_temporary_file"],
    },
    Fix {
        what: "signals wait only as long as there are temporary files",
        file: "src/output/signals.rs",
        take: r"        self.0.is_free.store(true, Ordering::SeqCst);
",
        put: "",
        tests: &["cli a_signal_ends_a_tool_that_waits_for_the_reader_of_its_report"],
    },
    Fix {
        what: "a file that will replace a private one is private while it is written",
        file: "src/output/temporary.rs",
        take: r"        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
",
        put: "",
        tests: &["bin a_private_file_is_private_while_it_is_written"],
    },
    Fix {
        what: "a signal leaves no temporary file",
        file: "src/output/transaction.rs",
        take: r"        let held = self.held.get_or_insert_with(Held::new);
",
        put: r"        let held = &Held::new();
",
        tests: &["cli terminated_at_any_moment"],
    },
    Fix {
        what: "both outputs are replaced, or none",
        file: "src/output/transaction.rs",
        take: r"                replaced.iter().rev().for_each(Replaced::undo);
",
        put: "",
        tests: &["bin replaced_files_are_restored"],
    },
    Fix {
        what: "two new outputs that are one file are refused",
        file: "src/output/transaction.rs",
        take: r"            let is_other = is_none_of(&replaced, &it.target);
",
        put: r"            let is_other = Ok(());
",
        tests: &["bin one_new_file_under_two_names_is_refused"],
    },
    Fix {
        what: "names in a command to paste are quoted for the shell",
        file: "src/report/hint.rs",
        take: r#"    let by_name = quote(&format!("{module}{name}={value}"));
"#,
        put: r#"    let by_name = Some(format!("{module}{name}={value}"));
"#,
        tests: &["cli pasted_names_are_quoted_and_never_cut"],
    },
    Fix {
        what: "names in a command to paste are whole",
        file: "src/report/hint.rs",
        take: r"    let name = Dotted(import).to_string();
",
        put: r"    let name: String = Dotted(import).to_string().chars().take(40).collect();
",
        tests: &["cli pasted_names_are_quoted_and_never_cut"],
    },
    Fix {
        what: "one command has all options that put more data into images",
        file: "src/report/hint.rs",
        take: r#"        if self.start_function {
            options.push(String::from("--start-function"));
"#,
        put: r#"        if false {
            options.push(String::from("--start-function"));
"#,
        tests: &["cli one_command_has_all_options"],
    },
    Fix {
        what: "a command to paste has each option once that may be given once",
        file: "src/report/hint.rs",
        take: r#"without(args, "--start-function").into_iter()"#,
        put: "args",
        tests: &["cli a_suggested_option_is_given_once"],
    },
    Fix {
        what: "the JSON of a component with many memories is bounded",
        file: "src/report/json.rs",
        take: r"    let n_listed = maps.len().min(*n_left);
",
        put: r"    let n_listed = maps.len();
    *n_left = n_listed;
",
        tests: &["cli a_hundred_thousand_memories"],
    },
    Fix {
        what: "data that the start function writes is among the data bytes",
        file: "src/report/map.rs",
        take: r"        map.data_bytes += written.map(|len| len as u64).sum::<u64>();
",
        put: r"        let _ = (written.count(), map);
",
        tests: &["cli threaded_modules_count_the_same_bytes"],
    },
    Fix {
        what: "segments with one reason are one entry of a report",
        file: "src/report/reasons.rs",
        take: r"        let place = match last {
",
        put: r"        places.clear();
        last = None;
        let place = match last {
",
        tests: &[
            "bin segments_with_one_reason_are_one_group",
            "cli long_names_and_many_segments",
        ],
    },
    Fix {
        what: "a report on one memory fits a small terminal",
        file: "src/report/text.rs",
        take: r"        && module.module.memories().len() == 1
",
        put: r"        && module.module.memories().len() == usize::MAX
",
        tests: &["cli a_report_on_one_memory_fits_a_small_terminal"],
    },
    Fix {
        what: "invisible characters of names are shown as escapes",
        file: "src/text/printable.rs",
        take: r"        | '\u{ad}' | '\u{34f}' | '\u{61c}'
",
        put: r"        | '\u{34f}'
",
        tests: &[
            "bin control_and_invisible_characters_are_escaped",
            "cli names_are_preserved_and_escaped",
        ],
    },
    Fix {
        what: "JSON has every control character as an escape",
        file: "src/text/printable.rs",
        take: r"    let is_raw = |it: char| !it.is_ascii_control() && is_hidden(it) || it == '\u{7f}';
",
        put: r"    let is_raw = |it: char| it.is_ascii_control() && is_hidden(it) && it == '\u{80}';
",
        tests: &[
            "bin json_keeps_every_character",
            "cli names_are_preserved_and_escaped",
        ],
    },
    Fix {
        what: "JSON keeps characters that a terminal would act on",
        file: "src/text/terminal.rs",
        take: r"pub(crate) fn print_data(data: &str) -> Result<()> {
",
        put: r#"pub(crate) fn print_data(data: &str) -> Result<()> {
    let data = &data.replace("\\u007f", "");
"#,
        tests: &["cli names_are_preserved_and_escaped"],
    },
    Fix {
        what: "diff says why what a start function copies is in no image",
        file: "src/commands/diff.rs",
        take: r"        warn_of_start(name, side);
",
        put: r"        let _ = (name, side);
",
        tests: &["cli one_module_under_two_policies"],
    },
    Fix {
        what: "the images of a component have a limit together",
        file: "src/commands/build/bundle.rs",
        take: r"    check_size(source, &surveys)?;
",
        put: "",
        tests: &["cli images_that_are_too_large_together"],
    },
    Fix {
        what: "a name to paste may begin with a dash",
        file: "src/report/hint.rs",
        take: r#"        true => vec![format!("{name}={argument}")],
"#,
        put: r#"        true => vec![name.to_owned(), argument],
"#,
        tests: &["cli a_pasted_command_is_accepted"],
    },
    Fix {
        what: "the size of a memory is asked for once",
        file: "src/report/hint.rs",
        take: r"        (memory.import.is_some() && !is_given).then_some(index)
",
        put: r"        (memory.import.is_some() || is_given).then_some(index)
",
        tests: &["cli a_pasted_command_is_accepted"],
    },
    Fix {
        what: "a size as declared is a size that was given",
        file: "src/report/hint.rs",
        take: r"        let is_given = survey.module.supplied_memory_size(index).is_some();
",
        put: r"        let is_given = survey.module.memory_size(index) != memory.ty.min_bytes();
",
        tests: &["cli a_pasted_command_is_accepted"],
    },
    Fix {
        what: "a command asks for each global that an address depends on",
        file: "src/report/hint.rs",
        take: r"        let resolved = module.resolve_offset(offset);
",
        put: r"        let resolved: Option<ResolvedOffset> = None;
",
        tests: &["cli an_address_of_several_globals_needs_one_command"],
    },
    Fix {
        what: "a text that two imports share names neither",
        file: "src/report/hint.rs",
        take: r"        .filter(|_| !is_shared)
",
        put: r"        .filter(|_| !is_shared || true)
",
        tests: &["cli imports_that_share_a_text_are_given_by_index"],
    },
    Fix {
        what: "the stripped module was planned without what the user knows",
        file: "src/commands/strip.rs",
        take: r"    let candidates = [(false, policy), (true, policy), (false, none)];
",
        put: r"    let candidates = [(true, policy), (true, policy), (false, none)];
",
        tests: &["cli a_host_of_which_more_is_known"],
    },
    Fix {
        what: "a module may be stripped of nothing, because of a value that is not assumed",
        file: "src/commands/strip.rs",
        take: r"    let n_candidates = if has_images { 2 } else { 3 };
",
        put: r"    let n_candidates = if has_images { 2 } else { 2 };
",
        tests: &["cli a_host_of_which_more_is_known"],
    },
    Fix {
        what: "a segment across the declared end may be written",
        file: "src/contents/memory.rs",
        take: r"if self.is_imported && addr < self.end() => {
",
        put: r"if self.is_imported && self.end() < addr => {
",
        tests: &["cli a_segment_across_the_declared_end_is_not_known"],
    },
    Fix {
        what: "diff compares with an artifact what an artifact records",
        file: "src/commands/diff.rs",
        take: r"                    true => relied_on(module, &plan),
",
        put: r"                    true => module,
",
        tests: &["cli an_artifact_records_no_more_than_it_relies_on"],
    },
    Fix {
        what: "diff does not copy the module for each value that an artifact assumes",
        file: "src/commands/diff.rs",
        take: r"                module = module.with_global(global, value).unwrap_or_default();
",
        put: r"                module = module.clone().with_global(global, value).unwrap_or_default();
",
        tests: &["wasm-meminit/growth diff: an assumption for each segment"],
    },
    Fix {
        what: "the padding of a bundle is bounded",
        file: "src/commands/build/bundle.rs",
        take: r"    if MAX_BUNDLE_BYTES < head.file_len() {
",
        put: r"    if MAX_BUNDLE_BYTES < head.file_len() >> 40 {
",
        tests: &["cli a_bundle_of_padding"],
    },
    Fix {
        what: "the module name of a group of imports is compared once",
        file: "src/diff/offsets.rs",
        take: r"            .entry((name.as_ptr().addr(), name.len()))
",
        put: r"            .entry((self.imports.len(), name.len()))
",
        tests: &["wasm-meminit/growth diff: addresses over imports with one long name"],
    },
];
