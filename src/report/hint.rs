//! Which options would put more data into images, as one complete command to paste.

use alloc::collections::BTreeSet;
use std::collections::HashSet;
use std::env;
use std::ffi::OsString;

use wasm_meminit::analysis::{
    GlobalIndex, ImportName, IndexType, MemoryIndex, OffsetExpr, Plan, Policy, Reason,
    ResolvedOffset, Segment, SegmentMode, SegmentReason, StartFunction, StartReason,
};

use crate::input::globals;
use crate::input::import::Dotted;
use crate::report::instances::Instances;
use crate::report::module::ModuleSurvey;
use crate::text::shell::quote;
use crate::text::units::counted;

/// The most imports that one command names; nobody would fill in more.
const MAX_IMPORTS: usize = 32;

/// The most characters in a command.
const MAX_COMMAND: usize = 8192;

/// The options that would put more data into images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hint {
    /// Imported globals whose values are not known, by core module.
    pub(crate) globals: Vec<(usize, GlobalIndex)>,
    /// Whether one of those is where the dynamic loader puts a module.
    needs_memory_base: bool,
    /// Imported memories that are, or may be, too small as declared, by core module.
    pub(crate) memories: Vec<(usize, MemoryIndex)>,
    /// Whether to pass `--assume-zeroed-imports`.
    pub(crate) zeroed_imports: bool,
    /// Whether to pass `--start-function`.
    pub(crate) start_function: bool,
    /// How many more data bytes would be in images; an upper bound if the values of globals
    /// or the sizes of memories decide.
    pub(crate) data_bytes: u64,
    /// The command that was given plus these options, quoted for the shell; `None` if it
    /// cannot be pasted: too long, or with a name that is not text.
    pub(crate) command: Option<String>,
}

/// The import of position-independent code that says where its data is (tool-conventions,
/// `DynamicLinking.md`).
const MEMORY_BASE: &str = "__memory_base";

/// What is said instead of a command.
pub(crate) const NO_COMMAND: &str =
    "with options for which no command can be pasted: it would be too long, or a name is not text";

/// The options that the modules were planned with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanOptions {
    pub(crate) policy: Policy,
    pub(crate) zeroed_imports: bool,
}

/// Returns the hint for core modules, each with its number in the file, or `None` if no
/// option would put more data into images.
pub(crate) fn hint<'s, 'a: 's>(
    modules: impl Iterator<Item = (usize, &'s ModuleSurvey<'a>)> + Clone,
    n_modules: usize,
    instances: &Instances,
    options: PlanOptions,
) -> Option<Hint> {
    let mut hint = Hint::default();
    let mut globals: BTreeSet<(usize, GlobalIndex)> = BTreeSet::new();
    let mut memories: BTreeSet<(usize, MemoryIndex)> = BTreeSet::new();
    let modules = modules.filter(|(_, it)| !always_traps(it));
    for (nth, survey) in modules.clone() {
        for global in unknown_globals(survey) {
            if let Some(import) = globals::import_name(&survey.module, global) {
                hint.needs_memory_base |= import.name == MEMORY_BASE;
                globals.insert((nth, global));
            }
        }
        memories.extend(too_small(survey).map(|it| (nth, it)));
        hint.add_promises(survey, instances.are_linked(nth), options);
    }
    hint.globals = globals.into_iter().collect();
    hint.memories = memories.into_iter().collect();
    let gain = |(nth, it)| hint.gain(nth, it, instances, options);
    let gains = modules.clone().map(gain);
    hint.data_bytes = gains.sum();
    if hint.data_bytes == 0 {
        return None;
    }
    hint.command = hint.complete_command(modules, n_modules);
    Some(hint)
}

/// Whether an image of this memory is possible, if the host makes promises: the module defines it,
/// or the host supplies it and can tell it from the others.
fn may_have_image(survey: &ModuleSurvey<'_>, is_linked: bool, memory: MemoryIndex) -> bool {
    let is_imported = survey.module.defined_memory_index(memory).is_none();
    !is_imported || !(is_linked || survey.module.is_imported_twice(memory))
}

/// Whether every instantiation traps at a segment, whatever the host does, so that images
/// are of no use.
fn always_traps(survey: &ModuleSurvey<'_>) -> bool {
    survey
        .reasons
        .iter()
        .any(|it| match (it.reason, it.memory) {
            (Reason::AlwaysTraps { .. }, _) => true,
            (Reason::OutOfBounds { addr: offset, .. }, Some(memory)) => {
                let memory = &survey.module.memories()[memory];
                let end = offset.checked_add(it.len);
                let addressable = match memory.ty.index_type {
                    IndexType::I32 => Some(1 << 32),
                    IndexType::I64 => None,
                };
                let most = memory.ty.max_bytes().or(addressable);
                memory.import.is_none() || end.is_none_or(|end| most.is_some_and(|most| most < end))
            }
            _ => false,
        })
}

