package collect

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"

	"naru/internal/observe/self"
)

// TestTheDashboardAsksForWhatThereIs reads docs/grafana.json: its queries are
// PromQL, of metrics that naru has, by labels that they have.
func TestTheDashboardAsksForWhatThereIs(t *testing.T) {
	raw, err := os.ReadFile("../../../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var all any
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	queries := expressions(all)
	if len(queries) < 15 {
		t.Fatalf("found %d queries", len(queries))
	}
	variable := regexp.MustCompile(`\$(org|space|app)`)
	for _, text := range queries {
		text = strings.ReplaceAll(variable.ReplaceAllString(text, "x"), "$__rate_interval", "5m")
		e, err := parser.NewParser(parser.Options{}).ParseExpr(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
			v, ok := n.(*parser.VectorSelector)
			if !ok {
				return nil
			}
			_, ours := about[strings.TrimSuffix(v.Name, "_bucket")]
			_, own := self.About[v.Name]
			if !ours && !own && !strings.HasPrefix(v.Name, "process_") {
				t.Errorf("%s asks for %s, which nobody has", text, v.Name)
			}
			return nil
		})
	}
}

// expressions are the values of all fields that are named expr.
func expressions(in any) (out []string) {
	switch in := in.(type) {
	case map[string]any:
		for k, v := range in {
			if text, ok := v.(string); ok && k == "expr" {
				out = append(out, text)
			}
			out = append(out, expressions(v)...)
		}
	case []any:
		for _, v := range in {
			out = append(out, expressions(v)...)
		}
	}
	return out
}
