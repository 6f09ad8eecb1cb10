package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A release that fails for everybody spends the error budget of its app. From then
// on features are refused before anything is sent, with the numbers and the two ways
// out; both ways pass, and everything is recorded with who did it. TestDrill has the
// rest of the story: the alert, and the thaw.
func TestASpentBudgetRefusesFeatures(t *testing.T) {
	slow(t)
	t.Parallel()
	p := start(t, "NARU_METRICS_INTERVAL=1s")
	dir := compiled(t, "steady")
	manifest := `applications:
- name: shop
  memory: 64M
  naru:
    objectives:
    - {name: strict, kind: availability, target: 99.99%, window: 1d}
`
	if err := os.WriteFile(filepath.Join(dir, "manifest.yml"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	push := func(release string, more ...string) []string {
		return append([]string{"push", "shop", "--path", dir, "--env", "RELEASE=" + release, "--strategy", "rolling", "--no-guard",
			"--health-check", "http", "--health-path", "/health"}, more...)
	}
	p.admin.do(t, push("good")...)
	p.says(t, "shop", "/", "steady good")
	p.admin.do(t, push("bad", "--env", "FLAW=lies")...)
	eventually(t, 2*time.Minute, "the budget is spent", func() error {
		if got, err := p.visit(t, "shop", "/"); err != nil || got.status != 500 {
			return fmt.Errorf("a visit: %d, %v", got.status, err)
		}
		if out := p.admin.do(t, "policy"); !strings.Contains(out, "freeze  strict: ") {
			return errorText(out)
		}
		return nil
	})

	operations := p.admin.do(t, "operations", "--json")
	releases := p.admin.do(t, "releases", "shop", "--json")
	p.admin.refused(t, push("feature"), "the error budget of shop is spent: strict: ", "99.99 % wanted over 1d", "naru push shop --reliability-fix", "naru policy override shop")
	if now := p.admin.do(t, "operations", "--json"); now != operations {
		t.Errorf("a refusal left an operation:\n%s\nbefore\n%s", now, operations)
	}
	if now := p.admin.do(t, "releases", "shop", "--json"); now != releases {
		t.Errorf("a refusal left a release:\n%s\nbefore\n%s", now, releases)
	}
	mustSay(t, p.admin.do(t, "why", "shop"), "the error budget of shop is spent: strict: ")

	// What goes back passes, and so does what was declared a fix.
	p.admin.do(t, "restart", "shop")
	p.admin.do(t, "rollback", "shop")
	p.says(t, "shop", "/", "steady good")
	p.admin.do(t, push("fixed", "--env", "FLAW=", "--reliability-fix")...)
	p.says(t, "shop", "/", "steady fixed")
	p.admin.refused(t, push("feature"), "the error budget of shop is spent")

	// So does everything while somebody who may has said why.
	p.admin.refused(t, []string{"policy", "override", "shop", "--reason", "because"}, "10 characters or more")
	p.admin.do(t, "policy", "override", "shop", "--reason", "the law begins today", "--for", "10m")
	p.admin.do(t, push("feature")...)
	p.says(t, "shop", "/", "steady feature")
	p.admin.do(t, "policy", "override", "shop", "--end")
	p.admin.refused(t, push("another"), "the error budget of shop is spent")

	events := p.admin.do(t, "events", "--app", "shop", "-n", "200", "--json")
	for kind, n := range map[string]int{"push.refused": 3, "budget.passed": 3, "budget.overridden": 2, "budget.tier": 1} {
		if got := strings.Count(events, `"`+kind+`"`); got < n || kind != "budget.tier" && got != n {
			t.Errorf("%d times %s is recorded, want %d", got, kind, n)
		}
	}
	changed := p.admin.do(t, "what-changed", "shop", "--since", "1h")
	for _, text := range []string{"v2, rolling: live", "v3 (rollback to v1)", "v4 (reliability fix)", "the error budget overridden: the law begins today", "passed by reliability-fix", "a push was refused"} {
		mustSay(t, changed, text)
	}
	mustSay(t, p.admin.do(t, "dora", "shop", "--since", "28d"), "deployments")
	p.admin.do(t, "delete", "shop", "--yes")
}
