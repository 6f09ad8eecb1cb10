package forward

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"naru/internal/observe/metrics"
	"naru/internal/serve/servetest"
)

// TestAPrometheusServerReceives sends to Debian's Prometheus, which is not there at
// first, is killed in the middle and comes back: in the end it has every sample.
func TestAPrometheusServerReceives(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed: apt-get install prometheus")
	}
	if testing.Short() {
		t.Skip("another program takes its time to start")
	}
	p := &server{t: t, program: program, dir: t.TempDir(), address: servetest.Free(t)}
	r := start(t, func(c *Config) { c.URL = "http://" + p.address + "/api/v1/write"; c.Batch = 10 })
	begin := time.Now().Add(-50 * time.Minute).Truncate(time.Minute)
	r.set(begin)
	r.begin(t.Context())
	write := func(from, to int) {
		for i := from; i < to; i++ {
			r.set(begin.Add(time.Duration(i) * 15 * time.Second))
			r.write(r.clock(), float64(i), "a", "b", "c")
		}
		r.set(r.clock().Add(11 * time.Second)) // what comes next is not late
	}
	write(0, 60)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for r.round(ctx) {
		}
	}()
	stop := p.start()
	<-sent
	p.want(r, "a", 60)
	stop()
	write(60, 180) // half an hour without it
	again := make(chan struct{})
	go func() {
		defer close(again)
		for r.round(ctx) {
		}
	}()
	defer p.start()()
	<-again
	for _, name := range []string{"a", "b", "c"} {
		p.want(r, name, 180)
	}
	if s := r.State(); s.Sent != 540 || s.Dropped != 0 {
		t.Errorf("%+v", s)
	}
}

// server is Debian's Prometheus.
type server struct {
	t                     *testing.T
	program, dir, address string
}

// start starts it; what is returned kills it.
func (p *server) start() (kill func()) {
	file := filepath.Join(p.dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte("{}\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command(p.program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(p.dir, "data"), "--web.listen-address="+p.address, "--web.enable-remote-write-receiver")
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	return func() {
		_ = cmd.Process.Kill() // as a machine that goes down
		_ = cmd.Wait()
	}
}

// want waits until the server has so many samples, those that were written.
func (p *server) want(r *rig, name string, samples int) {
	p.t.Helper()
	ctx, stop := context.WithTimeout(p.t.Context(), time.Minute)
	defer stop()
	query := url.Values{"query": {name + "[1h]"}, "time": {fmt.Sprint(r.clock().Unix())}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+"/api/v1/query?"+query.Encode(), http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	var got struct {
		Data struct{ Result []struct{ Values [][2]any } }
	}
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil || len(got.Data.Result) != 1 {
		p.t.Fatalf("%v: %+v", err, got)
	}
	values := got.Data.Result[0].Values
	if len(values) != samples {
		p.t.Fatalf("%s has %d samples there, want %d", name, len(values), samples)
	}
	for i, v := range values {
		if v[1] != fmt.Sprint(i) {
			p.t.Fatalf("%s: sample %d is %v", name, i, v)
		}
	}
}

var _ Kept = (*metrics.Store)(nil)
