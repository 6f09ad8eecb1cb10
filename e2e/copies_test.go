package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"naru/internal/client"
)

// Apps with two requests a second, whose canaries get none of them: of one that
// fails at three of ten, copies to both sides tell within minutes, where without
// them there would be nothing to compare. One that is no worse is taken neither
// back nor for proven. Guards are off: this is about what the judge finds.
func TestCopiesForCanariesWithoutVisitors(t *testing.T) {
	slow(t)
	t.Parallel()
	p := start(t)
	dir := compiled(t, "steady")
	apps := []string{"copied", "alone", "alike"}
	for _, app := range apps {
		p.admin.do(t, "push", app, "--path", dir, "--memory", "64M", "--env", "RELEASE=good", "--env", "FAILS=0.02", "--health-check", "http", "--health-path", "/health")
		p.crowdOf(t, app, 2)
	}
	canary := func(app, fails string, more ...string) *begun {
		return p.begun(t, append([]string{"push", app, "--path", dir, "--env", "RELEASE=next", "--env", "FAILS=" + fails, "--no-guard",
			"--strategy", "rings", "--match", "header:X-Internal=yes", "--steps", "0%/judge", "--keep-old", "1s"}, more...)...)
	}
	copied := canary("copied", "0.3", "--mirror")
	alone := canary("alone", "0.3")
	alike := canary("alike", "0", "--mirror", "--longest", "3m", "--unsure", "promote")

	copied.ends(t, false)
	r := p.rolled(t, "copied")
	if r.State != "rolledback" || r.Verdict == nil || r.Verdict.Outcome != "fail" || r.Verdict.Act != "went_back" {
		t.Fatalf("it is %s by %+v", r.State, r.Verdict)
	}
	t.Logf("after %s: %s", r.Verdict.To.Sub(r.Verdict.From).Round(time.Second), r.Verdict.Text)
	mustSay(t, p.admin.do(t, "rollout", "copied"), "went back: 5xx of copies ", " sent to each (p < 0.001)")
	figures := func(v *client.Verdict) (errors, copies client.VerdictReason) {
		for _, reason := range v.Reasons {
			switch reason.Metric {
			case "errors":
				errors = reason
			case "mirrored":
				copies = reason
			}
		}
		return errors, copies
	}
	errors, copies := figures(r.Verdict)
	if copies.Code != "mirrored.worse" || copies.Canary.Of < 50 || copies.Canary.Bad <= copies.Baseline.Bad {
		t.Errorf("copies say %+v", copies)
	}
	if errors.Canary.Of != 0 || errors.Baseline.Of < 50 {
		t.Errorf("of visitors is said %+v, want none of the canary: copies are no visitors", errors)
	}
	if v := p.rolled(t, "alone").Verdict; v != nil && (v.Act != "" || !strings.Contains(v.Text, "nothing to compare")) {
		t.Errorf("without copies: %+v", v)
	}
	p.admin.do(t, "rollout", "abort", "alone")
	alone.ends(t, false)

	eventually(t, 5*time.Minute, "the one that is no worse goes on", func() error {
		if v := p.rolled(t, "alike").Verdict; v == nil || v.Act == "" {
			return fmt.Errorf("verdict %+v", v)
		}
		return nil
	})
	alike.ends(t, true)
	v := p.rolled(t, "alike").Verdict
	if _, copies := figures(v); v.Act != "went_on" || v.Outcome != "unsure" || copies.Canary.Of < 50 {
		t.Errorf("%s by %s: %+v", v.Act, v.Outcome, copies)
	}
	t.Logf("no worse: %s", v.Text)
	for _, app := range apps {
		p.admin.do(t, "delete", app, "--yes")
	}
}
