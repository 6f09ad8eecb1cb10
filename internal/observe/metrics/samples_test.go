package metrics

import (
	"log/slog"
	"testing"

	"naru/internal/fault"
)

func TestNarrow(t *testing.T) {
	s := New(Options{}, slog.New(slog.DiscardHandler))
	for _, tc := range []struct {
		text string
		to   map[string]string
		want string
	}{
		{"x", map[string]string{"app": "shop"}, `x{app="shop"}`},
		{`sum(rate(x{class="5xx"}[1m])) / sum(y)`, map[string]string{"app": "shop"}, `sum(rate(x{app="shop",class="5xx"}[1m])) / sum(y{app="shop"})`},
		{`x{app="other"}`, map[string]string{"app": "shop"}, `x{app="other"}`},
		{"x", map[string]string{"group": "shop-v001|shop.v002"}, `x{group=~"shop-v001|shop\\.v002"}`},
		{`x`, map[string]string{"app": `a"} or y{b="`}, `x{app="a\"} or y{b=\""}`},
		{"1 + 1", map[string]string{"app": "shop"}, "1 + 1"},
		{"x", nil, "x"},
	} {
		got, err := s.Narrow(tc.text, tc.to)
		if err != nil || got != tc.want {
			t.Errorf("%s to %v is %s (%v), want %s", tc.text, tc.to, got, err, tc.want)
		}
		if again, err := s.Narrow(got, nil); err != nil || again != got {
			t.Errorf("%s is read again as %s (%v)", got, again, err)
		}
	}
	for _, text := range []string{"", "sum(", "x{", "a b"} {
		if got, err := s.Narrow(text, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q became %q (%v), want it to be invalid", text, got, err)
		}
	}
}
