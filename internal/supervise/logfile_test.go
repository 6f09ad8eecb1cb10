//go:build linux

package supervise

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestALogIsBounded(t *testing.T) {
	const limit = 1000
	path := filepath.Join(t.TempDir(), "x.log")
	child, err := openLog(path, limit) // stays open, as a child's would
	if err != nil {
		t.Fatal(err)
	}
	defer child.Close()
	line := strings.Repeat("a", 99) + "\n"
	if _, err := child.WriteString(strings.Repeat(line, 30)); err != nil {
		t.Fatal(err)
	}
	if err := turnOver(path, limit); err != nil {
		t.Fatal(err)
	}
	if _, err := child.WriteString("after the turn\n"); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(path + ".1")
	if err != nil || len(old) != limit {
		t.Errorf("%d bytes kept, want %d (%v)", len(old), limit, err)
	}
	now, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := "--- continued from x.log.1; a line at the turn may be missing\nafter the turn\n"; string(now) != want {
		t.Errorf("log is %q, want %q", now, want)
	}
	if got := lastLines(path, 0, 1); got != "after the turn" {
		t.Errorf("lastLines = %q", got)
	}
	if err := turnOver(path, limit); err != nil {
		t.Fatal(err)
	}
	if again, _ := os.ReadFile(path); string(again) != string(now) {
		t.Error("a log below its bound was turned over")
	}
}
