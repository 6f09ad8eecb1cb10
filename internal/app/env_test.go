package app_test

import (
	"testing"

	"naru/internal/app"
	"naru/internal/secret"
)

func TestEnvChangeCheck(t *testing.T) {
	for name, tc := range map[string]struct {
		change app.EnvChange
		bad    bool
	}{
		"nothing":             {app.EnvChange{}, false},
		"all three":           {app.EnvChange{Set: map[string]string{"A": "1"}, Secrets: map[string]secret.Secret{"B": secret.New("2")}, Unset: []string{"C"}}, false},
		"ours cannot be set":  {app.EnvChange{Set: map[string]string{"PORT": "1"}}, true},
		"ours cannot be kept": {app.EnvChange{Secrets: map[string]secret.Secret{"NARU_X": secret.New("2")}}, true},
		"set and unset":       {app.EnvChange{Set: map[string]string{"A": "1"}, Unset: []string{"A"}}, true},
		"plain and secret":    {app.EnvChange{Set: map[string]string{"A": "1"}, Secrets: map[string]secret.Secret{"A": secret.New("2")}}, true},
		"unset twice":         {app.EnvChange{Unset: []string{"A", "A"}}, true},
		"an odd name goes":    {app.EnvChange{Unset: []string{"a b"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tc.change.Check(); (err != nil) != tc.bad {
				t.Errorf("Check() = %v, want an error: %v", err, tc.bad)
			}
		})
	}
}