/// Returns the imported globals without a value that decide an address, also by way of globals
/// that the module defines.
fn unknown_globals(survey: &ModuleSurvey<'_>) -> BTreeSet<GlobalIndex> {
    let module = &survey.module;
    let of_segments = survey.reasons.iter().filter_map(|it| {
        let is_open = matches!(it.reason, Reason::DynamicOffset { .. });
        match &module.segments().get(it.segment).filter(|_| is_open)?.mode {
            SegmentMode::Active { offset, .. } => Some(offset.as_ref()),
            SegmentMode::Passive => None,
        }
    });
    let of_start = survey.start.as_ref().and_then(|it| it.unknown_global());
    let of_start = of_start.map(global_get).unwrap_or_default();
    let of_start = OffsetExpr::decode(&of_start).ok().map(|it| it.0);
    // Most segments have one of a few offsets, and resolving one takes up to a thousand steps.
    let offsets: HashSet<OffsetExpr<'_>> = of_segments.chain(of_start).collect();
    let mut unknown = BTreeSet::new();
    for offset in &offsets {
        let resolved = module.resolve_offset(offset);
        let offset = match &resolved {
            Some(ResolvedOffset::Expr(expr)) => OffsetExpr::decode(expr).ok().map(|it| it.0),
            _ => None,
        }
        .unwrap_or(offset.as_ref());
        unknown.extend(offset.globals().filter(|it| {
            let is_imported = globals::import_name(module, *it).is_some();
            is_imported && module.global_value(*it).is_none()
        }));
    }
    unknown
}

/// Encodes the expression that is the value of a global.
fn global_get(global: GlobalIndex) -> Vec<u8> {
    let mut expr = vec![0x23];
    let mut rest = global.as_u32();
    while 0x7f < rest {
        expr.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    expr.extend([rest as u8, 0x0b]);
    expr
}

/// Returns the imported memories whose size was not given, and that are too small, as declared,
/// for a segment with a known address, or may be for one whose address a global decides: a side
/// module declares no more than its own data needs.
fn too_small(survey: &ModuleSurvey<'_>) -> impl Iterator<Item = MemoryIndex> {
    let may_be = |reason| {
        matches!(
            reason,
            Reason::OutOfBounds { .. } | Reason::DynamicOffset { .. }
        )
    };
    let of_segments = survey
        .reasons
        .iter()
        .map(move |it| it.memory.filter(|_| may_be(it.reason)));
    // A start function of wasm-ld's writes to the first one.
    let start = survey.start.as_ref().map(|it| &it.init);
    let is_outside = matches!(start, Some(Err(StartReason::OutOfBounds { .. })));
    let of_start = is_outside.then_some(MemoryIndex::from_u32(0));
    of_segments.chain([of_start]).filter_map(move |index| {
        let index = index?;
        let memory = survey.module.memories().get(index)?;
        let is_given = survey.module.supplied_memory_size(index).is_some();
        (memory.import.is_some() && !is_given).then_some(index)
    })
}

/// An option with its argument, which may begin with a dash.
fn option(name: &str, argument: String) -> Vec<String> {
    match argument.trim_start_matches('\'').starts_with('-') {
        true => vec![format!("{name}={argument}")],
        false => vec![name.to_owned(), argument],
    }
}

/// Adds an option, unless it is there: one name may be imported twice.
fn add(options: &mut Vec<String>, option: Vec<String>) {
    if option.last().is_some_and(|it| !options.contains(it)) {
        options.extend(option);
    }
}

/// Formats an import as the option's argument, with a placeholder for its value. `others` are the
/// imports of its kind and module.
fn word<'a>(
    import: ImportName<'a>,
    mut others: impl Iterator<Item = ImportName<'a>>,
    index: u32,
    nth: usize,
    n_modules: usize,
    value: &str,
) -> Option<String> {
    let name = Dotted(import).to_string();
    let is_shared = others.any(|it| it != import && Dotted(it).is(&name));
    // Two side modules may use one name for different values.
    let module = match 1 < n_modules || name.starts_with(|it: char| it.is_ascii_digit()) {
        true => format!("{nth}:"),
        false => String::new(),
    };
    let by_name = quote(&format!("{module}{name}={value}"));
    by_name
        .filter(|_| !is_shared)
        .or_else(|| quote(&format!("{module}#{index}={value}")))
}

