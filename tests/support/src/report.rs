//! What the kernel reports about this process: proc_pid_status(5), proc_pid_smaps_rollup(5),
//! proc_pid_stat(5).

use std::fs;

/// One report, read at one moment.
#[derive(Clone, Debug)]
pub struct Report(String);

impl Report {
    /// Reads `/proc/self/status`; empty where the system has none.
    pub fn status() -> Self {
        Self(fs::read_to_string("/proc/self/status").unwrap_or_default())
    }

    /// Reads `/proc/self/smaps_rollup`; empty where the system has none, as before Linux 4.14.
    pub fn smaps_rollup() -> Self {
        Self(fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default())
    }

    /// Returns a size in bytes, or `None` if the report has no such field.
    pub fn bytes(&self, field: &str) -> Option<usize> {
        let mut lines = self.0.lines();
        let value = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
        let kib: usize = value.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(kib * 1024)
    }
}

/// Returns how many page faults of this thread needed no input, or `None` where the system does
/// not say, as before Linux 3.17.
pub fn page_faults() -> Option<u64> {
    let stat = fs::read_to_string("/proc/thread-self/stat").ok()?;
    // The name, in parentheses, may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(7)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let report = Report("Rss:         12 kB\nRssAnon:\t       4 kB\nThreads:\t3\n".to_owned());
        assert_eq!(report.bytes("RssAnon"), Some(4096));
        assert_eq!(report.bytes("Rss"), Some(12 * 1024));
        assert_eq!(report.bytes("Threads"), None);
        assert_eq!(report.bytes("Pss"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_has_these_fields() {
        let status = Report::status();
        assert!(status.bytes("VmRSS") <= status.bytes("VmSize"));
        assert!(Report::status().bytes("VmPTE").is_some());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_counts_page_faults() {
        let before = page_faults().expect("Linux 3.17");
        let bytes = core::hint::black_box(alloc::vec![1_u8; 16 << 20]);
        let after = page_faults().expect("Linux 3.17");
        assert!(before < after, "{} bytes without a fault", bytes.len());
    }
}
