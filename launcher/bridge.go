package main

import (
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
)

const (
	modeBridge = "bridge"

	// listenerFile is the number under which the bridge is handed its socket.
	listenerFile = firstFile
	// maxConnections at once; more wait in the queue of the socket. Each takes up to six of the container's files.
	maxConnections = 512
	// patience with a gateway that does not answer: a server that is restarted takes seconds.
	patience = 60 * time.Second
)

// startBridge listens for the agent's connections, and leaves the rest to a process that is nobody's child: an agent
// that waits for all of its children does not wait for the bridge. When it returns, connections are taken.
func startBridge() error {
	listener, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = syscall.Close(listener) }()
	address := &syscall.SockaddrInet4{Port: 3128, Addr: [4]byte{127, 0, 0, 1}} // bridgeAddress
	if err := syscall.Bind(listener, address); err != nil {
		return err
	}
	if err := syscall.Listen(listener, maxConnections); err != nil {
		return err
	}
	return startDetached(modeBridge, uintptr(listener))
}

// bridge passes every connection on to the gateway's socket, until the container ends.
func bridge() {
	runtime.GOMAXPROCS(1) // it copies, and mostly the kernel does that: one core is plenty
	debug.SetGCPercent(20)
	listener, err := net.FileListener(os.NewFile(listenerFile, "listener"))
	if err != nil {
		os.Exit(exitLauncher)
	}
	slots := make(chan struct{}, maxConnections)
	for {
		slots <- struct{}{}
		client, err := listener.Accept()
		if err != nil { // out of files, or a client that is gone already
			<-slots
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go func() {
			defer func() { <-slots }()
			serve(client.(*net.TCPConn))
		}()
	}
}

func serve(client *net.TCPConn) {
	defer func() { _ = client.Close() }()
	gateway := dial()
	if gateway == nil {
		return
	}
	defer func() { _ = gateway.Close() }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pass(client, gateway)
	}()
	pass(gateway, client)
	<-done
}

// dial connects to the gateway; nil when it stays away.
func dial() *net.UnixConn {
	address := &net.UnixAddr{Name: gatewaySocket, Net: "unix"}
	pause := 10 * time.Millisecond
	for deadline := time.Now().Add(patience); ; {
		connection, err := net.DialUnix("unix", nil, address)
		if err == nil {
			return connection
		}
		if time.Now().After(deadline) {
			return nil
		}
		time.Sleep(pause)
		pause = min(2*pause, 250*time.Millisecond)
	}
}

type stream interface {
	net.Conn
	CloseWrite() error
}

// pass copies until the end and hands the end on. A connection that breaks takes the other one with it.
func pass(from, to stream) {
	if _, err := io.Copy(to, from); err != nil {
		_ = from.Close()
		_ = to.Close()
		return
	}
	_ = to.CloseWrite()
}