/// Returns the given command line without an option and its value: one that may be given only once.
fn without(mut args: impl Iterator<Item = OsString>, option: &str) -> Vec<OsString> {
    let mut kept = Vec::new();
    while let Some(arg) = args.next() {
        let text = arg.to_str().unwrap_or_default();
        match text.strip_prefix(option) {
            Some("") => drop(args.next()),
            Some(rest) if rest.starts_with('=') => {}
            _ if text == "--" => {
                kept.push(arg);
                kept.extend(args.by_ref());
            }
            _ => kept.push(arg),
        }
    }
    kept
}

/// Returns the given command line with more options, or `None` if it cannot be quoted for a
/// shell or is too long.
fn command(args: impl Iterator<Item = OsString>, options: &[String]) -> Option<String> {
    let mut command = String::from("wasm-meminit");
    let mut options = Some(options);
    let mut add = |word: &str| {
        command.push(' ');
        command.push_str(word);
    };
    for arg in args {
        if arg == "--" {
            // Arguments after it are not options.
            options
                .take()
                .unwrap_or_default()
                .iter()
                .for_each(|it| add(it));
        }
        add(&quote(arg.to_str()?)?);
    }
    options.unwrap_or_default().iter().for_each(|it| add(it));
    (command.len() <= MAX_COMMAND).then_some(command)
}

