//! The serialised form of reasons: one flat object in human-readable formats.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{DataIndex, MemoryIndex, Reason, SegmentReason};

#[derive(Serialize, Deserialize)]
#[serde(remote = "SegmentReason")]
struct Readable {
    segment: DataIndex,
    memory: Option<MemoryIndex>,
    len: u64,
    #[serde(flatten)]
    reason: Reason,
}

/// Compact formats do not support `flatten`.
#[derive(Serialize, Deserialize)]
#[serde(remote = "SegmentReason")]
struct Compact {
    segment: DataIndex,
    memory: Option<MemoryIndex>,
    len: u64,
    reason: Reason,
}

impl Serialize for SegmentReason {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            Readable::serialize(self, to)
        } else {
            Compact::serialize(self, to)
        }
    }
}

impl<'de> Deserialize<'de> for SegmentReason {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            Readable::deserialize(from)
        } else {
            Compact::deserialize(from)
        }
    }
}
