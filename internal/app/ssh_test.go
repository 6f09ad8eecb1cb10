package app_test

import (
	"testing"

	"naru/internal/app"
	"naru/internal/fault"
)

func TestSSHIsRefusedByTheSpaceFirst(t *testing.T) {
	for name, tc := range map[string]struct {
		space, app bool
		try        string
	}{
		"allowed":                {false, false, ""},
		"refused by the app":     {false, true, "cf enable-ssh shop"},
		"refused by the space":   {true, false, "cf allow-space-ssh dev"},
		"the space is told once": {true, true, "cf allow-space-ssh dev"},
	} {
		err := app.CheckSSH(app.Space{Name: "dev", NoSSH: tc.space}, app.App{Name: "shop", NoSSH: tc.app})
		if tc.try == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !fault.Is(err, fault.Denied) || fault.Of(err).Try != tc.try {
			t.Errorf("%s: got %v, want a refusal with the way out %q", name, err, tc.try)
		}
	}
}
