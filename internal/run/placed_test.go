package run_test

import (
	"net/netip"
	"testing"

	"naru/internal/run"
	"naru/internal/secret"
)

func TestWhatAnInstanceIsToldOfItsPlace(t *testing.T) {
	spec := run.Spec{ID: "i-1", AppName: "shop", Process: "web", Index: 2, Env: run.Env{"VCAP_APPLICATION": secret.New(`{"name":"shop","port":8080}`)}}
	for name, c := range map[string]struct {
		task bool
		at   string
		want map[string]string
	}{
		"a process": {false, "10.0.0.2:8080", map[string]string{
			"PORT": "8080", "VCAP_APP_PORT": "8080", "VCAP_APP_HOST": "0.0.0.0", "CF_INSTANCE_ADDR": "10.0.0.2:8080", "CF_INSTANCE_PORT": "8080", "CF_INSTANCE_INDEX": "2",
			"CF_INSTANCE_PORTS": `[{"external":8080,"internal":8080}]`, "CF_INSTANCE_GUID": "i-1", "CF_INSTANCE_IP": "10.0.0.2", "CF_INSTANCE_INTERNAL_IP": "10.0.0.2",
			"NARU_INDEX": "2", "NARU_APP": "shop",
		}},
		"at another port": {false, "127.0.0.1:40001", map[string]string{"PORT": "40001", "VCAP_APPLICATION": `{"name":"shop","port":40001}`}},
		"a task":          {true, "10.0.0.2:0", map[string]string{"CF_INSTANCE_ADDR": "", "CF_INSTANCE_PORT": "", "CF_INSTANCE_PORTS": "[]", "CF_INSTANCE_IP": "10.0.0.2"}},
		"nowhere yet":     {false, "", map[string]string{"CF_INSTANCE_IP": "", "CF_INSTANCE_PORTS": "[]"}},
	} {
		t.Run(name, func(t *testing.T) {
			var at netip.AddrPort
			if c.at != "" {
				at = netip.MustParseAddrPort(c.at)
			}
			s := spec
			s.Task = c.task
			env := s.Placed(at)
			for name, want := range c.want {
				if value, ok := env[name]; !ok || value.Reveal() != want {
					t.Errorf("%s is %q, want %q", name, value.Reveal(), want)
				}
			}
			for _, name := range []string{"CF_INSTANCE_INDEX", "INSTANCE_INDEX"} {
				if _, said := env[name]; said == c.task {
					t.Errorf("%s is said: %v", name, said)
				}
			}
			if _, said := env["PORT"]; said != (at.Port() > 0) {
				t.Errorf("PORT is said: %v", said)
			}
		})
	}
}
