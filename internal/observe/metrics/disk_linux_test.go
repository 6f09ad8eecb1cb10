package metrics

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"naru/internal/fault"
)

// TestADiskThatIsFull has somebody else fill the disk: what cannot be written is
// said, what was written before is still answered, and when there is room again it
// goes on, also after a restart.
func TestADiskThatIsFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	o := Options{Dir: filepath.Join(dir, "metrics")}
	r := start(t, o)
	t.Cleanup(func() { r.end() })
	var all []*Series
	for i := range 2000 {
		all = append(all, series("__name__", "m", "i", fmt.Sprint(i)))
	}
	round := func(n int) (Result, error) {
		at := began.Add(time.Duration(n) * 15 * time.Second)
		r.at(at)
		points := make([]Point, len(all))
		for i, s := range all {
			points[i] = Point{Series: s, Value: float64(n)}
		}
		return r.Write(t.Context(), at, points)
	}
	if _, err := round(0); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(dir, "ballast")
	occupy(t, ballast)
	var failed error
	n := 1
	for ; n < 100 && failed == nil; n++ {
		_, failed = round(n)
	}
	if !errors.Is(failed, syscall.ENOSPC) {
		t.Fatalf("after %d rounds: %v", n, failed)
	}
	if got := r.ask(everything, began.Add(time.Minute), "count(m)"); got != "{} => 2000 @[1772323260000]" {
		t.Errorf("on a full disk the answer is %s", got)
	}
	if _, err := round(n); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a writer is told %v", err)
	}
	must(t, r.keep(t.Context())) // as Run does; it has to wait
	if _, err := round(n); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a writer is told %v", err)
	}
	must(t, os.Remove(ballast))
	must(t, r.keep(t.Context()))
	for range 3 {
		if got, err := round(n); err != nil || got.Written != 2000 {
			t.Fatalf("with room again: %+v, %v", got, err)
		}
		n++
	}
	r.end()
	r = start(t, Options{Dir: o.Dir, Now: func() time.Time { return began.Add(time.Hour) }})
	if got := r.ask(everything, began, "count(m)"); got != "{} => 2000 @[1772323200000]" {
		t.Errorf("the first round is %s after a restart; lost %+v", got, r.lost)
	}
	last := began.Add(time.Duration(n-1) * 15 * time.Second)
	if got := r.ask(everything, last, fmt.Sprintf("count(m == %d)", n-1)); got != fmt.Sprintf("{} => 2000 @[%d]", last.UnixMilli()) {
		t.Errorf("the last round is %s after a restart; lost %+v", got, r.lost)
	}
}

// occupy takes all the room that there is.
func occupy(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for piece := make([]byte, 64<<10); len(piece) > 0; {
		if _, err := f.Write(piece); err != nil {
			piece = piece[:len(piece)/2]
		}
	}
}
