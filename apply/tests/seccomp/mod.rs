//! System call filters, as sandboxes install them, which return chosen results.

use alloc::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

/// Calls that can be filtered, some by their arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filtered {
    Fstat,
    Ioctl,
    Madvise,
    /// `MADV_DONTNEED`.
    MadviseToDiscard,
    Mmap,
    MmapFixed,
    /// `MAP_NORESERVE` without `MAP_FIXED`.
    MmapToReserve,
    /// `PROT_NONE`.
    MprotectToClose,
    /// `PROT_READ | PROT_WRITE`.
    MprotectToOpen,
    ProcessMadvise,
}

impl Filtered {
    /// The calls that a sandbox refuses.
    pub(crate) const ALL: [Self; 6] = [
        Self::Madvise,
        Self::ProcessMadvise,
        Self::Ioctl,
        Self::MprotectToOpen,
        Self::Mmap,
        Self::Fstat,
    ];

    /// The calls that a system only claims to have done.
    pub(crate) const LIES: [Self; 8] = [
        Self::Madvise,
        Self::MadviseToDiscard,
        Self::ProcessMadvise,
        Self::Ioctl,
        Self::MprotectToClose,
        Self::MprotectToOpen,
        Self::MmapFixed,
        Self::MmapToReserve,
    ];

    /// Returns its number, and which argument must have which bits: linux/unistd.h,
    /// mman.h.
    fn call(self) -> (i64, Vec<(u8, u64, u64)>) {
        const MAP_FIXED: u64 = 0x10;
        const MAP_NORESERVE: u64 = 0x4000;
        let all = u64::from(u32::MAX);
        match self {
            Self::Fstat => (number::FSTAT, vec![]),
            Self::Ioctl => (number::IOCTL, vec![]),
            Self::Madvise => (number::MADVISE, vec![]),
            Self::MadviseToDiscard => (number::MADVISE, vec![(2, all, 4)]),
            Self::Mmap => (number::MMAP, vec![]),
            Self::MmapFixed => (number::MMAP, vec![(3, MAP_FIXED, MAP_FIXED)]),
            Self::MmapToReserve => {
                let mask = MAP_FIXED | MAP_NORESERVE;
                (number::MMAP, vec![(3, mask, MAP_NORESERVE)])
            }
            Self::MprotectToClose => (number::MPROTECT, vec![(2, all, 0)]),
            Self::MprotectToOpen => (number::MPROTECT, vec![(2, all, 3)]),
            Self::ProcessMadvise => (number::PROCESS_MADVISE, vec![]),
        }
    }
}

/// The result of one kind of call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    call: Filtered,
    code: u32,
}

impl Rule {
    /// An error number, or 0 for success.
    pub(crate) const fn refuse(call: Filtered, code: u32) -> Self {
        Self { call, code }
    }
}

/// Installs a filter for these calls, in this thread and those that it starts. Returns
/// whether the system allows that.
pub(crate) fn answer(rules: &[Rule]) -> bool {
    let programs: Vec<BpfProgram> = rules
        .iter()
        .map(|rule| {
            let (number, args) = rule.call.call();
            let conditions: Vec<_> = args
                .into_iter()
                .map(|(arg, mask, value)| {
                    let op = SeccompCmpOp::MaskedEq(mask);
                    SeccompCondition::new(arg, SeccompCmpArgLen::Dword, op, value).expect("valid")
                })
                .collect();
            let chain = match conditions.is_empty() {
                true => vec![],
                false => vec![SeccompRule::new(conditions).expect("valid")],
            };
            let rules = BTreeMap::from([(number, chain)]);
            let action = SeccompAction::Errno(rule.code);
            let arch = std::env::consts::ARCH.try_into().expect("a known machine");
            let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, arch);
            filter.expect("valid").try_into().expect("a program")
        })
        .collect();
    programs.iter().all(|program| apply_filter(program).is_ok())
}

/// System call numbers: linux/unistd.h of each architecture.
#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const FSTAT: i64 = 5;
    pub(super) const IOCTL: i64 = 16;
    pub(super) const MADVISE: i64 = 28;
    pub(super) const MMAP: i64 = 9;
    pub(super) const MPROTECT: i64 = 10;
    pub(super) const PROCESS_MADVISE: i64 = 440;
}

/// The numbers that all newer architectures share.
#[cfg(not(target_arch = "x86_64"))]
mod number {
    pub(super) const FSTAT: i64 = 80;
    pub(super) const IOCTL: i64 = 29;
    pub(super) const MADVISE: i64 = 233;
    pub(super) const MMAP: i64 = 222;
    pub(super) const MPROTECT: i64 = 226;
    pub(super) const PROCESS_MADVISE: i64 = 440;
}
