//! Processor time and memory of processes, as Linux tells them, and children that end with us.

use std::collections::BTreeMap;
use std::fs;

use super::job::Group;

/// What the kernel counts processor time in, for everybody who asks in this way.
const TICK_US: f64 = 10_000.0;

/// Processor time since their start, in microseconds, and resident memory in KiB, of each group.
pub(crate) fn look(groups: &[Group]) -> (BTreeMap<String, f64>, BTreeMap<String, u64>) {
    let parents = parents();
    let (mut cpu, mut memory) = (BTreeMap::new(), BTreeMap::new());
    for group in groups {
        let members = members(&group.roots, &parents);
        cpu.insert(group.name.clone(), members.iter().filter_map(|pid| cpu_us(*pid)).sum());
        memory.insert(group.name.clone(), members.iter().filter_map(|pid| resident_kib(*pid)).sum());
    }
    (cpu, memory)
}

/// The roots and everybody below them.
fn members(roots: &[u32], parents: &BTreeMap<u32, u32>) -> Vec<u32> {
    let below = |pid: u32| {
        std::iter::successors(Some(pid), |pid| parents.get(pid).copied()).any(|ancestor| roots.contains(&ancestor))
    };
    parents.keys().copied().filter(|pid| below(*pid)).collect()
}

/// Every process with its parent.
fn parents() -> BTreeMap<u32, u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, parent_of(pid)?))).collect()
}

/// The parent of a process that lives.
pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    field(pid, 1)
}

/// Whoever runs a program of that name below one of `roots`.
pub(crate) fn named(name: &str, roots: &[u32]) -> Vec<u32> {
    let is_it = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name);
    members(roots, &parents()).into_iter().filter(is_it).collect()
}

fn cpu_us(pid: u32) -> Option<f64> {
    Some((field::<f64>(pid, 11)? + field::<f64>(pid, 12)?) * TICK_US)
}

/// A field of `/proc/<pid>/stat`, counted from the process's state on: the name before it can hold anything.
fn field<T: std::str::FromStr>(pid: u32, place: usize) -> Option<T> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(place)?.parse().ok()
}

fn resident_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_holds_its_roots_and_whoever_is_below() {
        let parents = [(1, 0), (10, 1), (11, 10), (12, 11), (20, 1)].into();
        assert_eq!(members(&[10], &parents), [10, 11, 12]);
        assert_eq!(members(&[20, 12], &parents), [12, 20]);
        assert_eq!(members(&[99], &parents), Vec::<u32>::new());
    }

    #[test]
    fn this_process_has_a_parent_and_memory() {
        let own = std::process::id();
        assert!(parent_of(own).is_some_and(|parent| parent > 0));
        assert!(resident_kib(own).is_some_and(|kib| kib > 100));
        assert!(cpu_us(own).is_some());
    }
}
