//! Fixes of the run-time crate: who gets a slot of a pool, and what that costs.

use super::fix::Fix;

#[rustfmt::skip]
pub(super) const FIXES: &[Fix] = &[
    Fix {
        what: "where the system has no room for a slot, ready ones are used",
        file: "apply/src/pool/attempt.rs",
        take: r"            is_final: !is_for_lack_of_room(&err),
",
        put: r"            is_final: true,
",
        tests: &[
            "pool_refusals if_a_new_slot_cannot_be_mapped_a_ready_one_is_used",
            "pool_no_alloc a_start_uses_ready_slots_at_the_mapping_limit",
        ],
    },
    Fix {
        what: "a start that failed is not counted",
        file: "apply/src/pool/attempt.rs",
        take: r"            stats.undo_start(kind, is_stolen);
",
        put: r"            let _ = (kind, is_stolen);
",
        tests: &["pool_refusals a_start_that_failed_is_not_counted"],
    },
    Fix {
        what: "a return wakes the thread that it serves, and no other",
        file: "apply/src/pool/condvars.rs",
        take: r"        self.0.get(k as usize)?.get()?.get(nth - (1 << k))
",
        put: r"        self.0.get(k as usize)?.get()?.first()
",
        tests: &["lib each_place_has_its_own"],
    },
    Fix {
        what: "slots are found by image, not one by one",
        file: "apply/src/pool/free_list.rs",
        take: r"        let group = self.images.find(key)?;
        let place = self.images.slots(group)?.last()?;
        self.take(place)
",
        put: r"        let mut next = self.ready.first();
        let mut newest = None;
        while let Some(place) = next {
            let held = self.slab.get(place);
            if held.is_some_and(|held| Key::of(held.entry.slot.image()) == key) {
                newest = Some(place);
            }
            next = self.slab.after(AGE, place);
        }
        self.take(newest?)
",
        tests: &["pool_images a_miss_costs_the_same_for_any_number_of_slots"],
    },
    Fix {
        what: "slots with pages to discard are found at once",
        file: "apply/src/pool/free_list.rs",
        take: r"        self.take(self.kept.first()?)
",
        put: r"        let mut next = self.ready.first();
        while let Some(place) = next {
            if self.slab.get(place).is_some_and(|held| held.is_kept) {
                return self.take(place);
            }
            next = self.slab.after(AGE, place);
        }
        None
",
        tests: &["lib the_coldest_slot_is_found_at_once"],
    },
    Fix {
        what: "the place of a slot on its free list is reserved when it is made",
        file: "apply/src/pool/free_list.rs",
        take: r"        self.slab.try_reserve(capacity)?;
",
        put: "",
        tests: &["pool_no_alloc slots_are_returned_without_an_allocation"],
    },
    Fix {
        what: "a failed slot is not handed out again",
        file: "apply/src/pool/shared.rs",
        take: r"            self.count(entry.shard, |stats| stats.n_poisoned += 1);
            self.drop_slot(entry);
",
        put: r"            self.count(entry.shard, |stats| stats.n_poisoned += 1);
            self.put(entry, End::Newest, |_| ());
",
        tests: &["pool_security a_poisoned_slot_is_replaced"],
    },
    Fix {
        what: "a slot that is returned goes to the thread that waits for it",
        file: "apply/src/pool/shared.rs",
        take: r"            if !self.queue.0.is_empty() {
                return Err(NotPut::Waited(entry));
            }
",
        put: "",
        tests: &["pool_order a_newcomer_does_not_overtake_a_waiting_thread"],
    },
    Fix {
        what: "a slot that could not be started holds what it held, since when it did",
        file: "apply/src/pool/attempt.rs",
        take: "        entry.epoch = held_since;
",
        put: "        let _ = held_since;
",
        tests: &["pool_faults a_refused_start_does_not_keep_an_evicted_image"],
    },
    Fix {
        what: "a slot whose image was evicted during its use is not kept",
        file: "apply/src/pool/shared.rs",
        take: r"            if entry.epoch != self.retired.0.epoch() {
                return Err(NotPut::Stale(entry));
            }
",
        put: "",
        tests: &["pool_images an_image_forgotten_in_use_is_freed_when_the_use_ends"],
    },
    Fix {
        what: "a thread that is refused a slot keeps its place in the queue",
        file: "apply/src/pool/start.rs",
        take: r"                .join(self.want(), self.home, refused.is_some(), *ticket)
",
        put: r"                .join(self.want(), self.home, refused.is_some(), None)
",
        tests: &["pool_order a_thread_that_joins_again_does_so_at_its_place"],
    },
    Fix {
        what: "a thread that joins the queue again counts once",
        file: "apply/src/pool/start.rs",
        take: r"        if ticket.replace(own).is_none() {
",
        put: r"        ticket.replace(own);
        {
",
        tests: &["pool_order a_thread_that_joins_again_does_so_at_its_place"],
    },
    Fix {
        what: "page tables alone do not stay at the limit",
        file: "apply/src/pool/batch_reset.rs",
        take: r"                entry.slot.free_own_tables();
",
        put: "",
        tests: &["accounting tables_that_no_use_needs_leave_room_for_pages"],
    },
    Fix {
        what: "a refused start keeps no copy of an image",
        file: "apply/src/pool/attempt.rs",
        take: r"            entry.slot.wipe();
",
        put: "",
        tests: &["pool_faults a_refused_start_keeps_no_copy_above_the_limit"],
    },
    Fix {
        what: "a refused slot that took the image was used since",
        file: "apply/src/pool/attempt.rs",
        take: r"        if !has_image(&entry) {
",
        put: r"        if !has_image(&entry) || entry.epoch != held_since {
",
        tests: &["pool_faults a_refused_start_from_an_image_that_was_evicted_before"],
    },
    Fix {
        what: "a retried slot is counted by what it holds",
        file: "apply/src/pool/attempt.rs",
        take: r"        let kind = Kind::of(&refused, self.want());
",
        put: r"        let kind = Kind::Blank;
",
        tests: &["pool_faults a_retried_slot_that_holds_another_image_changes_images"],
    },
    Fix {
        what: "a refused slot whose copy stays is dropped",
        file: "apply/src/pool/attempt.rs",
        take: r"        let blank = if is_poisoned || has_copy(&entry) {
",
        put: r"        let blank = if is_poisoned {
",
        tests: &["pool_faults a_refused_start_keeps_no_copy_above_the_limit"],
    },
    Fix {
        what: "the image of a refused slot that took it is counted",
        file: "apply/src/pool/attempt.rs",
        take: r"            if has_image(&entry) {
                self.count_image();
            }
",
        put: "",
        tests: &["pool_faults the_image_of_a_refused_slot_is_counted"],
    },
];