impl Hint {
    /// Returns the command with every option of the hint.
    fn complete_command<'s, 'a: 's>(
        &self,
        modules: impl Iterator<Item = (usize, &'s ModuleSurvey<'a>)> + Clone,
        n_modules: usize,
    ) -> Option<String> {
        if MAX_IMPORTS < self.globals.len() + self.memories.len() {
            return None;
        }
        let module = |nth: usize| {
            modules
                .clone()
                .find(|it| it.0 == nth)
                .map(|it| &it.1.module)
        };
        let mut options: Vec<String> = Vec::new();
        for &(nth, global) in &self.globals {
            let module = module(nth)?;
            let import = globals::import_name(module, global)?;
            let others = module.global_imports().values().copied();
            let word = word(import, others, global.as_u32(), nth, n_modules, "VALUE")?;
            add(&mut options, option("--global", word));
        }
        for &(nth, memory) in &self.memories {
            let memories = module(nth)?.memories();
            let import = memories.get(memory)?.import?;
            let others = memories.values().filter_map(|it| it.import);
            let word = word(import, others, memory.as_u32(), nth, n_modules, "BYTES")?;
            add(&mut options, option("--memory", word));
        }
        if self.zeroed_imports {
            options.push(String::from("--assume-zeroed-imports"));
        }
        let args = env::args_os().skip(1);
        if self.start_function {
            options.push(String::from("--start-function"));
            options.push(String::from("writes-stripped"));
            return command(without(args, "--start-function").into_iter(), &options);
        }
        command(args, &options)
    }

    fn add_promises(&mut self, survey: &ModuleSurvey<'_>, is_linked: bool, options: PlanOptions) {
        let is_imported = |it: &SegmentReason| {
            it.memory.is_some_and(|it| {
                let is_imported = survey.module.defined_memory_index(it).is_none();
                is_imported && may_have_image(survey, is_linked, it)
            })
        };
        let open = |reason: Reason| {
            matches!(
                reason,
                Reason::ImportedMemory | Reason::DynamicOffset { .. } | Reason::OutOfBounds { .. }
            )
        };
        let mut replayed = survey.reasons.iter();
        if !options.zeroed_imports && replayed.any(|it| open(it.reason) && is_imported(it)) {
            self.zeroed_imports = true;
        }
        let Some(start) = &survey.start else { return };
        let is_asked = survey.plan.start_function() != StartFunction::Unchanged;
        let memory = match (&start.init, start.why_not) {
            (Ok(init), Some(StartReason::NotAsked | StartReason::ImportedMemory)) => {
                Some(init.memory())
            }
            // The function can only be recognised once the global's value, or the memory's size, is
            // known.
            (Err(StartReason::DynamicOffset { .. }), _) => survey.module.memories().keys().next(),
            (Err(StartReason::OutOfBounds { .. }), _) => too_small(survey).next(),
            _ => None,
        };
        let memory = memory.filter(|it| may_have_image(survey, is_linked, *it));
        let Some(memory) = memory.and_then(|it| survey.module.memories().get(it)) else {
            return;
        };
        self.start_function |= !is_asked;
        self.zeroed_imports |= memory.import.is_some() && !options.zeroed_imports;
    }

    /// Whether the command asks for a value or a size of this core module.
    fn asks_about(&self, module: usize) -> bool {
        let global = self.globals.partition_point(|it| it.0 < module);
        let memory = self.memories.partition_point(|it| it.0 < module);
        self.globals.get(global).is_some_and(|it| it.0 == module)
            || self.memories.get(memory).is_some_and(|it| it.0 == module)
    }

    /// Returns how many more data bytes of the `nth` core module would be in images.
    fn gain(
        &self,
        nth: usize,
        survey: &ModuleSurvey<'_>,
        instances: &Instances,
        options: PlanOptions,
    ) -> u64 {
        if !self.is_upper_bound() && !self.zeroed_imports && !self.start_function {
            return 0;
        }
        if self.asks_about(nth) {
            let is_linked = instances.are_linked(nth);
            let may_have_image = |it| may_have_image(survey, is_linked, it);
            // The addresses are not known, so this is an upper bound.
            let is_open = |it: &&SegmentReason| {
                it.memory.is_some_and(may_have_image)
                    && matches!(
                        it.reason,
                        Reason::DynamicOffset { .. }
                            | Reason::OutOfBounds { .. }
                            | Reason::AfterBarrier { .. }
                            | Reason::ImportedMemory
                            | Reason::AllOrNothing { .. }
                    )
            };
            let closed = |it: &&SegmentReason| !is_open(it) && it.reason != Reason::Passive;
            let is_all_or_nothing = options.policy.max_image_size_always_allowed().is_some();
            if is_all_or_nothing && survey.reasons.iter().any(|it| closed(&it)) {
                return 0;
            }
            let open = survey.reasons.iter().filter(is_open);
            let of_start = match survey.start {
                Some(_) if may_have_image(MemoryIndex::from_u32(0)) => survey.passive_bytes(),
                _ => 0,
            };
            return open.map(|it| it.len).sum::<u64>() + of_start;
        }
        let mut policy = options.policy;
        if self.zeroed_imports {
            policy = policy.with_zeroed_imports(true);
        }
        if self.start_function {
            policy = policy.with_start_function(StartFunction::WritesStripped);
        }
        let plan = Plan::new(&survey.module, &instances.policy_of(nth, policy));
        let after = baked_bytes(survey, &plan);
        after.saturating_sub(baked_bytes(survey, &survey.plan))
    }

    /// Whether the addresses that decide are not known, so that `data_bytes` is the most that
    /// is possible.
    pub(crate) const fn is_upper_bound(&self) -> bool {
        !self.globals.is_empty() || !self.memories.is_empty()
    }

    /// Returns what must be true of the host, or known about it, for the command to be right.
    pub(crate) fn condition(&self) -> Option<String> {
        let mut conditions: Vec<String> = Vec::new();
        let meaning = match self.needs_memory_base {
            true => " (__memory_base: where the loader puts the module)",
            false => "",
        };
        match self.globals.len() {
            0 => {}
            1 => conditions.push(format!(
                "you know the value that the host supplies for 1 imported global{meaning}"
            )),
            n => {
                let n = counted(n as u64, "imported global");
                conditions.push(format!(
                    "you know the values that the host supplies for {n}{meaning}"
                ));
            }
        }
        match self.memories.len() {
            0 => {}
            1 => conditions.push(String::from("you know the size of 1 imported memory")),
            n => {
                let n = counted(n as u64, "imported memory");
                conditions.push(format!("you know the sizes of {n}"));
            }
        }
        if self.zeroed_imports {
            let zeroed = "the host supplies zeroed, distinct memories of their declared size";
            conditions.push(String::from(zeroed));
        }
        (!conditions.is_empty()).then(|| conditions.join(" and "))
    }
}

/// Returns how many bytes the segments in images have.
pub(crate) fn baked_bytes(survey: &ModuleSurvey<'_>, plan: &Plan<'_>) -> u64 {
    let active = |it: &&Segment<'_>| matches!(it.mode, SegmentMode::Active { .. });
    let all = survey.module.segments().values().filter(active);
    let all = all.map(|it| it.data.len() as u64);
    let replayed = plan.replay().iter().map(|it| it.data.len() as u64);
    let of_start = plan.start().map_or(0, |it| survey.copied_bytes(it));
    all.sum::<u64>().saturating_sub(replayed.sum()) + of_start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_before_a_double_dash() {
        let args = |list: &[&str]| list.iter().map(OsString::from).collect::<Vec<_>>();
        let options = [String::from("--assume-zeroed-imports")];
        let command = |list: &[&str]| command(args(list).into_iter(), &options);
        assert_eq!(
            command(&["inspect", "my app.wasm"]).as_deref(),
            Some("wasm-meminit inspect 'my app.wasm' --assume-zeroed-imports")
        );
        assert_eq!(
            command(&["inspect", "--", "-x"]).as_deref(),
            Some("wasm-meminit inspect --assume-zeroed-imports -- -x")
        );
    }
}
