//! What the kernel says of this process. Where it says nothing, there is no figure.

use std::fs;

use jiff::Timestamp;

/// Ticks of the times in `/proc`: the same on every machine that Linux has a stable interface for.
const TICKS: f64 = 100.0;

/// The figures that monitoring knows of every process.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_seconds: Option<f64>,
    /// Since the epoch.
    pub(super) started: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) open_files: Option<u64>,
    pub(super) most_files: Option<u64>,
}

impl Process {
    pub(super) fn look(now: Timestamp) -> Self {
        let read = |name: &str| fs::read_to_string(name).unwrap_or_default();
        let (stat, uptime) = (read("/proc/self/stat"), read("/proc/uptime"));
        let files = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64);
        Self {
            open_files: files,
            ..Self::of(&stat, &read("/proc/self/status"), &read("/proc/self/limits"), &uptime, now)
        }
    }

    fn of(stat: &str, status: &str, limits: &str, uptime: &str, now: Timestamp) -> Self {
        // The second field is the name, in brackets, with whatever is in it.
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).map(|ticks| ticks / TICKS);
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
        };
        let up = uptime.split_whitespace().next().and_then(|up| up.parse::<f64>().ok());
        let most = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        Self {
            cpu_seconds: ticks(11).zip(ticks(12)).map(|(user, system)| user + system),
            started: ticks(19).zip(up).map(|(after_boot, up)| now.as_duration().as_secs_f64() - up + after_boot),
            resident_bytes: kilobytes("VmRSS"),
            virtual_bytes: kilobytes("VmSize"),
            open_files: None,
            most_files: most.and_then(|line| line.split_whitespace().next()?.parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::Process;

    #[test]
    fn the_figures_are_read_from_where_the_kernel_puts_them() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194304 1 2 3 4 150 50 6 7 20 0 9 0 4200 99 98 97";
        let status = "Name:\tx\nVmSize:\t   2048 kB\nVmRSS:\t    1024 kB\n";
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096     files\n";
        let now = Timestamp::from_second(1_000).unwrap();
        let process = Process::of(stat, status, limits, "100.5 7.0\n", now);
        let expected = Process {
            cpu_seconds: Some(2.0),
            started: Some(1_000.0 - 100.5 + 42.0),
            resident_bytes: Some(1 << 20),
            virtual_bytes: Some(2 << 20),
            open_files: None,
            most_files: Some(1024),
        };
        assert_eq!(process, expected);
        assert_eq!(Process::of("", "", "", "", now), Process::default());
        let own = Process::look(now);
        assert!(own.resident_bytes > Some(1 << 20) && own.open_files > Some(2) && own.cpu_seconds.is_some());
    }
}
