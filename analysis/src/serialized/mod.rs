//! The serialised forms of initialisations and plans. Deserialised values are untrusted.

mod bytes;
mod initialization;
mod plan;
mod reason;
mod sequence;
