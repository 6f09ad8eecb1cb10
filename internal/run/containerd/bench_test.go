//go:build linux

package containerd_test

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"naru/internal/run"
	"naru/internal/run/runtest"
)

// BenchmarkStart compares a start of ours, which includes address, rules, log
// helper and limits, with `ctr run` of the same image on the same containerd,
// which has none of them. Both leave the process running; ctr's own start-up is
// part of its figure.
func BenchmarkStart(b *testing.B) {
	e, d := open(b)
	f := runtest.Fixture{Image: runtest.AppImage(b, "1234")}
	if err := d.Pull(b.Context(), f.Image); err != nil {
		b.Fatal(err)
	}
	out, err := exec.Command("ctr", "-a", e.socket(), "-n", "naru", "images", "ls", "-q").Output()
	if err != nil {
		b.Fatal(err)
	}
	image := strings.TrimSpace(string(out))
	b.Run("naru", func(b *testing.B) {
		for b.Loop() {
			spec := runtest.Spec(f)
			if _, err := d.Start(b.Context(), spec); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if err := d.Remove(context.Background(), spec.ID); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
	b.Run("ctr", func(b *testing.B) {
		n := 0
		for b.Loop() {
			n++
			id := fmt.Sprintf("ctr-%d", n)
			if out, err := exec.Command("ctr", "-a", e.socket(), "-n", "naru", "run", "-d", "--null-io", image, id, runtest.TestApp, "serve").CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
			b.StopTimer()
			ctr := func(args ...string) {
				exec.Command("ctr", append([]string{"-a", e.socket(), "-n", "naru"}, args...)...).Run()
			}
			ctr("tasks", "delete", "-f", id)
			ctr("containers", "delete", id)
			b.StartTimer()
		}
	})
}

// BenchmarkScale starts 49 instances of a group beside one that runs, 4 at a
// time, until all accept connections.
func BenchmarkScale(b *testing.B) {
	_, d := open(b)
	f := runtest.Fixture{Image: runtest.AppImage(b, "1234")}
	if _, err := d.Start(b.Context(), runtest.Spec(f)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var g errgroup.Group
		g.SetLimit(4)
		specs := make([]run.Spec, 49)
		for i := range specs {
			specs[i] = runtest.Spec(f)
			specs[i].Index = i + 1
			g.Go(func() error {
				st, err := d.Start(b.Context(), specs[i])
				if err == nil {
					err = accepts(st)
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		for _, s := range specs {
			if err := d.Remove(context.Background(), s.ID); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
	}
}

func accepts(st run.Status) error {
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := net.Dial("tcp", st.Addr.String())
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return err
		}
		<-time.After(2 * time.Millisecond)
	}
}
