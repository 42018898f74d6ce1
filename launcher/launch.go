package main

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"syscall"
)

// launch takes the agent's command as far as its first instruction. Does not return.
func launch(command []string) {
	latch()
	syscall.Umask(0o022)
	makePipe(pipeFile)
	if _, err := os.Lstat(inputFile); err == nil {
		makePipe(bellFile)
	}
	makePipe(gateFile)
	gate := openGate() // before the server is told that there is something to see: it finds a reader at once
	writeProbe()
	waitAt(gate)
	if err := writeNew(begunFile); err != nil {
		fail(exitLauncher, err.Error())
	}
	if len(command) == 0 {
		failBegun("exec", "", syscall.ENOENT, false)
	}
	if _, err := os.Stat(gatewayDirectory); err == nil {
		if err := startBridge(); err != nil {
			failBegun("bridge", bridgeAddress, err, false)
		}
	}
	isFed, err := startFeed()
	if err != nil {
		failBegun("redirect", "input", err, false)
	}
	for _, redirect := range []struct {
		name  string
		flags int
		to    int
	}{
		{pipeName, syscall.O_RDWR, 0}, // also a writer: the agent never reads an end of file
		{"out", syscall.O_WRONLY | syscall.O_CREAT | syscall.O_APPEND, 1},
		{"err", syscall.O_WRONLY | syscall.O_CREAT | syscall.O_APPEND, 2},
	} {
		if redirect.to == 0 && isFed {
			continue
		}
		if err := redirectTo(runDirectory+"/"+redirect.name, redirect.flags, redirect.to); err != nil {
			failBegun("redirect", redirect.name, err, false)
		}
	}
	err, found := execute(command)
	failBegun("exec", command[0], err, found)
}

// lookAround is all that is wanted where a server finds out what its engine holds: whoever starts it need not live on
// for it to end.
func lookAround() {
	latch()
	syscall.Umask(0o022)
	writeProbe()
}

func writeProbe() {
	if err := writeWhole(probeFile, look()); err != nil {
		fail(exitLauncher, err.Error())
	}
}

// latch makes sure that only the first start of a container gets any further. Whatever else lies in the run directory
// then, an agent may have put there.
func latch() {
	err := writeNew(latchFile)
	if errors.Is(err, syscall.EEXIST) {
		fail(exitStartedBefore, "this container was started before; the agent is not run again")
	}
	if err != nil {
		fail(exitLauncher, err.Error())
	}
}

// makePipe makes a FIFO; one that is there is used. Whatever else is there is found out by who opens it.
func makePipe(path string) {
	if err := syscall.Mkfifo(path, 0o600); err != nil && err != syscall.EEXIST {
		fail(exitLauncher, path+": "+err.Error())
	}
}

// openGate opens it to read and write: that does not wait for the other side, and the other side finds a reader.
func openGate() int {
	gate, err := openAs(syscall.S_IFIFO, gateFile, syscall.O_RDWR)
	if err != nil {
		fail(exitLauncher, gateFile+": "+err.Error())
	}
	return gate
}

// waitAt returns when one byte has come through. A signal ends the process, as it would any other.
func waitAt(gate int) {
	for {
		n, err := syscall.Read(gate, make([]byte, 1))
		if n == 1 {
			break
		}
		if err != nil && err != syscall.EINTR {
			fail(exitLauncher, gateFile+": "+err.Error())
		}
	}
	_ = syscall.Close(gate)
}

func redirectTo(path string, flags, target int) error {
	file, err := syscall.Open(path, flags|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	return syscall.Dup3(file, target, 0) // the copy stays open over exec, the first one does not
}

// execute becomes the command, looked for along PATH as a shell does. It returns only why it could not, and whether
// there is a file of that name at all.
func execute(command []string) (failure error, found bool) {
	name := command[0]
	candidates := []string{name}
	if !strings.Contains(name, "/") {
		candidates = nil
		for _, folder := range strings.Split(os.Getenv("PATH"), ":") {
			if folder != "" && name != "" {
				candidates = append(candidates, folder+"/"+name)
			}
		}
	}
	failure = syscall.ENOENT
	for _, candidate := range candidates {
		err := syscall.Exec(candidate, command, os.Environ())
		stat, missing := os.Stat(candidate)
		if missing != nil {
			if !isAbsent(err) && !found {
				failure = err
			}
			continue
		}
		if stat.IsDir() {
			err = syscall.EISDIR
		} else if err != syscall.EACCES {
			return err, true
		}
		if !found { // there may be a better one further along PATH
			failure, found = err, true
		}
	}
	return failure, found
}

func isAbsent(err error) bool {
	return err == syscall.ENOENT || err == syscall.ENOTDIR
}

// startFailure is what the server reads of a launch that came to nothing after the gate.
type startFailure struct {
	// Step is exec, bridge or redirect.
	Step string `json:"step"`
	// Errno is the kernel's name of the error, such as ENOENT.
	Errno   string `json:"errno"`
	Command string `json:"command"`
	// Found says that the file is there: with ENOENT it is its interpreter or loader that is not.
	Found bool `json:"found"`
}

// failBegun writes down why the agent's command does not run, and ends the process.
func failBegun(step, command string, err error, found bool) {
	text, _ := json.Marshal(startFailure{step, errnoName(err), command, found})
	_ = writeWhole(failureFile, text)
	code := exitLauncher
	if step == "exec" {
		code = exitNotExecutable
		if isAbsent(err) && !found {
			code = exitNotFound
		}
	}
	os.Exit(code)
}

var errnoNames = map[syscall.Errno]string{
	syscall.ENOENT: "ENOENT", syscall.EACCES: "EACCES", syscall.ENOEXEC: "ENOEXEC", syscall.ENOTDIR: "ENOTDIR",
	syscall.EISDIR: "EISDIR", syscall.E2BIG: "E2BIG", syscall.ENOMEM: "ENOMEM", syscall.EPERM: "EPERM",
	syscall.ELOOP: "ELOOP", syscall.ENAMETOOLONG: "ENAMETOOLONG", syscall.ETXTBSY: "ETXTBSY", syscall.ENXIO: "ENXIO",
	syscall.EADDRINUSE: "EADDRINUSE", syscall.EAGAIN: "EAGAIN", syscall.ENOSPC: "ENOSPC", syscall.EROFS: "EROFS",
}

func errnoName(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return "EUNKNOWN"
	}
	if name, known := errnoNames[errno]; known {
		return name
	}
	return "EUNKNOWN"
}
