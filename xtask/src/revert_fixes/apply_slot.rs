//! Fixes of the run-time crate: what keeps a slot from exposing bytes of an earlier use, and from
//! keeping what no use needs. `docs/security.md` describes the vulnerabilities.

use super::fix::Fix;

#[rustfmt::skip]
pub(super) const FIXES: &[Fix] = &[
    Fix {
        what: "pages that were only read are discarded if there are too many",
        file: "apply/src/slot/ageing.rs",
        take: "        if READ_SLACK < read && (is_overdue",
        put: "        if false && (is_overdue",
        tests: &[
            "drift pages_that_guests_read_do_not_stay",
            "attack_guest a_slot_recovers_from_many_uses",
        ],
    },
    Fix {
        what: "a round that follows growth discards what most uses do not need",
        file: "apply/src/slot/ageing.rs",
        take: "<= self.unchanged.n_rounds || self.has_grown()",
        put: "<= self.unchanged.n_rounds",
        tests: &["ageing what_one_use_wrote_does_not_stay_because_of_cleared_pages"],
    },
    Fix {
        what: "a round that discards nothing forgets that pages were cleared",
        file: "apply/src/slot/ageing.rs",
        take: "            if self.unchanged.discarded == 0 {",
        put: "            if false {",
        tests: &["ageing a_slot_forgets_that_pages_were_cleared"],
    },
    Fix {
        what: "a slot's share of a page table fits into 32 bits",
        file: "apply/src/slot/page_tables.rs",
        take: "self.n_found * self.len.div_ceil(self.table / page)",
        put: "(self.n_found * page * self.len).div_ceil(self.table)",
        tests: &["lib the_share_of_a_table_does_not_overflow"],
    },
    Fix {
        what: "very many pages that were read do not overflow",
        file: "apply/src/slot/ageing.rs",
        take: "bound.saturating_add(4 * READ_SLACK)",
        put: "bound + 4 * READ_SLACK",
        tests: &["lib many_more_pages_that_were_read_bring_a_round"],
    },
    Fix {
        what: "zeroing writes copies, which are restored by the next reset, and no holes",
        file: "apply/src/slot/contents.rs",
        take: "in image.data() {",
        put: "in self.placement(&image).pieces.iter().map(Piece::addresses) {",
        tests: &[
            "model large_slots_match_the_model",
            "slot_edges zeroing_writes_no_holes",
        ],
    },
    Fix {
        what: "a memory whose mapped image is discarded is zeroed",
        file: "apply/src/slot/contents.rs",
        take: "in image.data() {",
        put: "in image.data().take(0) {",
        tests: &["model slots_match_the_model"],
    },
    Fix {
        what: "only a scan judges what returned after a round",
        file: "apply/src/slot/ageing.rs",
        take: "        if self.n_resets == 1 && scanned {",
        put: "        if self.n_resets == 1 {",
        tests: &["lib only_a_scan_judges_what_returned"],
    },
    Fix {
        what: "what a round has discarded is not over the budget",
        file: "apply/src/slot/ageing.rs",
        take: "            0 => self.resident.saturating_add(self.unchanged.discarded),",
        put: "            0 => self.resident,",
        tests: &["ageing a_guest_that_clears_its_pages_is_not_over_the_budget"],
    },
    Fix {
        what: "the budget bounds what a round compares",
        file: "apply/src/slot/reset/scan_and_copy.rs",
        take: "            if most - report.kept <= self.ageing.discarded() {",
        put: "            if most == 0 {",
        tests: &["ageing the_budget_bounds_what_a_round_compares"],
    },
    Fix {
        what: "rounds that end at the budget free page tables",
        file: "apply/src/slot/reset/scan_and_copy.rs",
        take: "        self.free_idle_tables(end, report)?;",
        put: "        if end == usize::MAX {
            self.free_idle_tables(end, report)?;
        }",
        tests: &["ageing page_tables_do_not_stay_because_of_the_budget"],
    },
    Fix {
        what: "pages that a round discards and the next use needs stay for some rounds",
        file: "apply/src/slot/ageing.rs",
        take: r"        if pages.n_returned * 4 < pages.n_samples * 3 {
",
        put: r"        if true {
",
        tests: &["ageing pages_that_each_use_fills_with_zeros_stay"],
    },
    Fix {
        what: "pages that were only read are discarded early if they are very many",
        file: "apply/src/slot/ageing.rs",
        take: r"        if bound.saturating_add(4 * READ_SLACK) < read {
",
        put: r"        if false {
",
        tests: &["attack_guest very_many_pages_that_were_read_do_not_wait_for_a_round"],
    },
    Fix {
        what: "a range that the system discards alone keeps its mappings",
        file: "apply/src/slot/batch.rs",
        take: r"                let by = match slot.memory.discard(range(slot)) {
                    Ok(()) => By::Single,
                    Err(_) => By::Nothing,
                };
