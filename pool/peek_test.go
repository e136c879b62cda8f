//go:build unix

package pool

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

// pair returns the two ends of a connection over the loopback interface.
func pair(t *testing.T, network, address string) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Skipf("no %s here: %v", network, err)
	}
	defer l.Close()
	client, err = net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// eventually waits for the kernel to deliver what loopback delivers at once.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in ten seconds: %s", what)
		}
	}
}

func TestPeek(t *testing.T) {
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": t.TempDir() + "/s"} {
		t.Run(network, func(t *testing.T) {
			client, server := pair(t, network, address)
			_, raw := rawConn(client)
			if raw == nil || peerClosed(raw) {
				t.Fatal("a living connection looks dead")
			}
			if _, err := server.Write([]byte("notice")); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 6)
			eventually(t, "the bytes", func() bool {
				if peerClosed(raw) {
					t.Fatal("waiting bytes look like death")
				}
				client.SetReadDeadline(time.Now().Add(time.Second))
				n, _ := client.Read(buf)
				return n == 6 && string(buf) == "notice" // none was eaten
			})
			server.Close()
			eventually(t, "the close", func() bool { return peerClosed(raw) })
			client.Close()
			if !peerClosed(raw) {
				t.Error("a closed descriptor looks alive")
			}
		})
	}
}

func TestPeekReachesThroughTLS(t *testing.T) {
	client, _ := pair(t, "tcp", "127.0.0.1:0")
	if wire, raw := rawConn(tls.Client(client, &tls.Config{})); wire != client || raw == nil {
		t.Error("the socket beneath TLS was not reached")
	}
	inMemory, _ := net.Pipe()
	if wire, raw := rawConn(inMemory); wire != nil || raw != nil {
		t.Error("a pipe has no descriptor")
	}
	if wire, _ := rawConn(nil); wire != nil {
		t.Error("nil has no descriptor")
	}
}

func TestAcquireSeesThatThePeerHasClosed(t *testing.T) {
	client, server := pair(t, "tcp", "127.0.0.1:0")
	d := scripted.New(scripted.Hooks{})
	p, err := New(d, Config{NetConn: func(c driver.Conn) net.Conn {
		if c.(*scripted.Conn).ID == 1 {
			return client
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	mustAcquire(t, p).Release(Clean)
	server.Close()
	_, raw := rawConn(client)
	eventually(t, "the close", func() bool { return peerClosed(raw) })
	l := mustAcquire(t, p)
	if id(l) != 2 || p.Stats().Retired[ReasonPeerClosed] != 1 || d.Count("ping") != 0 {
		t.Errorf("connection %d, %+v", id(l), p.Stats())
	}
	l.Release(Clean)
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// A read deadline that has passed, left behind by a driver, is no close.
func TestPeekPastAReadDeadline(t *testing.T) {
	client, _ := pair(t, "tcp", "127.0.0.1:0")
	if err := client.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, raw := rawConn(client); peerClosed(raw) {
		t.Error("taken for closed")
	}
}

// A server that is about to go says so first: the close counts, not the message.
func TestPeekPastALastMessage(t *testing.T) {
	client, server := pair(t, "tcp", "127.0.0.1:0")
	_, raw := rawConn(client)
	if _, err := server.Write([]byte("FATAL: terminating connection")); err != nil {
		t.Fatal(err)
	}
	if peerClosed(raw) {
		t.Error("a message was taken for a close")
	}
	_ = server.Close()
	if runtime.GOOS == "linux" {
		eventually(t, "the close", func() bool { return peerClosed(raw) })
	}
}
