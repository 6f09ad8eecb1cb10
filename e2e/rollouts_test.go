package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// socketLife is how long visitors need a WebSocket: longer than an instance or a
// gateway that leaves waits for requests, shorter than it waits for such.
const socketLife = 6 * time.Second

var leaving = []string{"NARU_GATEWAY_DRAIN_TIMEOUT=4s", "NARU_GATEWAY_DRAIN_UPGRADE_TIMEOUT=8s"}

// strategies are those that need not lose a request. Recreate is none: the app
// is away while it works, which is what it is for.
var strategies = []struct {
	name string
	args []string
}{
	{"rolling", nil},
	{"bluegreen", []string{"--keep-old", "1s"}},
	{"canary", []string{"--steps", "10%/1s,50%/1s", "--keep-old", "1s"}},
	{"rings", []string{"--match", "header:X-Ring=internal", "--steps", "0%/500ms,5%/1s,50%/500ms", "--keep-old", "1s"}},
	{"highlander", nil},
}

// size of the proof, at least; NARU_FULL=1 takes a quarter of an hour.
type size struct{ rollouts, kills, reloads, requests int }

// Release after release takes the place of the one before while visitors of all
// kinds come; the control plane is killed and the gateway reloaded meanwhile.
// Nobody notices.
func TestRolloutsUnderLoad(t *testing.T) {
	slow(t)
	proof := size{rollouts: 12, kills: 1, reloads: 1, requests: 20_000}
	if os.Getenv("NARU_FULL") != "" {
		proof = size{rollouts: 100, kills: 5, reloads: 5, requests: 500_000}
	}
	p := start(t, leaving...)
	dir := compiled(t, "steady")
	p.admin.do(t, "push", "steady", "--path", dir, "--instances", "2", "--memory", "64M", "--env", "RELEASE=0",
		"--health-check", "http", "--health-path", "/health")
	l := p.load(t, "steady", socketLife)
	began := time.Now()
	done := map[string]int{}
	kills, reloads := 0, 0
	for n := 0; n < proof.rollouts || l.fewerThan(proof.requests); n++ {
		s := strategies[n%len(strategies)]
		args := append([]string{"push", "steady", "--path", dir, "--env", fmt.Sprint("RELEASE=", n+1), "--strategy", s.name}, s.args...)
		_, before := l.count()
		var during func()
		switch {
		case due(n, proof.rollouts, proof.kills, 0.25):
			kills++
			during = func() { p.kill(t, "naru", "server") }
		case due(n, proof.rollouts, proof.reloads, 0.75):
			reloads++
			during = func() { p.reload(t) }
		}
		p.rollout(t, args, during)
		done[s.name]++
		p.says(t, "steady", "/", fmt.Sprint("steady ", n+1))
		if _, after := l.count(); after > before {
			t.Errorf("rollout %d, %s: %d requests failed", n+1, s.name, after-before)
		}
	}
	took := time.Since(began)
	l.flawless(t)
	rollouts := 0
	for _, of := range done {
		rollouts += of
	}
	t.Logf("%d rollouts in %s (%v); %d kills of the control plane, %d reloads of the gateway", rollouts, took.Round(time.Second), done, kills, reloads)
	if kills < proof.kills || reloads < proof.reloads {
		t.Errorf("%d kills and %d reloads, want %d and %d", kills, reloads, proof.kills, proof.reloads)
	}
	p.admin.do(t, "delete", "steady", "--yes")
}

// due spreads some events over n rounds, each in its part at a share of it, and
// goes on so in the rounds after.
func due(round, rounds, events int, share float64) bool {
	every := rounds / events
	return round%every == int(share*float64(every))
}

// rollout carries a push out, and something else at any time meanwhile.
func (p *platform) rollout(t testing.TB, args []string, during func()) {
	t.Helper()
	if during == nil {
		p.admin.do(t, args...)
		return
	}
	began := time.Now()
	command, out := p.admin.command(args...), &output{}
	command.Stdout, command.Stderr = out, out
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	aim := time.NewTimer(time.Duration(rand.IntN(3000)) * time.Millisecond)
	<-aim.C
	at := time.Since(began)
	during()
	if err := command.Wait(); err != nil {
		t.Fatalf("naru %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	t.Logf("%7s  naru %s (disturbed after %s)", time.Since(began).Round(time.Millisecond), strings.Join(args, " "), at.Round(time.Millisecond))
}

// reload replaces the gateway process.
func (p *platform) reload(t testing.TB) {
	t.Helper()
	var said struct {
		Old    int     `json:"old_pid"`
		New    int     `json:"new_pid"`
		TookMS float64 `json:"took_ms"`
	}
	out := p.admin.do(t, "gateway", "reload", "--data-dir", p.data(), "--json")
	if err := json.Unmarshal([]byte(out), &said); err != nil || cmp.Or(said.Old, -1) == said.New || said.New == 0 {
		t.Fatalf("it says %q: %v", out, err)
	}
	t.Logf("gateway process %d follows %d after %.0f ms", said.New, said.Old, said.TookMS)
}
