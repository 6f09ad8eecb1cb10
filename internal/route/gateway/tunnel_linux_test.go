package gateway_test

import (
	"io"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"naru/internal/route/gateway"
)

// TestTunnelReadsOnBehindUrgentData: a read ends before a byte that is urgent, and
// what follows it is told no second time.
func TestTunnelReadsOnBehindUrgentData(t *testing.T) {
	e := tunnelled(t, false, gateway.Config{})
	raw, err := e.client.(*net.TCPConn).SyscallConn()
	must(t, err)
	for range 3 {
		must(t, raw.Write(func(fd uintptr) bool {
			for _, part := range []struct {
				text  string
				flags int
			}{{"before ", 0}, {"!", unix.MSG_OOB}, {"behind", 0}} {
				must(t, unix.Sendto(int(fd), []byte(part.text), part.flags, nil))
			}
			return true
		}))
		got := make([]byte, len("before behind"))
		if _, err := io.ReadFull(e.app, got); err != nil || string(got) != "before behind" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}
