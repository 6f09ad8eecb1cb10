package gateway_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"naru/internal/route/gateway"
)

// TestCuttingManyTakesNoLongerThanCuttingOne ends a gateway that waits for many
// answers: each connection notices in a second at most, and all in the same one.
func TestCuttingManyTakesNoLongerThanCuttingOne(t *testing.T) {
	asked := make(chan struct{})
	at := serveApp(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})
	r := start(t, tableOf(at), gateway.Config{Drain: time.Millisecond})
	for range 100 {
		c := dial(t, r.addr, false)
		_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
		must(t, err)
		<-asked
	}
	begin := time.Now()
	must(t, r.stop())
	if took := time.Since(begin); took > limit {
		t.Errorf("it took %s", took)
	}
}
