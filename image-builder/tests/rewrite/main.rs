//! Rewriting: what each objective of `pack` keeps to, and what is refused.

mod generated;
mod objectives;
mod refused;
