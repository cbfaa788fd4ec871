//! Access to memory.

/// Access to a part of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// No access: every access faults.
    None,
    /// Read and write.
    ReadWrite,
}
