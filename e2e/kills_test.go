package e2e

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// points is how many of a command's kill points are tried; NARU_E2E_KILLS=all
// tries every one.
const points = 8

// killed is a command under kill -9, and how to see that it had its way.
type killed struct {
	name    string
	prepare func(t *testing.T, n int)
	args    func(n int) []string
	check   func(t *testing.T, n int)
}

// The server is killed after commit 1, 2, ... of a command, which has to end
// well all the same: what it says is done is done, and visitors notice nothing.
func TestKillsAtCommits(t *testing.T) {
	slow(t)
	t.Parallel()
	p := start(t)
	dir := copied(t, "../examples/static")
	h := p.admin
	h.do(t, "push", "kill", "--path", dir)
	seen := p.watch(t, "kill")
	var before int
	remember := func(t *testing.T, _ int) { before = p.version(t, "kill") }
	once := func(t *testing.T) {
		if now := p.version(t, "kill"); now != before+1 {
			t.Errorf("release %d follows release %d: not done exactly once", now, before)
		}
	}
	for _, k := range []killed{
		{
			name:    "push",
			prepare: remember,
			args:    func(n int) []string { return []string{"push", "kill", "--path", dir, "--env", fmt.Sprint("ROUND=", n)} },
			check: func(t *testing.T, n int) {
				mustSay(t, h.do(t, "env", "kill"), fmt.Sprint("ROUND=", n), "ROUND  "+fmt.Sprint(n))
				once(t)
			},
		},
		{
			name:    "scale",
			prepare: func(t *testing.T, _ int) { h.do(t, "scale", "kill", "1") },
			args:    func(int) []string { return []string{"scale", "kill", "2"} },
			check:   func(t *testing.T, _ int) { mustSay(t, h.do(t, "apps"), "web 2/2") },
		},
		{
			name:    "rollback",
			prepare: remember,
			args:    func(int) []string { return []string{"rollback", "kill"} },
			check: func(t *testing.T, _ int) {
				mustSay(t, h.do(t, "app", "kill"), "(rollback to ")
				once(t)
			},
		},
		{
			name: "delete",
			prepare: func(t *testing.T, _ int) {
				h.do(t, "push", "kill-delete", "--path", dir)
				p.says(t, "kill-delete", "/", "Hello")
			},
			args: func(int) []string { return []string{"delete", "kill-delete", "--yes"} },
			check: func(t *testing.T, _ int) {
				p.gone(t, "kill-delete")
				if out := h.do(t, "apps"); strings.Contains(out, "kill-delete") {
					t.Errorf("the app is still there:\n%s", out)
				}
			},
		},
	} {
		t.Run(k.name, func(t *testing.T) { p.killEverywhere(t, k) })
	}
	seen.flawless(t)
	h.do(t, "delete", "kill", "--yes")
	p.gone(t, "kill")
}

// killEverywhere counts the commits of a command, then ends the server after
// each of them in turn.
func (p *platform) killEverywhere(t *testing.T, k killed) {
	if k.prepare != nil {
		k.prepare(t, 0)
	}
	p.armed(t, math.MaxInt32)
	p.admin.do(t, k.args(0)...)
	total := math.MaxInt32 - p.disarmed(t)
	k.check(t, 0)
	try := spread(total, points)
	t.Logf("%s makes %d commits; the server is killed after %v", k.name, total, try)
	for i, n := range try {
		if i%4 == 0 {
			p.rested(t) // who keeps dying is started later and later
		}
		if k.prepare != nil {
			k.prepare(t, n)
		}
		p.armed(t, n)
		began := time.Now()
		out, code := p.admin.run(t, "", k.args(n)...)
		took := time.Since(began).Round(time.Millisecond)
		left := p.disarmed(t)
		if code != 0 {
			t.Errorf("killed after commit %d of %d (%s): ended with %d\n%s", n, total, took, code, out)
			continue
		}
		t.Logf("commit %3d of %d: %s%s", n, total, took, map[bool]string{true: ", not killed: fewer commits this time"}[left > 0])
		k.check(t, n)
	}
}

var releaseLine = regexp.MustCompile(`(?m)^release +v(\d+) `)

// version is the number of the release that runs.
func (p *platform) version(t testing.TB, app string) int {
	t.Helper()
	out, code := p.admin.run(t, "", "app", app)
	found := releaseLine.FindStringSubmatch(out)
	if code != 0 || found == nil {
		t.Fatalf("no release of %s:\n%s", app, out)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// armed has the server killed after so many commits from now.
func (p *platform) armed(t testing.TB, commits int) {
	t.Helper()
	if err := os.WriteFile(p.arm(), []byte(strconv.Itoa(commits)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// disarmed returns how many commits were left; 0 when the kill has happened.
func (p *platform) disarmed(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile(p.arm())
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(p.arm()); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	left, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// rested waits until the supervisor has forgotten the server's deaths.
func (p *platform) rested(t testing.TB) {
	t.Helper()
	var alive int
	var since time.Time
	eventually(t, 90*time.Second, "the server has lived for a while", func() error {
		if pid := p.pid(t, "naru", "server"); pid != alive {
			alive, since = pid, time.Now()
		}
		if age := time.Since(since); alive == 0 || age < 7*time.Second {
			return fmt.Errorf("pid %d for %s", alive, age)
		}
		return nil
	})
}

// spread picks at most n numbers of 1 to total, the first and the last among
// them.
func spread(total, n int) []int {
	if os.Getenv("NARU_E2E_KILLS") == "all" || total <= n {
		n = total
	}
	var picked []int
	for i := range n {
		picked = append(picked, 1+i*(total-1)/max(1, n-1))
	}
	return picked
}

// mustSay checks that a text has one of some words.
func mustSay(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if strings.Contains(text, w) {
			return
		}
	}
	t.Errorf("it does not say %q:\n%s", words, text)
}
