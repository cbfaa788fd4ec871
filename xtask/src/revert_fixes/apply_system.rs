//! Fixes of the run-time crate: files, address space, what the system refuses, and the ways to a
//! memory's initial contents.

use super::fix::Fix;

#[rustfmt::skip]
pub(super) const FIXES: &[Fix] = &[
    Fix {
        what: "the largest part is mapped first: a refusal has changed nothing yet",
        file: "apply/src/sys/mmap/reservation.rs",
        take: "Some(nth) == nth_largest",
        put: "nth == 0 && nth_largest.is_some()",
        tests: &["locked_memory a_refused_piece_leaves_the_slot_as_it_was"],
    },
    Fix {
        what: "what a refusal leaves of the spare pages is used again",
        file: "apply/src/sys/mmap/call.rs",
        take: "                && !leaves_range_alone(err, true)
",
        put: "",
        tests: &["locked_memory a_refusal_leaves_no_pages_behind"],
    },
    Fix {
        what: "the trials of a process read no hole of its first image",
        file: "apply/src/sys/trial.rs",
        take: r"            return OWN_FILES.get(Call::Madvise, try_own_file).is_ok();
",
        put: r"            let _ = try_own_file;
            return OWN_FILES.get(Call::Madvise, || try_file(&file.file, 0)).is_ok();
",
        tests: &["accounting a_first_image_has_only_its_own_pages"],
    },
    Fix {
        what: "bytes that differ from the image are written again",
        file: "apply/src/bytes.rs",
        take: r"            target.copy_from_slice(stored);
",
        put: "",
        tests: &["model slots_match_the_model"],
    },
    Fix {
        what: "an image that does not fit is not copied partially",
        file: "apply/src/copy.rs",
        take: r"    if memory_bytes < image_end {
",
        put: r"    if false {
",
        tests: &["slot_security an_image_larger_than_the_memory_is_refused"],
    },
    Fix {
        what: "a sealed file is compared with its artifact",
        file: "apply/src/image/file.rs",
        take: r"        if let Some(at) = first_difference(source.bytes(), image.bytes()) {
",
        put: r"        if let Some(at) = first_difference(&[], image.bytes()) {
",
        tests: &["image_files a_file_that_differs_from_the_artifact_is_refused"],
    },
    Fix {
        what: "an image that got no file says why",
        file: "apply/src/image/memory_image.rs",
        take: r"                image.fallback = Some(err);
",
        put: "",
        tests: &[
            "image_files an_image_without_a_file_reports_why_and_can_get_one_later",
            "limits descriptors",
        ],
    },
    Fix {
        what: "holes around the data are not mapped",
        file: "apply/src/image/placement.rs",
        take: r"            let at = first.at / page * page;
",
        put: r"            let at = first.at / page * page * usize::from(!matches!(storage, Storage::Sparse));
",
        tests: &["accounting reports_match_the_kernel"],
    },
    Fix {
        what: "large holes of an image are mapped only where mappings are scarce",
        file: "apply/src/image/placement.rs",
        take: r"        let is_wanted = bytes < LARGE_HOLE || max_pieces < n_clusters;
",
        put: r"        let is_wanted = bytes < usize::MAX || max_pieces < n_clusters;
",
        tests: &["lib neither_outer_holes_nor_large_inner_ones_are_mapped"],
    },
    Fix {
        what: "the holes that are mapped are bounded by the data",
        file: "apply/src/image/placement.rs",
        take: r"        let is_allowed = bytes <= SMALL_HOLE || holes.saturating_add(bytes) <= allowed;
",
        put: r"        let is_allowed = bytes <= SMALL_HOLE || holes <= allowed.max(usize::MAX);
",
        tests: &[
            "lib an_image_too_sparse_to_map_is_copied",
            "lib every_page_of_data_is_mapped_or_copied_and_holes_are_bounded",
        ],
    },
    Fix {
        what: "an image is mapped in few pieces, however many runs it has",
        file: "apply/src/image/placement.rs",
        take: r"        let mapped = largest(&clusters, max_pieces);
",
        put: r"        let mapped = largest(&clusters, max_pieces.max(clusters.len()));
",
        tests: &["image_files a_file_of_many_runs_takes_few_mappings"],
    },
    Fix {
        what: "runs that share a page count it once",
        file: "apply/src/image/placement.rs",
        take: r"        let start = (run.at / page * page).max(done).min(end);
",
        put: r"        let start = (run.at / page * page).max(done.min(0)).min(end);
",
        tests: &["slot_edges runs_that_share_a_page_count_it_once"],
    },
    Fix {
        what: "an artifact is refused on a host that has something else than it assumes",
        file: "apply/src/prepared/host.rs",
        take: r"            if let Err(found) = self.satisfies(&assumed) {
",
        put: r"            if let (Err(found), false) = (self.satisfies(&assumed), true) {
",
        tests: &[
            "prepared a_host_with_another_value_of_a_global_is_refused",
            "prepared a_host_without_a_fresh_memory_is_refused",
        ],
    },
    Fix {
        what: "the segments that are not in an image are replayed",
        file: "apply/src/prepared/mod.rs",
        take: r"        if self.replay.len() == 0 {
",
        put: r"        if true {
",
        tests: &[
            "readme a_hybrid_module_starts_with_the_segments_that_are_replayed",
            "readme a_segmented_module_starts_with_all_its_segments",
            "road a_hybrid_module",
        ],
    },
    Fix {
        what: "an instance is refused whose globals have other values than its images assume",
        file: "apply/src/prepared/mod.rs",
        take: r"            if let Some(found) = globals(global).filter(|found| *found != assumed) {
",
        put: r"            if let Some(found) = globals(global).filter(|_| false) {
",
        tests: &["prepared an_instance_with_another_value_is_refused"],
    },
    Fix {
        what: "after a batch call, only what the kernel reports counts as done",
        file: "apply/src/sys/advice.rs",
        take: r"        if !progress.add(parts, n_bytes) {
",
        put: r"        if !progress.add(parts, n_bytes.max(chunk.iter().map(|it| it.iov_len).sum())) {
",
        tests: &["hostile_system pages_are_locked"],
    },
    Fix {
        what: "the page size is known without a file, whatever the kernel answers",
        file: "apply/Cargo.toml",
        take: r#", "use-libc-auxv""#,
        put: "",
        tests: &["hostile_system the_page_size_needs_no_file"],
    },
    Fix {
        what: "process_madvise is not used where it has no effect",
        file: "apply/src/sys/advice.rs",
        take: r"    if page.read() == 0 {
        Ok(pidfd)
",
        put: r"    if page.read() == page.read() {
        Ok(pidfd)
",
        tests: &["slot_edges calls_that_claim_to_be_complete_are_not_used"],
    },
    Fix {
        what: "Debug output of a memory that is a buffer has no bytes of it",
        file: "apply/src/sys/buffer.rs",
        take: r#"            .field("allocated", &self.buffer.len())
"#,
        put: r#"            .field("allocated", &self.buffer)
"#,
        tests: &["image_files@portable debug_text_is_short_and_shows_no_bytes"],
    },
    Fix {
        what: "where buffers are used instead of mappings, nothing past a buffer's end is zeroed",
        file: "apply/src/sys/buffer.rs",
        take: r"        let range = range.start.min(self.used)..range.end.min(self.used);
",
        put: "",
        tests: &["lib@portable portable_contract_of_reservations"],
    },
    Fix {
        what: "a buffer that is discarded is freed",
        file: "apply/src/sys/buffer.rs",
        take: r"        if range.end == self.used && LARGE <= range.len() {
",
        put: r"        if false {
",
        tests: &["given_back@portable memory_that_is_not_resident_was_freed"],
    },
    Fix {
        what: "a buffer that is closed is freed up to its last byte that is not zero",
        file: "apply/src/sys/buffer.rs",
        take: r"            shrink(&mut self.buffer);
",
        put: "",
        tests: &["given_back@portable a_protected_buffer_is_as_large_as_its_image"],
    },
    Fix {
        what: "a buffer that has room to grow is freed, too",
        file: "apply/src/sys/buffer.rs",
        take: r"        if range.end == self.used && LARGE <= range.len() {
",
        put: r"        if range.end == self.buffer.len() && LARGE <= range.len() {
",
        tests: &["given_back@portable a_memory_that_grew_is_freed"],
    },
    Fix {
        what: "a buffer that cannot shrink does not end the process",
        file: "apply/src/sys/buffer.rs",
        take: r"            shrink(&mut self.buffer);
",
        put: r"            self.buffer.shrink_to_fit();
",
        tests: &["scarce_memory@portable no_use_ends_the_process"],
    },
    Fix {
        what: "a file that the system maps in larger units than pages is refused",
        file: "apply/src/sys/file.rs",
        take: r"    if found.page_bytes != host {
",
        put: r"    if false {
",
        tests: &["image_files a_file_of_huge_pages_is_refused"],
    },
    Fix {
        what: "Debug output of an image that is a copy on the heap, without mappings, has no bytes of it",
        file: "apply/src/sys/heap.rs",
        take: r#"            .field("len", &self.bytes.len())
"#,
        put: r#"            .field("bytes", &self.bytes)
"#,
        tests: &["image_files@portable debug_text_is_short_and_shows_no_bytes"],
    },
    Fix {
        what: "a reservation is inaccessible until access is granted",
        file: "apply/src/sys/mmap/call.rs",
        take: r"            len,
            ProtFlags::empty(),
            MapFlags::PRIVATE | NO_RESERVE,
",
        put: r"            len,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE | NO_RESERVE,
",
        tests: &["slot_security a_memory_of_no_bytes_is_not_accessible"],
    },
    Fix {
        what: "a reservation leaves room for the mappings in it",
        file: "apply/src/sys/mmap/call.rs",
        take: r"    SparePages::probe(pages)?;
    map_nothing(len)
",
        put: r"    drop(pages);
    map_nothing(len)
",
        tests: &["limits a_new_slot_has_room_for_a_memory"],
    },
    Fix {
        what: "a slot of which only some parts show the new image is not used again",
        file: "apply/src/sys/mmap/reservation.rs",
        take: "            if has_changed && !self.is_lost() {",
        put: "            if false {",
        tests: &["faults a_slot_is_clean_or_poisoned"],
    },
    Fix {
        what: "a very large slot starts where an upper page table does",
        file: "apply/src/sys/mmap/reservation.rs",
        take: r"        if upper_table_bytes() <= len
",
        put: r"        if usize::MAX == len
",
        tests: &["attack_guest a_slot_recovers_from_one_use"],
    },
    Fix {
        what: "a range that a failed MAP_FIXED may have unmapped is not reused",
        file: "apply/src/sys/mmap/reservation.rs",
        take: r"            self.lost = Some(part.range.clone());
",
        put: "",
        tests: &["faults a_slot_is_clean_or_poisoned"],
    },
    Fix {
        what: "adjacent parts that are replaced share no mapping",
        file: "apply/src/sys/mmap/reservation.rs",
        take: r"                Some((end, Mark::Access)) if end == part.range.start => Mark::Advice,
",
        put: r"                Some((end, Mark::Access)) if end == part.range.start => Mark::Access,
",
        tests: &["lib replaced_parts_share_no_mapping"],
    },
    Fix {
        what: "an address outside a reservation is not computed",
        file: "apply/src/sys/mmap/reservation.rs",
        take: r#"        assert!(at <= self.len, "outside the reservation");
"#,
        put: "",
        tests: &["lib addresses_outside_the_reservation_panic"],
    },
    Fix {
        what: "there is room for every mapping before the first one is replaced",
        file: "apply/src/sys/mmap/reservation.rs",
        take: r"        let _guard = call::room()?;
        let mut end = first.range.start;
",
        put: r"        let mut end = first.range.start;
",
        tests: &["limits four_threads"],
    },
    Fix {
        what: "a file is unchanged when it is mapped",
        file: "apply/src/sys/mmap/source.rs",
        take: r"        if identity(&stat) != file.identity {
            return Err(closed);
        }
",
        put: "",
        tests: &["late descriptors_are_closed"],
    },
    Fix {
        what: "Debug output of an image has no bytes of it",
        file: "apply/src/sys/mmap/source.rs",
        take: r#"                .field("len", &bytes.len())
"#,
        put: r#"                .field("bytes", bytes)
"#,
        tests: &["image_files debug_text_is_short_and_shows_no_bytes"],
    },
    Fix {
        what: "the process's limit on file sizes is asked before a file gets its length",
        file: "apply/src/sys/mmap/source.rs",
        take: r"    check_file_size(len)?;
",
        put: "",
        tests: &["image_files a_limit_on_file_sizes_is_kept"],
    },
    Fix {
        what: "swapped-out pages count as written",
        file: "apply/src/sys/pagemap.rs",
        take: r"const ANY_OF: u64 = category::PRESENT | category::SWAPPED;
",
        put: r"const ANY_OF: u64 = category::PRESENT;
",
        tests: &[
            "lib pages_that_were_written_are_reported_swapped_or_not",
            "swap swapped_out_pages_are_reset_too",
        ],
    },
    Fix {
        what: "a scan that misses written pages is not used",
        file: "apply/src/sys/pagemap.rs",
        take: r"    if reports_page_by(std::os::fd::AsFd::as_fd(&file), &page)? {
",
        put: r"    if reports_page_by(std::os::fd::AsFd::as_fd(&file), &page).is_ok() {
",
        tests: &["slot_edges calls_that_claim_to_be_complete_are_not_used"],
    },
    Fix {
        what: "child processes do not use the parent's descriptors",
        file: "apply/src/sys/per_process.rs",
        take: r"        fresh.wipe_on_fork()?;
",
        put: "",
        tests: &["slot_security a_child_resets_its_own_pages"],
    },
    Fix {
        what: "a system call that has no effect is not used",
        file: "apply/src/sys/trial.rs",
        take: r"        match page.read() {
            0 => Ok(()),
            _ => Err(had_no_effect(Call::Madvise)),
        }
