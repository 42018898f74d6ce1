// The launcher: the first program of ours in an agent's container, and the only one that an image need not bring.
// See README.md.
package main

import "os"

const (
	runDirectory = "/run/kandev"
	latchFile    = runDirectory + "/started"
	probeFile    = runDirectory + "/probe.json"
	gateFile     = runDirectory + "/gate"
	pipeName     = "in"
	pipeFile     = runDirectory + "/" + pipeName
	begunFile    = runDirectory + "/begun"
	failureFile  = runDirectory + "/exec-error.json"
	inputFile    = runDirectory + "/input"
	bellFile     = runDirectory + "/bell"

	gatewayDirectory = "/run/kandev-gateway"
	gatewaySocket    = gatewayDirectory + "/gateway.sock"
	bridgeAddress    = "127.0.0.1:3128"
)

// Exit codes. 126 and 127 are those of a shell.
const (
	exitUsage         = 64
	exitStartedBefore = 75 // the container was started again: the agent runs once
	exitLauncher      = 125
	exitNotExecutable = 126
	exitNotFound      = 127
)

func main() {
	mode, arguments := "", []string(nil)
	if len(os.Args) > 1 {
		mode, arguments = os.Args[1], os.Args[2:]
	}
	switch mode {
	case "launch":
		launch(arguments)
	case "look":
		lookAround()
	case "health":
		health(arguments)
	case modeBridge:
		bridge()
	case modeFeed:
		feed()
	case modeNothing: // what the probe starts in a namespace of its own
	default:
		fail(exitUsage, "usage: kandev-launcher launch|health COMMAND [ARGUMENT]..., or kandev-launcher look")
	}
}

// fail says it on stderr, which is the engine's log until the agent's command takes over, and ends the process.
func fail(code int, text string) {
	_, _ = os.Stderr.WriteString("kandev-launcher: " + text + "\n")
	os.Exit(code)
}
