//! CPU, memory and open files of this process, under the names that Prometheus' own clients use. On Linux only.

/// Looks at the process now; what the system does not tell stays as it was.
#[cfg(target_os = "linux")]
pub(super) fn look() {
    if let Err(error) = linux::look() {
        tracing::debug!(%error, "the process cannot be looked at");
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn look() {}

#[cfg(target_os = "linux")]
mod linux {
    use procfs::process::{LimitValue, Process};

    /// What the kernel counts processor time in for whoever reads `/proc` (`USER_HZ`), constant on what we run on. The
    /// crate asks the process's auxiliary vector for it, and dies of what that holds under valgrind (`make instructions`).
    /// Hence also memory in KiB rather than in pages, and our own look for the boot.
    const TICKS_PER_SECOND: u64 = 100;

    #[expect(clippy::cast_precision_loss, reason = "gauges are floats; these are far below 2^53")]
    pub(super) fn look() -> procfs::ProcResult<()> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        metrics::counter!("process_cpu_seconds_total").absolute((stat.utime + stat.stime) / TICKS_PER_SECOND);
        if let Some(resident_kib) = process.status()?.vmrss {
            metrics::gauge!("process_resident_memory_bytes").set((resident_kib * 1024) as f64);
        }
        metrics::gauge!("process_virtual_memory_bytes").set(stat.vsize as f64);
        metrics::gauge!("process_threads").set(stat.num_threads as f64);
        if let Some(boot) = boot_seconds() {
            metrics::gauge!("process_start_time_seconds").set((boot + stat.starttime / TICKS_PER_SECOND) as f64);
        }
        metrics::gauge!("process_open_fds").set(process.fd_count()? as f64);
        if let LimitValue::Value(most) = process.limits()?.max_open_files.soft_limit {
            metrics::gauge!("process_max_fds").set(most as f64);
        }
        Ok(())
    }

    /// When the machine was started, since the epoch.
    fn boot_seconds() -> Option<u64> {
        let stat = std::fs::read_to_string("/proc/stat").ok()?;
        stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
    }
}
