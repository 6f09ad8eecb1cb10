package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"naru/internal/client"
)

// A judged canary that fails a little more often than what it replaces goes
// back with the figures, one that is as good goes on, and one without visitors
// does what its policy says. The control plane dies in the middle and goes on
// comparing. Guards are off: this is about what the judge finds.
func TestJudgedCanaries(t *testing.T) {
	slow(t)
	t.Parallel()
	p := start(t, "NARU_METRICS_INTERVAL=1s")
	dir := compiled(t, "steady")
	deploy := func(app string) {
		p.admin.do(t, "push", app, "--path", dir, "--memory", "64M", "--env", "RELEASE=good", "--env", "FAILS=0.02", "--health-check", "http", "--health-path", "/health")
	}
	canary := func(app, fails string, more ...string) []string {
		return append([]string{"push", app, "--path", dir, "--env", "RELEASE=next", "--env", "FAILS=" + fails, "--no-guard",
			"--strategy", "canary", "--steps", "50%/judge", "--keep-old", "1s"}, more...)
	}
	for _, app := range []string{"worse", "alike", "quiet"} {
		deploy(app)
	}
	p.crowd(t, "worse")
	p.crowd(t, "alike")

	worse := p.begun(t, canary("worse", "0.06", "--longest", "10m")...)
	longest := "150s" // the time of the worse one
	if os.Getenv("NARU_FULL") != "" {
		longest = "1h"
	}
	alike := p.begun(t, canary("alike", "0.02", "--longest", longest, "--unsure", "promote")...)

	t.Run("without visitors it asks", func(t *testing.T) {
		quiet := p.begun(t, canary("quiet", "0", "--unsure", "ask", "--longest", "2s", "--baseline", "fresh")...)
		eventually(t, time.Minute, "the rollout asks a person", func() error {
			if r := p.rolled(t, "quiet"); r.State != "paused" {
				return fmt.Errorf("it is %s", r.State)
			}
			return nil
		})
		if v := p.rolled(t, "quiet").Verdict; v == nil || v.Outcome != "unsure" || v.Act != "asked" || !strings.Contains(v.Text, "nothing to compare") {
			t.Errorf("the verdict is %+v", v)
		} else if v.Canary != "quiet-v002 (v2)" || v.Baseline != "quiet-v003 (v1)" {
			t.Errorf("%s is compared with %s, want a fresh group of v1", v.Canary, v.Baseline)
		}
		mustSay(t, p.admin.do(t, "groups", "quiet"), "baseline")
		mustSay(t, p.admin.do(t, "rollout", "quiet"), "asks: 5xx", "naru rollout resume quiet")
		p.admin.do(t, "rollout", "resume", "quiet")
		quiet.ends(t, true)
		mustSay(t, quiet.out.String(), "is unsure and waits for a person")
		eventually(t, 30*time.Second, "only the new group is left", func() error {
			var groups struct{ Items []client.ServerGroup }
			if out := p.admin.do(t, "groups", "quiet", "--json"); json.Unmarshal([]byte(out), &groups.Items) != nil || len(groups.Items) != 1 || groups.Items[0].Weight != 100 {
				return errorText(out)
			}
			return nil
		})
	})
	t.Run("without visitors it goes on unsure", func(t *testing.T) {
		out := p.admin.do(t, canary("quiet", "0", "--unsure", "promote", "--longest", "2s")...)
		mustSay(t, out, "goes on unsure after 2s, as its policy says")
		mustSay(t, p.admin.do(t, "rollouts", "quiet", "-n", "1"), "went on unsure: 5xx")
	})

	eventually(t, 3*time.Minute, "something was compared", func() error {
		if v := p.rolled(t, "worse").Verdict; v == nil || v.Blocks < 5 {
			return fmt.Errorf("verdict %+v", v)
		}
		return nil
	})
	p.kill(t, "naru", "server")
	t.Run("a worse one goes back", func(t *testing.T) {
		worse.ends(t, false)
		mustSay(t, lastLines(worse.out.String(), 3), "what ran before keeps running: 5xx ")
		r := p.rolled(t, "worse")
		if r.State != "rolledback" || r.Verdict == nil || r.Verdict.Outcome != "fail" || r.Verdict.Act != "went_back" {
			t.Fatalf("it is %s by %+v", r.State, r.Verdict)
		}
		t.Log(r.Verdict.Text)
		mustSay(t, p.admin.do(t, "rollout", "worse"), "went back: 5xx ", " canary requests (p < 0.001)")
		mustSay(t, p.admin.do(t, "rollouts", "worse", "-n", "1"), "went back: 5xx ")
		mustSay(t, p.admin.do(t, "events", "--app", "worse"), "verdict.given")
		reason := r.Verdict.Reasons[0]
		if reason.Code != "errors.worse" || reason.Canary.Of < 1000 || len(reason.Links) == 0 {
			t.Errorf("the first reason is %+v", reason)
		}
		p.says(t, "worse", "/health", "fine")
	})
	t.Run("one that is as good goes on", func(t *testing.T) {
		alike.ends(t, true)
		r := p.rolled(t, "alike")
		if r.Verdict == nil || r.Verdict.Outcome == "fail" || os.Getenv("NARU_FULL") != "" && r.Verdict.Act != "passed" {
			t.Fatalf("it is %s by %+v", r.State, r.Verdict)
		}
		t.Logf("%s: %s", r.Verdict.Act, r.Verdict.Text)
	})
	t.Run("the past is judged, too", func(t *testing.T) {
		at := p.rolled(t, "worse").Verdict
		args := []string{"judge", "worse", "--baseline", "v1", "--canary", "v2", "--since", at.From.Format(time.RFC3339), "--until", at.To.Format(time.RFC3339)}
		var v client.Verdict
		p.json(t, &v, args...)
		if v.Outcome != "fail" || v.Score == nil || !strings.HasPrefix(v.Text, "worse than before: 5xx ") || !strings.Contains(v.Text, "canary requests (p < 0.001)") {
			t.Errorf("the verdict is %+v", v)
		}
		mustSay(t, p.admin.do(t, "judge", "worse"), "worse than before: 5xx ", "naru logs worse --since ", "status>=500", "naru traces worse --since ")
		mustSay(t, p.admin.do(t, "why", "worse"), "went back", "because it was judged worse than v1: 5xx ", "(p < 0.001)", "naru logs worse --since ")
		mustSay(t, p.admin.do(t, "what-changed", "worse", "--since", "1h"), "judged worse than before, so it goes back: 5xx ")
		mustSay(t, p.admin.do(t, append(args, "--metric", "busy=sum(rate(naru_gateway_requests_total[5s])),direction=up,effect=3", "--only")...), "score 100 of 100 (pass)", "busy")
		p.admin.refused(t, append(args, "--metric", "busy=naru_gateway_requests_total"), "metric busy", "series, want one number")
		p.admin.refused(t, []string{"judge", "worse", "--canary", "v9"}, "v9")
	})
	for _, app := range []string{"worse", "alike", "quiet"} {
		p.admin.do(t, "delete", app, "--yes")
	}
}