",
        put: r"                let by = By::Nothing;
",
        tests: &["pool_refusals trimming_keeps_the_images_even_without_batches"],
    },
    Fix {
        what: "a batch goes on after a range that the system refuses",
        file: "apply/src/slot/batch.rs",
        take: r"                has_batches &= by == By::Nothing;
",
        put: r"                has_batches = false;
",
        tests: &["pool_refusals a_batch_continues_after_a_refused_range"],
    },
    Fix {
        what: "the slots of a pool share the process's mappings",
        file: "apply/src/slot/config.rs",
        take: r"        self.max_pieces = self.max_pieces.min((per_slot / 2).saturating_sub(1)).max(1);
",
        put: r"        let _ = per_slot;
",
        tests: &["image_files slots_of_a_large_pool_leave_room_for_each_other"],
    },
    Fix {
        what: "a slot reused without an image, or with another one, exposes nothing of the old one",
        file: "apply/src/slot/contents.rs",
        take: r"        let old = held.as_ref().map_or(&nothing, |it| self.placement(it));
",
        put: r"        let old = held.as_ref().map_or(&nothing, |_| &nothing);
",
        tests: &[
            "slot_security a_slot_reused_without_an_image_shows_none",
            "slot_security a_slot_reused_with_another_image_shows_only_that",
            "pool_security a_slot_reused_without_an_image_shows_none",
            "pool_security a_slot_reused_with_another_image_shows_only_that",
            "model slots_match_the_model",
        ],
    },
    Fix {
        what: "after a start that failed half-way, the slot knows what it holds",
        file: "apply/src/slot/contents.rs",
        take: r"        self.memory.replace(changes)?;
        // What cannot fail",
        put: r"        self.image = image.cloned();
        self.memory.replace(changes)?;
        // What cannot fail",
        tests: &["slot_security a_failed_start_leaves_a_slot_that_starts_right"],
    },
    Fix {
        what: "if pages cannot be discarded, they are replaced",
        file: "apply/src/slot/contents.rs",
        take: r"            Err(_) if range.end <= self.memory.open() => self.map_again(range),
            done => done,
",
        put: r"            _ => Ok(()),
",
        tests: &[
            "faults a_slot_is_clean_or_poisoned",
            "pool_security no_failure_leaves_a_secret_behind",
            "hostile_system pages_are_locked",
        ],
    },
    Fix {
        what: "images are identified by object, not by content",
        file: "apply/src/slot/contents.rs",
        take: r"            (Some(held), Some(image)) => Arc::ptr_eq(held, image),
",
        put: r"            (Some(held), Some(image)) => held.mapped_len() == image.mapped_len(),
",
        tests: &[
            "slot_security two_memories_of_one_file_are_two_images",
            "slot_security an_image_that_is_gone_is_not_taken_for_a_new_one",
        ],
    },
    Fix {
        what: "after a page is discarded, an image that is not mapped is copied again",
        file: "apply/src/slot/contents.rs",
        take: r"            image.copy_runs(copied, range, self.memory.bytes_mut());
",
        put: r"            let _ = (image.data_end(), copied, range);
",
        tests: &[
            "model slots_match_the_model",
            "slot_security a_scan_continues_where_it_ended",
        ],
    },
    Fix {
        what: "a copied image is erased before the pages mapped over it become visible",
        file: "apply/src/slot/contents.rs",
        take: r"            for part in uncovered(mapped, &(run.at..run.end())) {
",
        put: r"            for part in uncovered(&mapped[..0], &(run.at..run.end())) {
",
        tests: &["slot_security a_mapped_image_after_a_copied_one_is_whole"],
    },
    Fix {
        what: "to change the image, only what differs is mapped",
        file: "apply/src/slot/contents.rs",
        take: r"            .map(move |it| it.at.max(gap.start)..it.addresses().end.min(gap.end))
            .take_while(|range| !range.is_empty())
            .map(zero);
",
        put: r"            .map(move |it| gap.start..it.addresses().end.min(gap.end))
            .take_while(|range| !range.is_empty())
            .map(zero);
",
        tests: &["lib remapped_parts_show_the_new_image"],
    },
    Fix {
        what: "addresses past the end of a smaller next memory are made inaccessible",
        file: "apply/src/slot/instantiate.rs",
        take: r"            self.kept_end = end;
        }
        self.close_from(end)
