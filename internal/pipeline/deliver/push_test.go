package deliver_test

import (
	"strings"
	"testing"

	"naru/internal/artifact"
	"naru/internal/pipeline/deliver"
)

func TestRepository(t *testing.T) {
	if got, err := deliver.Repository("default/dev", "shop"); err != nil || got != "default/dev/shop" {
		t.Errorf("Repository() = %q, %v", got, err)
	}
	seen := map[string]string{}
	for _, space := range []string{"ops/dev", "Ops/dev", "ops/Dev", "o ps/dev", "o-ps/dev", "o.ps/dev", "foundations/dev", "Foundations/dev"} {
		got, err := deliver.Repository(space, "shop")
		if err != nil {
			t.Errorf("%s: %v", space, err)
			continue
		}
		if other := seen[got]; other != "" {
			t.Errorf("%q and %q share %s", space, other, got)
		}
		seen[got] = space
		if _, err := artifact.ParseRef(got + "@sha256:" + strings.Repeat("0", 64)); err != nil {
			t.Errorf("%s is no repository: %v", got, err)
		}
		if strings.HasPrefix(got, "foundations/") {
			t.Errorf("%s is among the foundations", got)
		}
	}
	for _, bad := range []string{"ops", "ops/", "/dev", "???/dev"} {
		if got, err := deliver.Repository(bad, "shop"); err == nil {
			t.Errorf("Repository(%q) = %q", bad, got)
		}
	}
}