// begun is a command that has begun.
type begun struct {
	args []string
	cmd  *exec.Cmd
	out  *output
}

func (p *platform) begun(t *testing.T, args ...string) *begun {
	t.Helper()
	b := &begun{args, p.admin.command(args...), &output{}}
	b.cmd.Stdout, b.cmd.Stderr = b.out, b.out
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if b.cmd.ProcessState == nil {
			_ = b.cmd.Process.Signal(os.Interrupt)
			_ = b.cmd.Wait()
		}
	})
	return b
}

// ends waits for it.
func (b *begun) ends(t *testing.T, well bool) {
	t.Helper()
	if err := b.cmd.Wait(); (err == nil) != well {
		t.Fatalf("naru %s: %v\n%s", strings.Join(b.args, " "), err, b.out)
	}
}

// json runs a command and reads what it says to programs.
func (p *platform) json(t testing.TB, into any, args ...string) {
	t.Helper()
	out := p.admin.do(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("naru %s says %q: %v", strings.Join(args, " "), out, err)
	}
}

// rolled is an app's newest rollout.
func (p *platform) rolled(t testing.TB, app string) (r client.Rollout) {
	t.Helper()
	out, code := p.admin.run(t, "", "rollout", app, "--json")
	if code != 0 {
		t.Fatalf("naru rollout %s: %s", app, out)
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("naru rollout %s says %q: %v", app, out, err)
	}
	return r
}
