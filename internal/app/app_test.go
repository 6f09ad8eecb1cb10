package app_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
)

func TestSlug(t *testing.T) {
	for name, tc := range map[string]struct {
		in, want string
		bad      bool
	}{
		"plain":              {in: "my-shop", want: "my-shop"},
		"capitals and space": {in: "My Shop!", want: "my-shop"},
		"umlauts":            {in: "Käse_Laden 2", want: "k-se-laden-2"},
		"too long is cut":    {in: strings.Repeat("ab", 40), want: strings.Repeat("ab", 20)},
		"nothing left":       {in: "♥♥", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := app.Slug(tc.in)
			if got != tc.want || (err != nil) != tc.bad {
				t.Errorf("Slug(%q) = %q, %v, want %q", tc.in, got, err, tc.want)
			}
		})
	}
}

func TestCheckNames(t *testing.T) {
	for name, tc := range map[string]struct {
		err error
		bad bool
	}{
		"name":                {app.CheckName("name", "My Shop"), false},
		"empty name":          {app.CheckName("name", " "), true},
		"name with a slash":   {app.CheckName("name", "a/b"), true},
		"name with a newline": {app.CheckName("name", "a\nb"), true},
		"long name":           {app.CheckName("name", strings.Repeat("x", 256)), true},
		"process":             {app.CheckProcessType("process", "web"), false},
		"process with a dot":  {app.CheckProcessType("process", "we.b"), true},
		"env":                 {app.CheckEnvName("env", "DATABASE_URL"), false},
		"env with =":          {app.CheckEnvName("env", "A=B"), true},
		"PORT is ours":        {app.CheckEnvName("env", "PORT"), true},
	} {
		if (tc.err != nil) != tc.bad {
			t.Errorf("%s: err = %v, want an error: %v", name, tc.err, tc.bad)
		}
	}
}

func TestConfigIsNeverChangedInPlace(t *testing.T) {
	base := app.Config{}.WithEnv(map[string]string{"A": "1", "B": "2"})
	secret := base.WithSecrets("B")
	plain := secret.WithEnv(map[string]string{"B": "3"})
	gone := plain.WithoutEnv("A", "B")
	if base.Env["B"] != "2" || len(base.Secrets) != 0 {
		t.Errorf("base changed: %+v", base)
	}
	if _, ok := secret.Env["B"]; ok || len(secret.Secrets) != 1 {
		t.Errorf("B is not secret: %+v", secret)
	}
	if plain.Env["B"] != "3" || len(plain.Secrets) != 0 {
		t.Errorf("B is not plain again: %+v", plain)
	}
	if len(gone.Env) != 0 {
		t.Errorf("not gone: %+v", gone)
	}
}

func TestResolveFillsProcess(t *testing.T) {
	for name, tc := range map[string]struct {
		in    app.Process
		over  app.Overrides
		check app.CheckType
		port  int
	}{
		"web listens":             {app.Process{Type: "web"}, app.Overrides{}, app.CheckPort, 8080},
		"web keeps its port":      {app.Process{Type: "web", Port: 3000}, app.Overrides{}, app.CheckPort, 3000},
		"a path means http":       {app.Process{Type: "web"}, app.Overrides{Path: "/ok"}, app.CheckHTTP, 8080},
		"worker only has to live": {app.Process{Type: "worker"}, app.Overrides{}, app.CheckProcess, 0},
		"no port, no port check":  {app.Process{Type: "worker"}, app.Overrides{Check: app.CheckPort}, app.CheckProcess, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := tc.in.Resolve(tc.over)
			if got.Health.Check != tc.check || got.Port != tc.port {
				t.Errorf("check %q port %d, want %q %d", got.Health.Check, got.Port, tc.check, tc.port)
			}
			if got.MemoryMiB == 0 || got.DiskMiB == 0 || got.CPUMilli == 0 || got.PIDs == 0 || got.StopGrace == 0 {
				t.Errorf("a limit is missing: %+v", got)
			}
		})
	}
}

func TestWantedFollowsStateAndScale(t *testing.T) {
	a := app.App{State: app.Started, Scale: map[string]int{"worker": 2}}
	if a.Wanted("web") != 1 || a.Wanted("worker") != 2 || a.Wanted("clock") != 0 {
		t.Errorf("wanted %d %d %d", a.Wanted("web"), a.Wanted("worker"), a.Wanted("clock"))
	}
	a.State = app.Stopped
	if a.Wanted("web") != 0 || a.Count("worker") != 2 {
		t.Errorf("stopped: wanted %d, count %d", a.Wanted("web"), a.Count("worker"))
	}
}

func TestDurationIsText(t *testing.T) {
	text, err := json.Marshal(app.Duration(90 * time.Second))
	if err != nil || string(text) != `"1m30s"` {
		t.Errorf("Marshal = %s, %v", text, err)
	}
	var d app.Duration
	if err := json.Unmarshal([]byte(`"-3s"`), &d); err == nil {
		t.Error("a negative duration was read")
	}
}

func TestShell(t *testing.T) {
	for command, want := range map[string]string{
		"node server.js":      "exec node server.js",
		"cd web && node x.js": "cd web && node x.js",
		"A=1 node x.js":       "A=1 node x.js",
		"export A=1":          "export A=1",
		"sh -c 'a; b'":        "sh -c 'a; b'",
		"./run --port=$PORT":  "exec ./run --port=$PORT",
	} {
		if got := app.Shell(command); got[0] != "/bin/sh" || got[2] != want {
			t.Errorf("app.Shell(%q) = %q, want %q last", command, got, want)
		}
	}
}
