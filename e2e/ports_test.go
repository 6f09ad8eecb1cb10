package e2e

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// Ports of tests lie below those that a system gives to whoever asks for any: a
// platform listens at its own only after a while.
const firstPort, ports = 12000, 8000

// given are the ports that tests of this run have, whether they listen yet or not.
var given struct {
	sync.Mutex
	ports map[int]bool
}

// free finds ports that nobody listens on.
func free(t testing.TB, addrs ...*string) {
	t.Helper()
	for _, a := range addrs {
		*a = "127.0.0.1:" + strconv.Itoa(neighbouring(t, 1))
	}
}

// neighbouring finds n free ports in a row and returns the first.
func neighbouring(t testing.TB, n int) int {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	if given.ports == nil {
		given.ports = map[int]bool{}
	}
	for range 1000 {
		first := firstPort + rand.IntN(ports-n)
		if !unused(t, first, n) {
			continue
		}
		for i := range n {
			given.ports[first+i] = true
		}
		return first
	}
	t.Fatalf("no %d free ports in a row from %d on", n, firstPort)
	return 0
}

func unused(t testing.TB, first, n int) bool {
	t.Helper()
	for port := first; port < first+n; port++ {
		if given.ports[port] {
			return false
		}
		ln, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if errors.Is(err, syscall.EADDRINUSE) {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
	}
	return true
}
