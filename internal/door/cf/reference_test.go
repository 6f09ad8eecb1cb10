package cf_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

// whyNot are the reasons for what the door does not serve, by the beginning of
// the path; the first that fits counts.
var whyNot = [][2]string{
	{"/v3/builds", "builds are changed by what builds them"},
	{"/v3/info", "only the version"},
	{"/v3/route_policies", "naru has no route policies"}, {"/v3/spaces", "usage only of organizations"},
}

const reference = "../../../docs/reference/cloud-foundry.md"

// TestReference holds the table of endpoints in the docs against the door;
// NARU_UPDATE=1 writes it.
func TestReference(t *testing.T) {
	w := newWorld(t)
	var b strings.Builder
	b.WriteString("# Cloud Foundry's API, endpoint by endpoint\n\nWritten by a test of `internal/door/cf`; how to use it is in [cloud-foundry.md](../cloud-foundry.md). " +
		"The list is that of version 3.228.0 of the API.\n\n| endpoint | naru |\n|---|---|\n")
	have := 0
	all := permissions(t)
	slices.SortStableFunc(all, func(a, b permission) int { return strings.Compare(a.path, b.path) })
	for _, p := range all {
		path := strings.NewReplacer("{name}", "ssh", "{", "", "}", "").Replace(p.path)
		req, err := http.NewRequestWithContext(t.Context(), p.method, w.url+path, nil)
		must(t, err)
		answer := "served"
		if status, _, _ := w.send(req); status != http.StatusUnauthorized && status != http.StatusOK {
			answer = "no"
			if i := slices.IndexFunc(whyNot, func(r [2]string) bool { return strings.HasPrefix(p.path, r[0]) }); i >= 0 {
				answer += ": " + whyNot[i][1]
			}
		} else {
			have++
		}
		fmt.Fprintf(&b, "| `%s %s` | %s |\n", p.method, p.path, answer)
	}
	fmt.Fprintf(&b, "\n%d of %d are served.\n", have, len(all))
	if os.Getenv("NARU_UPDATE") != "" {
		must(t, os.WriteFile(reference, []byte(b.String()), 0o644)) //nolint:gosec // it is for everybody
	}
	text, err := os.ReadFile(reference)
	must(t, err)
	if string(text) != b.String() {
		t.Errorf("%s is not what the door serves; NARU_UPDATE=1 writes it anew", reference)
	}
}
