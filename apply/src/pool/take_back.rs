//! Takes slots back whose uses have ended: resets them, or queues them to be reset with
//! others.

use super::config::ResetOn;
use super::entry::Owned;
use super::free_list::End;
use super::shared::{NotPut, Shared};

impl Shared {
    /// Ends a use.
    pub(super) fn take_back(&self, entry: Owned) {
        match self.config.reset_on {
            ResetOn::Return => self.reset(entry),
            ResetOn::Batch(n) => self.put_used(entry, n.get()),
        }
    }

    /// Resets one slot, and puts it where the next user finds it.
    fn reset(&self, mut entry: Owned) {
        let shard = entry.shard;
        match entry.slot.reset() {
            Ok(report) => {
                self.update_counted(&mut entry);
                self.put(entry, End::Newest, |stats| stats.reset(&report));
                self.trim(shard);
            }
            Err(_) => self.return_failed(entry),
        }
    }

    /// Queues a slot to be reset with others, unless a thread waits for it.
    fn put_used(&self, mut entry: Owned, batch_size: usize) {
        let shard = entry.shard;
        loop {
            entry = match self.try_put(entry, End::Used, |_| ()) {
                Ok(n_used) if batch_size <= n_used => {
                    self.drain(shard..shard + 1);
                    return;
                }
                Ok(_) => return,
                Err(NotPut::Closed(entry)) => return self.drop_slot(entry),
                Err(NotPut::Waited(entry)) => return self.reset(entry),
                Err(NotPut::Stale(entry)) => match self.drop_if_retired(entry) {
                    Some(entry) => entry,
                    None => return,
                },
            };
        }
    }
}