",
        put: r"            self.kept_end = end;
        }
        Ok(())
",
        tests: &["slot_security a_smaller_next_memory_is_inaccessible_beyond_its_size"],
    },
    Fix {
        what: "a slot in use cannot be started",
        file: "apply/src/slot/instantiate.rs",
        take: r"        self.expect_ready()?;
        let (bytes, end) = self.size(bytes)?;
",
        put: r"        let (bytes, end) = self.size(bytes)?;
",
        tests: &["slot_security a_slot_in_use_starts_nothing"],
    },
    Fix {
        what: "an image that does not fit is refused before anything is changed",
        file: "apply/src/slot/instantiate.rs",
        take: r"            image.check(u64::try_from(bytes).unwrap_or(u64::MAX))?;
",
        put: r"            let _ = image;
",
        tests: &["slot_security an_image_larger_than_the_memory_is_refused"],
    },
    Fix {
        what: "a memory that was zeroed reads as zero",
        file: "apply/src/slot/instantiate.rs",
        take: r"        self.zero_all();
        Ok(())",
        put: "        Ok(())",
        tests: &[
            "model slots_match_the_model",
            "pool_model every_start_shows_its_image_and_nothing_else",
        ],
    },
    Fix {
        what: "a start succeeds though the system refuses to discard what is past the memory's end",
        file: "apply/src/slot/instantiate.rs",
        take: r"        if has_kept_pages_past_end && self.discard(end..self.kept_end).is_ok() {
            self.kept_end = end;
        }
",
        put: r"        if has_kept_pages_past_end {
            self.discard(end..self.kept_end)?;
            self.kept_end = end;
        }
",
        tests: &["late pages_are_locked"],
    },
    Fix {
        what: "a start during which a mapping was lost poisons the slot",
        file: "apply/src/slot/instantiate.rs",
        take: r"                if self.memory.is_lost() {
                    self.poison();
                }
",
        put: "",
        tests: &["faults a_slot_is_clean_or_poisoned"],
    },
    Fix {
        what: "the end of a memory is recorded before access is granted",
        file: "apply/src/slot/memory_slot.rs",
        take: r"            self.reach = self.reach.max(end);
            self.opened",
        put: "            self.opened",
        tests: &["slot_security growth_after_a_larger_memory_gives_zeros"],
    },
    Fix {
        what: "pages beyond a smaller memory are found by later scans",
        file: "apply/src/slot/memory_slot.rs",
        take: r"        self.reach.max(self.kept_end)
",
        put: r"        self.reach
",
        tests: &["growth reports_of_growing_memories_match_the_kernel"],
    },
    Fix {
        what: "if a scan fails, all pages are discarded",
        file: "apply/src/slot/reset/mod.rs",
        take: r"                Strategy::ScanAndCopy => self.scan_and_copy(),
",
        put: r"                Strategy::ScanAndCopy => {
                    let done = self.scan_and_copy();
                    done.or_else(|_| Ok(self.report(&whole::Tally::default(), by)))
                }