",
        put: r"        Ok(())
",
        tests: &["late calls_that_do_nothing"],
    },
    Fix {
        what: "madvise is not used on pages of a file on which it has no effect",
        file: "apply/src/sys/trial.rs",
        take: r"        shows_file(Call::Madvise)?;
",
        put: "",
        tests: &["late calls_that_do_nothing_on_pages_of_files"],
    },
    Fix {
        what: "process_madvise is not used on pages of a file on which it has no effect",
        file: "apply/src/sys/trial.rs",
        take: r"        shows_file(Call::ProcessMadvise)?;
",
        put: "",
        tests: &["slot_edges calls_that_claim_to_be_complete_are_not_used"],
    },
    Fix {
        what: "a scan that misses pages of a file is not used on that file",
        file: "apply/src/sys/trial.rs",
        take: r"    if pagemap::scan_support().is_yes() && !pagemap::reports_page(&page)? {
",
        put: r"    if false {
",
        tests: &["slot_edges calls_that_claim_to_be_complete_are_not_used"],
    },
    Fix {
        what: "a call that failed for lack of memory or descriptors is tried again",
        file: "apply/src/sys/verdict.rs",
        take: r"            Err(err) if is_temporary(err) => {}
",
        put: "",
        tests: &["lib a_verdict_is_remembered_unless_it_is_temporary"],
    },
    Fix {
        what: "what the system supports is tried out before there is no room for it",
        file: "apply/src/sys/trial.rs",
        take: r"            discard_support(),
            advice::batch_support(),
            pagemap::scan_support(),
",
        put: "",
        tests: &["faults the_first_reset_maps_nothing"],
    },
    Fix {
        what: "an image's file is tried out before there is no room for it",
        file: "apply/src/image/memory_image.rs",
        take: r"        let _ = source.is_trusted();
",
        put: "",
        tests: &["faults the_first_reset_maps_nothing"],
    },
    Fix {
        what: "a refusal for locked memory loses nothing",
        file: "apply/src/sys/mmap/reservation.rs",
        take: r"            && !call::leaves_range_alone(err, is_ours(&part.backing))
",
        put: "            && err.code != 0
",
        tests: &["locked_memory locked_memory_is_limited"],
    },
    Fix {
        what: "the text of a memory shows no bytes",
        file: "apply/src/prepared/instance_memory.rs",
        take: r#"            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
"#,
        put: r#"            Self::Bytes(bytes) => write!(f, "Bytes({bytes:?})"),
"#,
        tests: &["image_files debug_text_is_short_and_shows_no_bytes"],
    },
];
