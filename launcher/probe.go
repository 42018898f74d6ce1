package main

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
)

const modeNothing = "nothing"

// unlimited is how limits without an end are written.
const unlimited = -1

// probe is what is seen from inside; the server compares it with what was asked for (SandboxProbe in
// src/modules/agent/domain/sandbox.ts).
type probe struct {
	UID              int               `json:"uid"`
	GID              int               `json:"gid"`
	Groups           []int             `json:"groups"`
	Capabilities     map[string]string `json:"capabilities"`
	NoNewPrivileges  bool              `json:"no_new_privileges"`
	Seccomp          int               `json:"seccomp"`
	AppArmor         string            `json:"apparmor"`
	Interfaces       []string          `json:"interfaces"`
	Routes           []string          `json:"routes"`
	Namespaces       map[string]uint64 `json:"namespaces"`
	Mounts           []mount           `json:"mounts"`
	Devices          []string          `json:"devices"`
	RootWritable     bool              `json:"root_writable"`
	ProcSysWritable  bool              `json:"proc_sys_writable"`
	CanUnshareUser   bool              `json:"can_unshare_user"`
	MemoryMax        *int64            `json:"memory_max"`
	MemorySwapMax    *int64            `json:"memory_swap_max"`
	NanoCPUs         *int64            `json:"nano_cpus"`
	PidsMax          *int64            `json:"pids_max"`
	ResourceLimits   []string          `json:"rlimits"`
	VisibleProcesses []int             `json:"pids"`
}

type mount struct {
	Target  string   `json:"target"`
	Type    string   `json:"type"`
	Options []string `json:"options"`
}

// look sees all of it, as JSON.
func look() []byte {
	status := statusOf("/proc/self/status")
	seccomp, err := strconv.Atoi(status["Seccomp"])
	if err != nil {
		seccomp = 0 // a kernel without it
	}
	seen := probe{
		UID:              os.Getuid(),
		GID:              os.Getgid(),
		Groups:           groups(),
		Capabilities:     map[string]string{},
		NoNewPrivileges:  status["NoNewPrivs"] == "1",
		Seccomp:          seccomp,
		AppArmor:         strings.Trim(read("/proc/self/attr/current"), "\x00\n "),
		Interfaces:       interfaces(),
		Routes:           routes(),
		Namespaces:       namespaces(),
		Mounts:           mounts(),
		Devices:          devices(),
		RootWritable:     canMakeFile("/"),
		ProcSysWritable:  canOpenToWrite("/proc/sys/kernel/domainname") || !isReadOnly("/proc/sys"),
		CanUnshareUser:   canUnshareUser(),
		MemoryMax:        controlGroupLimit("memory.max", "memory/memory.limit_in_bytes"),
		NanoCPUs:         nanoCPUs(),
		PidsMax:          controlGroupLimit("pids.max", "pids/pids.max"),
		ResourceLimits:   resourceLimits(),
		VisibleProcesses: processes(),
	}
	seen.MemorySwapMax = memoryAndSwap(seen.MemoryMax)
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		seen.Capabilities[set] = status[set]
	}
	text, _ := json.Marshal(seen)
	return text
}

func read(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(content)
}

func lines(path string) []string {
	return strings.Split(strings.TrimRight(read(path), "\n"), "\n")
}

func statusOf(path string) map[string]string {
	fields := map[string]string{}
	for _, line := range lines(path) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.TrimSpace(value)
	}
	return fields
}

func groups() []int {
	ids, err := os.Getgroups()
	if err != nil || ids == nil {
		return []int{}
	}
	return ids
}

func interfaces() []string {
	names := []string{}
	for _, line := range lines("/proc/net/dev") {
		if name, _, isOne := strings.Cut(line, ":"); isOne { // two lines of headings have none
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

func routes() []string {
	destinations := []string{}
	for _, line := range lines("/proc/net/route") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] != "Iface" {
			destinations = append(destinations, fields[1])
		}
	}
	return destinations
}

func mounts() []mount {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	all := []mount{}
	for _, line := range lines("/proc/self/mounts") {
		if fields := strings.Fields(line); len(fields) > 3 {
			all = append(all, mount{unescape.Replace(fields[1]), fields[2], withoutPaths(strings.Split(fields[3], ","))})
		}
	}
	return all
}

// withoutPaths leaves out where an overlay lies on the host: that is nobody's business in here.
func withoutPaths(options []string) []string {
	kept := []string{}
	for _, option := range options {
		if !strings.Contains(option, "/") {
			kept = append(kept, option)
		}
	}
	return kept
}

// canMakeFile tries it. Without the right to write there, a file system that is not read-only counts as writable:
// an image may have folders in it that anybody can write to.
func canMakeFile(folder string) bool {
	path := strings.TrimRight(folder, "/") + "/.kandev-launcher"
	file, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_CLOEXEC, 0o600)
	if err == nil {
		_ = syscall.Close(file)
		_ = syscall.Unlink(path)
		return true
	}
	return err != syscall.EROFS && !isReadOnly(folder)
}

func canOpenToWrite(path string) bool {
	file, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	_ = syscall.Close(file)
	return true
}

func isReadOnly(path string) bool {
	var stat syscall.Statfs_t
	const readOnly = 1 // ST_RDONLY
	return syscall.Statfs(path, &stat) == nil && stat.Flags&readOnly != 0
}

// canUnshareUser tries it in a process of its own: the kernel refuses it to any with more than one thread.
func canUnshareUser() bool {
	child, err := syscall.ForkExec(self, []string{"kandev-launcher", modeNothing}, &syscall.ProcAttr{
		Env: []string{},
		Sys: &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWUSER},
	})
	switch err {
	case nil:
		_, _ = syscall.Wait4(child, nil, 0, nil)
		return true
	case syscall.EPERM, syscall.EACCES, syscall.ENOSPC, syscall.ENOSYS:
		return false // a filter, a security module, or a kernel that allows none
	default:
		return true // tried, and failed for another reason than that it is forbidden
	}
}

// controlGroupLimit reads a limit under its name of version 2 or 1; nil where the group does not show.
func controlGroupLimit(names ...string) *int64 {
	for _, name := range names {
		text := strings.TrimSpace(read("/sys/fs/cgroup/" + name))
		if text == "" {
			continue
		}
		limit, err := strconv.ParseInt(text, 10, 64)
		if err != nil || limit > math.MaxInt64/2 { // "max"; version 1 writes the largest number of pages
			limit = unlimited
		}
		return &limit
	}
	return nil
}

func resourceLimits() []string {
	const nproc = 6 // RLIMIT_NPROC, which package syscall does not name
	all := []string{}
	for _, limit := range []struct {
		name     string
		resource int
	}{{"core", syscall.RLIMIT_CORE}, {"fsize", syscall.RLIMIT_FSIZE}, {"nofile", syscall.RLIMIT_NOFILE}, {"nproc", nproc}} {
		var value syscall.Rlimit
		if syscall.Getrlimit(limit.resource, &value) == nil {
			all = append(all, limit.name+" "+rlimitText(value.Cur)+" "+rlimitText(value.Max))
		}
	}
	return all
}

func rlimitText(value uint64) string {
	if value > math.MaxInt64 {
		return strconv.Itoa(unlimited)
	}
	return strconv.FormatUint(value, 10)
}

func processes() []int {
	ids := []int{}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		if id, err := strconv.Atoi(entry.Name()); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}
