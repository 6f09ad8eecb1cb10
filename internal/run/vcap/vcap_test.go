package vcap_test

import (
	"encoding/json"
	"strings"
	"testing"

	"naru/internal/app/service"
	"naru/internal/fault"
	"naru/internal/run/vcap"
	"naru/internal/secret"
)

func bound(name, binding, credentials, drain string, tags ...string) service.Bound {
	return service.Bound{
		Binding: service.Binding{ID: service.BindingID("b-" + name), Name: binding}, Of: service.Service{ID: service.ID("s-" + name), Name: name, Tags: tags},
		Content: service.Content{Credentials: secret.New(credentials), Drain: drain},
	}
}

func TestServices(t *testing.T) {
	for name, c := range map[string]struct {
		bound []service.Bound
		want  string
	}{
		"none": {nil, `{}`},
		"one": {[]service.Bound{bound("db", "", `{"uri":"a&b<c>"}`, "", "sql")},
			`{"user-provided":[{"label":"user-provided","name":"db","tags":["sql"],"instance_guid":"s-db","instance_name":"db","binding_guid":"b-db","binding_name":null,` +
				`"credentials":{"uri":"a&b<c>"},"syslog_drain_url":null,"volume_mounts":[]}]}`},
		"with names of their own": {[]service.Bound{bound("db", "primary", "", "syslog://h:1")},
			`{"user-provided":[{"label":"user-provided","name":"primary","tags":[],"instance_guid":"s-db","instance_name":"db","binding_guid":"b-db","binding_name":"primary",` +
				`"credentials":{},"syslog_drain_url":"syslog://h:1","volume_mounts":[]}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := vcap.Services(c.bound)
			if err != nil || got != c.want {
				t.Errorf("got %s, %v, want %s", got, err, c.want)
			}
		})
	}
	big := `{"a":"` + strings.Repeat("x", vcap.MaxServices) + `"}`
	if _, err := vcap.Services([]service.Bound{bound("db", "", big, "")}); !fault.Is(err, fault.TooLarge) {
		t.Errorf("more than a variable holds: %v", err)
	}
}

func TestDatabase(t *testing.T) {
	for name, c := range map[string]struct {
		credentials []string
		want        string
	}{
		"none":                  {nil, ""},
		"no uri":                {[]string{`{"url":"postgres://h/d"}`}, ""},
		"another kind":          {[]string{`{"uri":"redis://h"}`}, ""},
		"no text":               {[]string{`{"uri":5}`}, ""},
		"as Rails has it":       {[]string{`{"uri":"postgresql://u:p%40@h:5432/d?sslmode=require"}`}, "postgres://u:p%40@h:5432/d?sslmode=require"},
		"mysql":                 {[]string{`{"uri":"mysql://h/d"}`}, "mysql2://h/d"},
		"the first that is one": {[]string{`{"uri":"redis://h"}`, `{"uri":"postgres://a"}`, `{"uri":"postgres://b"}`}, "postgres://a"},
		"what cannot be read":   {[]string{`{"uri":"postgres://%zz"}`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var all []service.Bound
			for _, text := range c.credentials {
				all = append(all, bound("x", "", text, ""))
			}
			if got := vcap.Database(all); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestApplication(t *testing.T) {
	index := 0
	text, err := vcap.Application{Name: "shop", ID: "a", Version: "v", Index: &index, Limits: vcap.Limits{Descriptors: 1, MemoryMiB: 2}}.Text()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"application_name": "shop", "name": "shop", "application_version": "v", "version": "v", "instance_index": 0.0,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if uris, ok := got["uris"].([]any); !ok || len(uris) != 0 {
		t.Errorf("without a route uris are %v", got["uris"])
	}
	for _, name := range []string{"port", "process_id", "users"} {
		if _, said := got[name]; said {
			t.Errorf("%s is said of what has none", name)
		}
	}
}