",
        tests: &[
            "faults a_slot_is_clean_or_poisoned",
            "model slots_match_the_model",
        ],
    },
    Fix {
        what: "pages of zeros are restored if the image is not zero there",
        file: "apply/src/slot/reset/scan_and_copy.rs",
        take: r"        let image = self.image.as_ref()?;
",
        put: r"        let image = self.image.as_ref().filter(|_| false)?;
",
        tests: &[
            "zero_pages zeros_in_a_huge_page_that_was_split",
            "zero_pages zeros_that_were_merged",
        ],
    },
    Fix {
        what: "a scan is resumed until it has covered everything",
        file: "apply/src/slot/reset/scan_and_copy.rs",
        take: r"        while at < end {
",
        put: r"        if at < end {
",
        tests: &["slot_security a_scan_continues_where_it_ended"],
    },
    Fix {
        what: "a round ages pages even where more is written than may stay",
        file: "apply/src/slot/reset/scan_and_copy.rs",
        take: r"                    Some(stale) => self.restore_or_age(range, closed, stale, &mut report)?,
                    None =>",
        put: r"                    Some(stale) if range.len() <= self.keep_resident - report.kept => {
                        self.restore_or_age(range, closed, stale, &mut report)?
                    }
                    _ =>",
        tests: &["ageing pages_needed_once_do_not_fill_the_budget"],
    },
    Fix {
        what: "a round that ends at the budget is one",
        file: "apply/src/slot/reset/scan_and_copy.rs",
        take: r"                self.age(is_round, excess, &mut report)?;
",
        put: "",
        tests: &["ageing pages_needed_once_do_not_fill_the_budget"],
    },
    Fix {
        what: "pages over the budget are discarded",
        file: "apply/src/slot/reset/scan_and_copy.rs",
        take: r"            self.discard(rest.clone())?;
        }
        self.copy_again_within_budget(rest",
        put: r"        }
        self.copy_again_within_budget(rest",
        tests: &[
            "model slots_match_the_model",
            "pool_model every_start_shows_its_image_and_nothing_else",
        ],
    },
    Fix {
        what: "an ageing page is restored even if it holds a copy of the image",
        file: "apply/src/slot/reset/scan_and_copy.rs",
        take: "let differed = self.restore(addresses.clone());",
        put: "let differed = self.is_copied(&addresses) || self.restore(addresses.clone());",
        tests: &["model slots_match_the_model"],
    },
    Fix {
        what: "pages that are no longer written are discarded",
        file: "apply/src/slot/reset/scan_and_copy.rs",
        take: r"        let is_round = self.is_round_due() && self.can_discard();
",
        put: r"        let is_round = false;
",
        tests: &["drift the_last_of_ten_thousand_resets_costs_no_more_than_the_first"],
    },
    Fix {
        what: "pages past the end stay if a memory has grown there lately",
        file: "apply/src/slot/reset/scan_and_copy.rs",
        take: "closed.start.max(self.growth.highest().min(closed.end))",
        put: "closed.start",
        tests: &["growth growing_uses_find_their_pages_in_place"],
    },
    Fix {
        what: "over the budget past the end, only pages from there on are discarded",
        file: "apply/src/slot/reset/scan_and_copy.rs",
        take: "        (!rest.is_empty()).then_some(rest.start)",
        put: "        (!rest.is_empty()).then_some(self.reach)",
        tests: &["growth reports_of_growing_memories_match_the_kernel"],
    },
    Fix {
        what: "empty page tables are freed",
        file: "apply/src/slot/reset/scan_and_copy.rs",
        take: r"        self.free_idle_tables(end, report)?;
",
        put: "",
        tests: &["accounting reports_match_the_kernel"],
    },
    Fix {
        what: "with a budget of 0, no page stays, not even one that was only read",
        file: "apply/src/slot/reset/scan_and_copy.rs",
        take: r"        if self.keep_resident < copied.max(page) {
",
        put: r"        if false {
",
        tests: &["slot_edges a_slot_that_keeps_nothing_keeps_no_page_that_was_read"],
    },
    Fix {
        what: "a copied image that exceeds the budget does not stay",
        file: "apply/src/slot/reset/whole.rs",
        take: r"        if self.keep_resident - report.kept < copied {
",
        put: r"        if false {
",
        tests: &["accounting copied_images_count_and_keep_the_budget"],
    },
    Fix {
        what: "a copied image counts as resident",
        file: "apply/src/slot/reset/whole.rs",
        take: r"            report.keep(&pages);
",
        put: "",
        tests: &["accounting copied_images_count_and_keep_the_budget"],
    },
    Fix {
        what: "the tables of a memory that is compared count",
        file: "apply/src/slot/reset/whole.rs",
        take: r"        self.tables.note(&(0..self.reach), true);
",
        put: "",
        tests: &["accounting tables_count_where_all_of_a_memory_is_compared"],
    },
    Fix {
        what: "zeroing does not move a memory",
        file: "apply/src/slot/contents.rs",
        take: r"        if !sys::HAS_MAPPINGS || self.discard_in_place(0..self.touched()).is_err() {
",
        put: r"        if self.discard_in_place(0..self.touched()).is_err() {
",
        tests: &["slot_edges@portable zeroing_does_not_move_the_memory"],
    },
];
