//! The core instances of a component: which core module each instantiates, and which memory of
//! which instance it gets.

use alloc::collections::{BTreeMap, BTreeSet};

use wasm_meminit::analysis::wasmparser::{
    Chunk, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, ExternalKind, Instance as CoreInstance, InstantiationArg, Parser, Payload,
};
use wasm_meminit::analysis::{ImportName, Memory, Module, Policy};

use crate::input::Binary;
use crate::text::terminal::{BOLD, paint};
use crate::text::units::counted;

/// The most instances and memories of instances that are recorded for one file.
const MAX_INSTANCES: usize = 1000;
const MAX_MEMORIES: usize = 1000;

/// The most instances that the text lists.
const MAX_ROWS: usize = 40;

/// The core instances of a component and of the components in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Instances {
    /// In the order in which they are defined, those of an outer component after those of the
    /// components in it.
    pub(crate) all: Vec<Instance>,
    /// How many more there are.
    pub(crate) n_omitted: u64,
    /// The core modules that import memories and that a component instantiates or passes on to
    /// another one.
    linked: BTreeSet<usize>,
}

/// One instance of a core module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    /// The component that defines it, counted from 0 in the order in which they begin.
    pub(crate) component: usize,
    /// Its index among the core instances of that component.
    pub(crate) index: usize,
    /// The core module's number in the file; `None` if the component imports it.
    pub(crate) module: Option<usize>,
    /// The memories of the module, in index order.
    pub(crate) memories: Vec<Source>,
}

/// Where a memory of an instance comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The instance has its own.
    Own,
    /// It is that of another instance of the same component.
    Of { instance: usize, memory: usize },
    /// It is that of an instance whose memories are not known, such as one of an imported module.
    Unknown,
}

/// A component that is being read.
#[derive(Default)]
struct Level {
    /// Its number in the file.
    component: usize,
    /// The core modules of its index space, by their numbers in the file.
    modules: Vec<Option<usize>>,
    instances: Vec<Item>,
    /// The core memories of its index space.
    memories: Vec<Option<(usize, usize)>>,
}

impl Level {
    /// Returns the number in the file of a core module of the index space, if it is there.
    fn module(&self, index: u32) -> Option<usize> {
        *self.modules.get(index as usize)?
    }
}

/// A core instance of an index space.
enum Item {
    /// Of a module, with where its memories come from.
    Module(Option<usize>, Vec<Source>),
    /// A list of exports; the memories among them.
    Exports(BTreeMap<String, Option<(usize, usize)>>),
}

/// Reads the core instances of a component with these core modules; a module has none. What is
/// malformed is left out: the report does not validate the component.
pub(crate) fn instances(binary: &Binary, modules: &[Module<'_>]) -> Instances {
    if !binary.is_component() {
        return Instances::default();
    }
    let mut reader = Reader {
        modules,
        exports: modules.iter().map(exports).collect(),
        n_modules: 0,
        n_components: 0,
        n_memories: 0,
        found: Instances::default(),
    };
    reader.read(&binary.bytes);
    reader.found
}

impl Instances {
    /// Returns whether a core module gets a memory of another instance, or may get one: such a
    /// memory is not the host's to supply, and contains what that instance writes.
    pub(crate) fn are_linked(&self, module: usize) -> bool {
        self.linked.contains(&module)
    }

    /// Returns the policy for a core module: what is promised of the host's memories does not
    /// apply to one that gets a memory of another instance.
    pub(crate) fn policy_of(&self, module: usize, policy: Policy) -> Policy {
        let is_promised = policy.assumes_zeroed_imports() && !self.are_linked(module);
        policy.with_zeroed_imports(is_promised)
    }
}

/// Returns the memories that a module exports, by name.
fn exports(module: &Module<'_>) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let binary = module.binary().unwrap_or_default();
    for payload in Parser::new(0).parse_all(binary).map_while(Result::ok) {
        if let Payload::ExportSection(section) = payload {
            for it in section.into_iter().map_while(Result::ok) {
                if it.kind == ExternalKind::Memory {
                    found.insert(it.name.to_owned(), it.index as usize);
                }
            }
            break; // one section, and code follows it
        }
    }
    found
}

struct Reader<'s, 'a> {
    modules: &'s [Module<'a>],
    /// The memories that each module exports.
    exports: Vec<BTreeMap<String, usize>>,
    n_modules: usize,
    n_components: usize,
    n_memories: usize,
    found: Instances,
}

