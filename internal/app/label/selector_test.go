package label_test

import (
	"strings"
	"testing"

	"naru/internal/app/label"
	"naru/internal/fault"
)

func TestSelector(t *testing.T) {
	labels := map[string]string{"team": "checkout", "example.com/stage": "live", "empty": ""}
	for text, want := range map[string]bool{
		"team": true, "!team": false, "nothing": false, "! nothing": true,
		"team=checkout": true, "team==checkout": true, "team = checkout": true, "team=other": false, "team!=checkout": false, "team!=other": true,
		"nothing=x": false, "nothing!=x": true, "nothing=": false, "empty=": true, "empty": true,
		"team in (other, checkout)": true, "team in (other)": false, "team notin (other)": true, "team notin (checkout)": false, "nothing notin (x)": true,
		"example.com/stage=live,team in (checkout,other),!nothing": true, "team=checkout,nothing": false,
	} {
		s, err := label.ParseSelector(text)
		if err != nil || s.Selects(labels) != want {
			t.Errorf("%q: got %v, %v, want %v", text, s.Selects(labels), err, want)
		}
	}
	if !(label.Selector{}).Selects(nil) {
		t.Error("the zero value does not mean all")
	}
}

func TestSelectorsThatAreRefused(t *testing.T) {
	for _, text := range []string{
		"", ",", "a,", "a b", "a in b", "a in (b", "!a=b", "!a in (b)", "=b", "a=b c", "a>1", "a=b;c", strings.Repeat("a,", 50) + "a",
	} {
		if _, err := label.ParseSelector(text); !fault.Is(err, fault.Invalid) || fault.Of(err).Field != "selector" {
			t.Errorf("%q: got %v", text, err)
		}
	}
	if _, err := label.ParseSelector(strings.Repeat("a,", 49) + "a"); err != nil {
		t.Errorf("50 requirements: %v", err)
	}
}
