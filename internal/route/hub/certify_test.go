package hub_test

import (
	"net"
	"os"
	"testing"
	"time"

	"naru/internal/route"
	"naru/internal/route/certificate"
	"naru/internal/route/hub"
	"naru/internal/route/wire"
)

// TestCertificatesGoFirst reads a stream: the certificates come before the
// table that needs them, and again after a change.
func TestCertificatesGoFirst(t *testing.T) {
	h, socket := open(t, hub.Config{Interval: time.Nanosecond})
	h.Certify(&certificate.Set{Version: 5})
	h.Publish(route.Table{})
	conn, err := net.Dial("unix", socket)
	must(t, err)
	defer func() { _ = conn.Close() }()
	must(t, conn.SetDeadline(time.Now().Add(limit)))
	must(t, wire.Write(conn, &wire.Message{Hello: &wire.Hello{Generation: "reader", PID: os.Getpid()}}))
	next := func() *wire.Message {
		t.Helper()
		m, err := wire.Read(conn, wire.DefaultMaxFrame)
		must(t, err)
		return m
	}
	if m := next(); m.Certificates == nil || m.Certificates.Version != 5 {
		t.Fatalf("first came %+v", m)
	}
	if m := next(); m.Table == nil {
		t.Fatalf("then came %+v", m)
	}
	h.Certify(&certificate.Set{Version: 6}) // also while a table is unanswered
	if m := next(); m.Certificates == nil || m.Certificates.Version != 6 {
		t.Fatalf("after a change came %+v", m)
	}
}