impl Reader<'_, '_> {
    /// Reads a component and those in it, and passes over its core modules: their code is most of
    /// the file.
    fn read(&mut self, wasm: &[u8]) {
        let mut rest = wasm;
        let mut parsers = vec![Parser::new(0)];
        let mut levels: Vec<Level> = Vec::new();
        while let Some(parser) = parsers.last_mut()
            && let Ok(Chunk::Parsed { consumed, payload }) = parser.parse(rest, true)
        {
            let mut end = consumed;
            match &payload {
                Payload::Version { .. } => levels.push(self.component()),
                Payload::ModuleSection {
                    unchecked_range, ..
                } => {
                    let len = unchecked_range.end.saturating_sub(unchecked_range.start);
                    end = end.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
                }
                Payload::ComponentSection { parser, .. } => parsers.push(parser.clone()),
                Payload::End(_) => {
                    parsers.pop();
                    levels.pop();
                }
                _ => {}
            }
            self.payload(payload, &mut levels);
            let Some(after) = rest.get(end..) else {
                return;
            };
            rest = after;
        }
    }

    fn component(&mut self) -> Level {
        let component = self.n_components;
        self.n_components += 1;
        Level {
            component,
            ..Level::default()
        }
    }

    fn payload(&mut self, payload: Payload<'_>, levels: &mut [Level]) {
        let Some((level, outer)) = levels.split_last_mut() else {
            return;
        };
        match payload {
            Payload::ModuleSection { .. } => {
                level.modules.push(Some(self.n_modules));
                self.n_modules += 1;
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.into_iter().map_while(Result::ok) {
                    self.alias(level, outer, &alias);
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.into_iter().map_while(Result::ok) {
                    if matches!(import.ty, ComponentTypeRef::Module(_)) {
                        level.modules.push(None);
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.into_iter().map_while(Result::ok) {
                    if export.kind == ComponentExternalKind::Module {
                        let module = level.module(export.index);
                        level.modules.push(module);
                        // Only the host can instantiate what the outermost component exports.
                        if !outer.is_empty() {
                            self.link(module);
                        }
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.into_iter().map_while(Result::ok) {
                    self.pass_on(level, &instance);
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section.into_iter().map_while(Result::ok) {
                    self.instance(level, instance);
                }
            }
            _ => {}
        }
    }

    fn alias(&self, level: &mut Level, outer: &[Level], alias: &ComponentAlias<'_>) {
        match *alias {
            ComponentAlias::CoreInstanceExport {
                kind: ExternalKind::Memory,
                instance_index,
                name,
            } => {
                let memory = self.export(level, instance_index as usize, name);
                level.memories.push(memory);
            }
            ComponentAlias::Outer {
                kind: ComponentOuterAliasKind::CoreModule,
                count,
                index,
            } => {
                let module = match (count as usize, outer.len().checked_sub(count as usize)) {
                    (0, _) => level.module(index),
                    (_, at) => {
                        let outer = at.and_then(|it| outer.get(it));
                        outer.and_then(|it| it.module(index))
                    }
                };
                level.modules.push(module);
            }
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Module,
                ..
            } => level.modules.push(None),
            _ => {}
        }
    }

    /// Returns the instance that owns the memory which an instance exports under a name.
    fn export(&self, level: &Level, instance: usize, name: &str) -> Option<(usize, usize)> {
        match level.instances.get(instance)? {
            Item::Exports(exports) => *exports.get(name)?,
            Item::Module(module, memories) => {
                let memory = *self.exports.get((*module)?)?.get(name)?;
                match memories.get(memory)? {
                    Source::Own => Some((instance, memory)),
                    Source::Of { instance, memory } => Some((*instance, *memory)),
                    Source::Unknown => None,
                }
            }
        }
    }

    fn instance(&mut self, level: &mut Level, instance: CoreInstance<'_>) {
        let item = match instance {
            CoreInstance::Instantiate { module_index, args } => {
                let module = level.module(module_index);
                // In a component, a memory that is imported is always another instance's.
                self.link(module);
                match self.is_full(module) {
                    // Not resolved, so that neither time nor memory grows with them.
                    true => {
                        self.found.n_omitted += 1;
                        Item::Module(None, Vec::new())
                    }
                    false => {
                        let memories = self.memories(level, module, &args);
                        self.add(level, module, &memories);
                        Item::Module(module, memories)
                    }
                }
            }
            CoreInstance::FromExports(exports) => {
                let memories = exports.iter().filter(|it| it.kind == ExternalKind::Memory);
                let memory = |index: u32| level.memories.get(index as usize).copied().flatten();
                let memories = memories.map(|it| (it.name.to_owned(), memory(it.index)));
                Item::Exports(memories.collect())
            }
        };
        level.instances.push(item);
    }

    /// Records the modules that a component instance is made of: other components may instantiate
    /// them.
    fn pass_on(&mut self, level: &Level, instance: &ComponentInstance<'_>) {
        let is_module = |kind: ComponentExternalKind| kind == ComponentExternalKind::Module;
        match instance {
            ComponentInstance::Instantiate { args, .. } => {
                let modules = args.iter().filter(|it| is_module(it.kind));
                modules.for_each(|it| self.link(level.module(it.index)));
            }
            ComponentInstance::FromExports(exports) => {
                let modules = exports.iter().filter(|it| is_module(it.kind));
                modules.for_each(|it| self.link(level.module(it.index)));
            }
        }
    }

    fn link(&mut self, module: Option<usize>) {
        let imports = |it: &Module<'_>| it.n_imported_memories() != 0;
        let module = module.filter(|it| self.modules.get(*it).is_some_and(imports));
        self.found.linked.extend(module);
    }

    /// Returns where the memories of a module come from, if it is instantiated with these.
    fn memories(
        &self,
        level: &Level,
        module: Option<usize>,
        args: &[InstantiationArg<'_>],
    ) -> Vec<Source> {
        let Some(module) = module.and_then(|it| self.modules.get(it)) else {
            return Vec::new();
        };
        let memories = module.memories();
        let has_imports = module.n_imported_memories() != 0;
        let args: BTreeMap<&str, u32> = match has_imports {
            true => args.iter().map(|it| (it.name, it.index)).collect(),
            false => BTreeMap::new(),
        };
        let source = |import: ImportName<'_>| {
            let instance = *args.get(import.module)? as usize;
            let (instance, memory) = self.export(level, instance, import.name)?;
            Some(Source::Of { instance, memory })
        };
        let source = |it: &Memory<'_>| {
            it.import
                .map_or(Source::Own, |it| source(it).unwrap_or(Source::Unknown))
        };
        memories.values().map(source).collect()
    }

    /// Whether one more instance of the module is too many.
    fn is_full(&self, module: Option<usize>) -> bool {
        let module = module.and_then(|it| self.modules.get(it));
        let n_memories = module.map_or(0, |it| it.memories().len());
        self.found.all.len() == MAX_INSTANCES || MAX_MEMORIES < self.n_memories + n_memories
    }

    fn add(&mut self, level: &Level, module: Option<usize>, memories: &[Source]) {
        self.n_memories += memories.len();
        self.found.all.push(Instance {
            component: level.component,
            index: level.instances.len(),
            module,
            memories: memories.to_vec(),
        });
    }
}

/// Returns the heading and the list of instances; nothing if no instance has a memory.
pub(crate) fn text(instances: &Instances) -> String {
    match list(instances) {
        list if list.is_empty() => list,
        list => format!("\n{}\n{list}", paint(BOLD, HEADING)),
    }
}

pub(crate) const HEADING: &str = "Core instances";

/// Returns the instances that have memories, one per line, each followed by its memories.
pub(crate) fn list(instances: &Instances) -> String {
    let has_memories = |it: &&Instance| !it.memories.is_empty();
    let shown: Vec<&Instance> = instances.all.iter().filter(has_memories).collect();
    if shown.is_empty() {
        return String::new();
    }
    let mut out = String::new();
    for it in shown.iter().take(MAX_ROWS) {
        let component = match it.component {
            0 => String::new(),
            nested => format!(" of component {nested}"),
        };
        let module = match it.module {
            Some(module) => format!("core module {module}"),
            None => "an imported module".to_owned(),
        };
        out.push_str(&format!("  instance {}{component}: {module}\n", it.index));
        for (memory, source) in it.memories.iter().enumerate() {
            let source = match source {
                Source::Own => "its own".to_owned(),
                Source::Of { instance, memory } => {
                    format!("memory {memory} of instance {instance}")
                }
                Source::Unknown => "from outside".to_owned(),
            };
            out.push_str(&format!("    memory {memory}: {source}\n"));
        }
    }
    let n_more = shown.len().saturating_sub(MAX_ROWS) as u64 + instances.n_omitted;
    if n_more != 0 {
        let more = counted(n_more, "instance");
        out.push_str(&format!("  and {more} more\n"));
    }
    let n_without = instances.all.len() - shown.len();
    if n_without != 0 {
        let without = counted(n_without as u64, "instance");
        out.push_str(&format!("  and {without} without memories\n"));
    }
    out
}
