package buildkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bkclient "github.com/moby/buildkit/client"
	gatewaypb "github.com/moby/buildkit/frontend/gateway/pb"
	digest "github.com/opencontainers/go-digest"

	"naru/internal/build"
	"naru/internal/fault"
)

func TestClean(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"plain":              {"hello\tworld", "hello\tworld"},
		"colours":            {"\x1b[31mred\x1b[0m \x1b[1;32mgreen\x1b[K", "red green"},
		"a title":            {"\x1b]0;title\adone", "done"},
		"a progress bar":     {"10%\r50%\r100%\r\n", "100%"},
		"control characters": {"a\x00b\x07c\x7fd", "abcd"},
		"half an escape":     {"end\x1b", "end"},
		"half a sequence":    {"end\x1b[12", "end"},
		"not utf-8":          {"caf\xe9 é", "caf\uFFFD é"},
		"too long":           {strings.Repeat("é", maxLine), strings.Repeat("é", maxLine/2) + " ..."},
	} {
		if got := clean([]byte(tc.in)); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

// report feeds a follower what a daemon says of one step.
func report(f *follower, name string, failure string, lines ...string) {
	d, now := digest.FromString(name), time.Now()
	status := make(chan *bkclient.SolveStatus)
	go func() {
		defer close(status)
		status <- &bkclient.SolveStatus{Vertexes: []*bkclient.Vertex{{Digest: d, Name: name, Started: &now}}}
		for _, l := range lines {
			status <- &bkclient.SolveStatus{Logs: []*bkclient.VertexLog{{Vertex: d, Stream: 1, Data: []byte(l), Timestamp: now}}}
		}
		status <- &bkclient.SolveStatus{Vertexes: []*bkclient.Vertex{{Digest: d, Name: name, Started: &now, Completed: &now, Error: failure}}}
	}()
	f.run(status)
}

func TestFollower(t *testing.T) {
	var got []string
	f := newFollower(func(e build.Event) { got = append(got, string(e.Kind)+" "+e.Text) }, 1<<20)
	report(f, "compile: make", "process \"x\" did not complete successfully: exit code: 2", "one\ntw", "o\nthree")
	report(f, "[internal] read the source", "")
	want := "started |line one|line two|line three|failed exit 2"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
	if n := f.count(); n.Total != 1 {
		t.Errorf("counted %+v", n)
	}
}

func TestExplain(t *testing.T) {
	for name, tc := range map[string]struct {
		lines []string
		exit  uint32
		want  string // in the way out
	}{
		"lock file":   {[]string{"npm error `npm ci` can only install packages when your package.json and package-lock.json are in sync."}, 1, "npm install"},
		"no network":  {[]string{"npm error code ENOTFOUND", "npm error errno ENOTFOUND"}, 1, "mirrors.npm"},
		"certificate": {[]string{"npm error code SELF_SIGNED_CERT_IN_CHAIN"}, 1, "ca_bundle"},
		"disk":        {[]string{"write /x: no space left on device"}, 1, "disk"},
		"killed":      {nil, 137, "build.memory"},
		"heap":        {[]string{"FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"}, 134, "build.memory"},
		"go.sum":      {[]string{"main.go:3:8: missing go.sum entry for module providing package x"}, 1, "go mod tidy"},
		"python":      {[]string{"ERROR: No matching distribution found for flask==99"}, 1, "requirement"},
		"engine":      {[]string{"npm warn EBADENGINE Unsupported engine {"}, 1, "engines.node"},
		"module":      {[]string{"Error: Cannot find module 'left-pad'"}, 1, "dependencies"},
		"program":     {[]string{"sh: 1: cargo: not found"}, 127, "no such program"},
		"unknown":     {[]string{"boom"}, 9, "clean checkout"},
	} {
		f := newFollower(nil, 1<<20)
		report(f, "step: command", "failed", strings.Join(tc.lines, "\n"))
		err := explain(t.Context(), fmt.Errorf("solve: %w", &gatewaypb.ExitError{ExitCode: tc.exit}), build.Request{}, time.Minute, f)
		got := fault.Of(err)
		if got.Kind != fault.Failed || !strings.Contains(got.Try, tc.want) || !strings.Contains(got.Message, fmt.Sprintf("step: command: exit %d", tc.exit)) {
			t.Errorf("%s: got %q, try %q", name, got.Message, got.Try)
		}
	}
}

func TestExplainTimeoutAndCancel(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTimeout)
	if err := explain(ctx, errors.New("canceled"), build.Request{}, time.Minute, newFollower(nil, 1<<20)); !fault.Is(err, fault.Failed) || !strings.Contains(err.Error(), "stopped after 1m0s") {
		t.Errorf("timeout: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := explain(ctx, errors.New("canceled"), build.Request{}, time.Minute, newFollower(nil, 1<<20)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestTailIsBounded(t *testing.T) {
	f := newFollower(nil, 1<<20)
	report(f, "s", "failed", strings.Repeat("line\n", 1000)+"last\n")
	if s := f.failed(); len(s.tail) != tailLines || s.tail[tailLines-1] != "last" {
		t.Errorf("kept %d lines, last %q", len(s.tail), s.tail[len(s.tail)-1])
	}
}

func TestSourceTime(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	a, b := "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("b", 64)
	if got := sourceTime(build.Request{SourceTime: at, SnapshotDigest: a}); !got.Equal(at.Truncate(time.Second)) {
		t.Errorf("a commit's time: %v", got)
	}
	one, two := sourceTime(build.Request{SnapshotDigest: a}), sourceTime(build.Request{SnapshotDigest: b})
	if one.Equal(two) || one.After(time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)) || !one.Equal(sourceTime(build.Request{SnapshotDigest: a})) {
		t.Errorf("times of snapshots: %v and %v", one, two)
	}
}

func TestDaemonConfig(t *testing.T) {
	d := Daemon{
		DataDir: "/var/lib/naru", Socket: "/run/naru/x/bk.sock", CNIBin: "/usr/lib/cni", Subnet: "10.64.16.0/20", Parallel: 2,
		Registries: []RegistryAt{{Host: "docker.io", Mirrors: []string{"mirror.example.com/hub"}, CA: "/etc/ca.pem"}},
	}
	files, err := d.Render()
	if err != nil {
		t.Fatal(err)
	}
	config := files[d.ConfigPath()]
	for _, want := range []string{
		`root = "/var/lib/naru/buildkit/state"`, `address = ["unix:///run/naru/x/bk.sock"]`, `networkMode = "cni"`,
		`maxUsedSpace = "10240MB"`, "max-parallelism = 2", "[registry.\"docker.io\"]\n  mirrors = [\"mirror.example.com/hub\"]\n  ca = [\"/etc/ca.pem\"]",
	} {
		if !strings.Contains(config, want) {
			t.Errorf("no %s in\n%s", want, config)
		}
	}
	other := d
	other.DataDir = "/srv/naru"
	if d.Bridge() == other.Bridge() || len(d.Bridge()) > 15 {
		t.Errorf("bridges %s and %s", d.Bridge(), other.Bridge())
	}
	if network := files[d.NetworkPath()]; !strings.Contains(network, d.Bridge()) || !strings.Contains(network, "10.64.16.0/20") {
		t.Errorf("network %s", network)
	}
}

func TestLimit(t *testing.T) {
	d := Daemon{DataDir: "/d", MemoryMiB: 512, CPUMilli: 1500}
	for name, tc := range map[string]struct {
		make []string
		want map[string]string
	}{
		"version 1": {
			[]string{"memory" + d.cgroup() + "/memory.limit_in_bytes", "cpu" + d.cgroup() + "/cpu.cfs_quota_us"},
			map[string]string{"memory" + d.cgroup() + "/memory.limit_in_bytes": "536870912", "cpu" + d.cgroup() + "/cpu.cfs_quota_us": "150000"},
		},
		"version 2": {
			[]string{"cgroup.controllers", "cgroup.subtree_control"},
			map[string]string{d.cgroup() + "/memory.max": "536870912", d.cgroup() + "/cpu.max": "150000 100000", "cgroup.subtree_control": "+memory +cpu"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for _, file := range tc.make {
				path := filepath.Join(root, file)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.limit(root); err != nil {
				t.Fatal(err)
			}
			for file, want := range tc.want {
				if got, err := os.ReadFile(filepath.Join(root, file)); err != nil || string(got) != want {
					t.Errorf("%s holds %q, want %q (%v)", file, got, want, err)
				}
			}
		})
	}
}
