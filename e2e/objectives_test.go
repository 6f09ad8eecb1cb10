package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"naru/internal/client"
)

// An app promises something and keeps some of it: what naru slo shows is what was
// asked, also after the gateway and the control plane were killed. What is applied
// stands beside what the manifest says, and what cannot be judged is refused with a
// way out.
func TestObjectives(t *testing.T) {
	slow(t)
	t.Parallel()
	p := start(t, "NARU_METRICS_INTERVAL=1s")
	dir := compiled(t, "steady")
	manifest := `applications:
- name: shop
  memory: 64M
  naru:
    probes:
    - {name: alive, path: /health, interval: 10s}
    objectives:
    - name: users
      kind: availability
      target: 80%
      journeys: ["GET /socket/{user}", GET /up]
      bad: [5xx, 404]
    - {name: quick, kind: latency, target: 90%, threshold: 30s, journey: GET /up}
    - {name: alive, kind: end_to_end, target: 50%, probe: alive}
`
	if err := os.WriteFile(filepath.Join(dir, "manifest.yml"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	p.admin.do(t, "push", "--path", dir, "--env", "RELEASE=1")
	p.says(t, "shop", "/", "steady 1")

	asked := func(good, bad int) {
		t.Helper()
		for i := range good + bad {
			path, want := "/up", 200
			if i >= good {
				path, want = fmt.Sprintf("/socket/user%d?page=%d", i, i), 404
			}
			if got, err := p.visit(t, "shop", path); err != nil || got.status != want {
				t.Fatalf("%s answers %d, %v, want %d", path, got.status, err, want)
			}
		}
	}
	// The rates of an app appear once its gateway has told of it.
	shows := func(name string, good, total float64) (r client.ObjectiveReport) {
		t.Helper()
		eventually(t, time.Minute, fmt.Sprintf("%s shows %v of %v", name, good, total), func() error {
			out, _ := p.admin.run(t, "", "slo", "shop", "--json")
			var all []client.ObjectiveReport
			if err := json.Unmarshal([]byte(out), &all); err != nil {
				return fmt.Errorf("%s: %w", out, err)
			}
			for _, r = range all {
				if r.Objective.Name == name && r.Good == good && r.Total == total {
					return nil
				}
			}
			return fmt.Errorf("shown %s", out)
		})
		return r
	}
	asked(18, 2)
	if r := shows("users", 18, 20); !r.Met || r.Measured != 0.9 || r.Origin != "manifest" {
		t.Errorf("users: %+v", r)
	}
	shows("quick", 18, 18)
	p.kill(t, "naru", "gateway")
	asked(18, 2)
	shows("users", 36, 40)
	p.kill(t, "naru", "server")
	shows("users", 36, 40)
	page := p.admin.do(t, "slo", "shop", "--ledger")
	mustSay(t, page, "users", "80 % of GET /socket/{user}, GET /up do not fail, over 28d", "90 %   36 of 40 requests", "burn rate", "unexplained", "BUDGET")
	eventually(t, time.Minute, "the probe has run", func() error {
		out, _ := p.admin.run(t, "", "slo", "shop")
		if !strings.Contains(out, " runs\n") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})

	file := filepath.Join(t.TempDir(), "slo.yml")
	text := strings.ReplaceAll(p.admin.do(t, "slo", "export", "shop"), "name: users", "name: everybody")
	text, _, _ = strings.Cut(text, "\n---\n")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	mustSay(t, p.admin.do(t, "slo", "apply", "-f", file, "--dry-run"), "added", "everybody", "nothing was changed")
	mustSay(t, p.admin.do(t, "slo", "apply", "-f", file), "added", "everybody")
	mustSay(t, p.admin.do(t, "slo"), "everybody", "users", "quick", "alive")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "target: 0.8", "target: 1")), 0o600); err != nil {
		t.Fatal(err)
	}
	p.admin.refused(t, []string{"slo", "apply", "-f", file}, file+":", "everybody")
	p.admin.do(t, "push", "--path", dir, "--env", "RELEASE=2") // it takes away nothing that was applied
	mustSay(t, p.admin.do(t, "slo"), "everybody")
	p.admin.refused(t, []string{"slo", "delete", "shop", "users"}, "manifest", "push")
	p.admin.do(t, "slo", "delete", "shop", "everybody")

	mustSay(t, p.admin.do(t, "maintenance", "announce", "shop", "--for", "1h", "--reason", "new database"), "users", "of the budget is reserved")
	p.admin.refused(t, []string{"maintenance", "announce", "shop", "--for", "2000h", "--reason", "a very new database"}, "is free")
	id := strings.Fields(p.admin.do(t, "maintenance", "shop"))[6]
	mustSay(t, p.admin.do(t, "maintenance", "cancel", "shop", id), "cancelled: new database")
	mustSay(t, p.admin.do(t, "events", "--app", "shop"), "objectives.set", "maintenance.announced", "maintenance.cancelled")
	p.admin.do(t, "delete", "shop", "--yes")
}
