package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
	"unsafe"
)

const modeFeed = "feed"

// The numbers under which the feed is handed its files.
const (
	feedInput = firstFile + iota
	feedBell
	feedPipe
)

const (
	feedChunk = 64 << 10 // what a pipe takes at once
	// slowPoll is for a bell that was not heard: an agent may have taken its bytes.
	slowPoll = 5 * time.Second
)

// Of poll(2); package syscall does not name them.
const (
	pollIn  = 0x1
	pollErr = 0x8
)

type pollFile struct {
	file     int32
	events   int16
	happened int16
}

// startFeed turns standard input into a pipe that is fed from the file `input`, if the server has made one: false where
// it has not. All that the feed works with is open before the agent's first instruction, so that what an agent puts in
// the place of these files changes nothing.
func startFeed() (bool, error) {
	input, err := openAs(syscall.S_IFREG, inputFile, syscall.O_RDONLY|syscall.O_NONBLOCK)
	if err == syscall.ENOENT {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = syscall.Close(input) }()
	// Also a writer: without one the bell would never be silent.
	bell, err := openAs(syscall.S_IFIFO, bellFile, syscall.O_RDWR|syscall.O_NONBLOCK)
	if err != nil {
		return false, err
	}
	defer func() { _ = syscall.Close(bell) }()
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		return false, err
	}
	defer func() { _ = syscall.Close(ends[1]) }()
	if err := startDetached(modeFeed, uintptr(input), uintptr(bell), uintptr(ends[1])); err != nil {
		return false, err
	}
	return true, syscall.Dup3(ends[0], 0, 0)
}

// feed copies what is added to the input into the pipe, until nobody has the pipe open to read.
func feed() {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(-1) // nothing is allocated after this
	buffer := make([]byte, feedChunk)
	for {
		// The bell is emptied before the input is read: what is added after that rings it again.
		_, _ = syscall.Read(feedBell, buffer)
		for {
			n, err := syscall.Read(feedInput, buffer)
			if err == syscall.EINTR {
				continue
			}
			if err != nil {
				os.Exit(exitLauncher)
			}
			if n == 0 {
				break
			}
			if !pour(buffer[:n]) {
				return
			}
		}
		if !untilRung() {
			return
		}
	}
}

// pour waits until the agent has made room for all of it; false when there is no reader any more.
func pour(bytes []byte) bool {
	for len(bytes) > 0 {
		n, err := syscall.Write(feedPipe, bytes)
		if err != nil && err != syscall.EINTR {
			return false
		}
		bytes = bytes[max(n, 0):]
	}
	return true
}

// untilRung waits for the bell, or for so long; false when the pipe has no reader any more.
func untilRung() bool {
	files := [...]pollFile{{file: feedBell, events: pollIn}, {file: feedPipe}} // a missing reader is told unasked
	timeout := syscall.NsecToTimespec(int64(slowPoll))
	_, _, failure := syscall.Syscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&files[0])), uintptr(len(files)),
		uintptr(unsafe.Pointer(&timeout)), 0, 0, 0)
	return failure != 0 || files[1].happened&pollErr == 0
}
