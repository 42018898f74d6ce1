package main

import (
	"os"
	"syscall"
)

const (
	self = "/proc/self/exe"
	// firstFile is the number of the first file that is handed to a detached process: the one after stderr.
	firstFile = 3
)

// startDetached leaves the files to this program in that mode: in a session of its own, without the agent's variables and
// files, and as a child of the container's first process, which is our own parent. An agent that waits for all of its
// children does not wait for it, and what is sent to the agent's process group does not reach it.
func startDetached(mode string, files ...uintptr) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }()
	_, err = syscall.ForkExec(self, []string{"kandev-launcher", mode}, &syscall.ProcAttr{
		Env:   []string{},
		Files: append([]uintptr{null.Fd(), null.Fd(), null.Fd()}, files...),
		Sys:   &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_PARENT},
	})
	return err
}
