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

    #[expect(clippy::cast_precision_loss, reason = "gauges are floats; these are far below 2^53")]
    pub(super) fn look() -> procfs::ProcResult<()> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let ticks = procfs::ticks_per_second().max(1);
        metrics::counter!("process_cpu_seconds_total").absolute((stat.utime + stat.stime) / ticks);
        metrics::gauge!("process_resident_memory_bytes").set((stat.rss * procfs::page_size()) as f64);
        metrics::gauge!("process_virtual_memory_bytes").set(stat.vsize as f64);
        metrics::gauge!("process_threads").set(stat.num_threads as f64);
        metrics::gauge!("process_start_time_seconds").set((procfs::boot_time_secs()? + stat.starttime / ticks) as f64);
        metrics::gauge!("process_open_fds").set(process.fd_count()? as f64);
        if let LimitValue::Value(most) = process.limits()?.max_open_files.soft_limit {
            metrics::gauge!("process_max_fds").set(most as f64);
        }
        Ok(())
    }
}
