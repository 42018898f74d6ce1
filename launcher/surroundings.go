package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// namespaces gives the inode numbers of the namespaces it is in: those that the kernel made at boot have fixed ones.
func namespaces() map[string]uint64 {
	inodes := map[string]uint64{}
	for _, name := range []string{"cgroup", "ipc", "net", "pid", "user", "uts"} {
		var stat syscall.Stat_t
		if syscall.Stat("/proc/self/ns/"+name, &stat) == nil {
			inodes[name] = stat.Ino
		}
	}
	return inodes
}

// devices names the devices right in /dev; no link is followed.
func devices() []string {
	names := []string{}
	entries, _ := os.ReadDir("/dev")
	for _, entry := range entries {
		if entry.Type()&os.ModeDevice != 0 {
			names = append(names, entry.Name())
		}
	}
	return names
}

// memoryAndSwap is what both may be together. Version 2 has a limit for each of them, and they add up.
func memoryAndSwap(memory *int64) *int64 {
	if together := controlGroupLimit("memory/memory.memsw.limit_in_bytes"); together != nil {
		return together
	}
	swap := controlGroupLimit("memory.swap.max")
	if swap == nil || memory == nil {
		return nil
	}
	sum := *swap + *memory
	if *swap == unlimited || *memory == unlimited {
		sum = unlimited
	}
	return &sum
}

// nanoCPUs is the share of processor time, in billionths of a core.
func nanoCPUs() *int64 {
	quota, period, _ := strings.Cut(strings.TrimSpace(read("/sys/fs/cgroup/cpu.max")), " ")
	if quota == "" {
		quota = strings.TrimSpace(read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"))
		period = strings.TrimSpace(read("/sys/fs/cgroup/cpu/cpu.cfs_period_us"))
	}
	if quota == "" {
		return nil
	}
	share := int64(unlimited)
	of, err := strconv.ParseInt(period, 10, 64)
	if used, notANumber := strconv.ParseInt(quota, 10, 64); notANumber == nil && err == nil && used > 0 && of > 0 {
		share = used * 1_000_000_000 / of // microseconds; a thousand cores are far from an overflow
	}
	return &share
}
