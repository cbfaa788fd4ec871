//! Brings a WebAssembly linear memory to its first state, at run time.
