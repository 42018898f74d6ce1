package main

import (
	"os"
	"time"
)

// health runs an image's own health check, but not before the agent's command: nothing of the image runs while the
// container is being looked at. The engine ends a check that takes too long.
func health(command []string) {
	for {
		if _, err := os.Stat(begunFile); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if len(command) == 0 {
		fail(exitUsage, "no health check")
	}
	err, _ := execute(command)
	fail(exitNotExecutable, "the image's health check: "+command[0]+": "+err.Error())
}
