package oci_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"naru/internal/door/oci"
	"naru/internal/door/oci/ocitest"
)

// locked is a buffer that several goroutines write to.
type locked struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestTheLibrariesLogThroughOurs(t *testing.T) {
	_, host := ocitest.Serve(t, oci.Config{}, users)
	var all, important locked
	token := client{t, host, "anna"}.token("repository:default/own/o:pull")
	request := func() {
		if a := (client{t, host, "anna"}).send("GET", "/v2/default/own/o/manifests/none", token, nil); a.status != 404 {
			t.Fatalf("status %d", a.status)
		}
	}
	oci.TameLogs(slog.New(slog.NewTextHandler(&all, &slog.HandlerOptions{Level: slog.LevelDebug})))
	request()
	oci.TameLogs(slog.New(slog.NewTextHandler(&important, nil)))
	request()
	oci.TameLogs(slog.New(slog.DiscardHandler))
	if !strings.Contains(all.String(), "library: ") {
		t.Error("what distribution says is lost")
	}
	if s := important.String(); s != "" {
		t.Errorf("a missing manifest is news to the operator: %s", s)
	}
	if strings.Contains(all.String(), token) {
		t.Error("the token is in the log")
	}
}
