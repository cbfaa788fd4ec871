//! Fixes whose tests need an engine.

use super::fix::Fix;

#[rustfmt::skip]
pub(super) const FIXES: &[Fix] = &[
    Fix {
        what: "the limit of the reference's rule is that of the engine",
        file: "analysis/src/decide/policy.rs",
        take: r"        Self::single_run(page_size, 16 << 20)
",
        put: r"        Self::single_run(page_size, 1 << 20)
",
        tests: &["wasm-meminit-peers/reference its_limits_match_the_library"],
    },
    Fix {
        what: "the C API counts the resets of a batch that are done one by one",
        file: "engines/c/src/pool.rs",
        take: r"
            + stats.n_unbatched,",
        put: ",",
        tests: &["wasm-meminit-c/calls resets_of_all_strategies_are_counted"],
    },
    Fix {
        what: "the heap of an engine's garbage collector is no memory of a module",
        file: "engines/wasmtime/src/started.rs",
        take: r"        if is_gc_heap {
            return Ok(Self::Owned(pool.acquire(None, request.bytes)?));
        }
",
        put: "",
        tests: &["wasm-meminit-wasmtime/gc heaps_are_told_from_memories"],
    },
    Fix {
        what: "what a component's start function calls gets none of the component's memories",
        file: "engines/wasmtime/src/prepare_component.rs",
        take: r"        let starts = |module: &usize| modules.get(*module).is_some_and(|it| it.has_start);
",
        put: r"        let starts = |_: &usize| false;
",
        tests: &["wasm-meminit-wasmtime/components host_functions_instantiate_between_core_instances"],
    },
];
