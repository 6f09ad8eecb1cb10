package cf_test

import (
	"reflect"
	"strings"
	"testing"

	"naru/internal/artifact"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
)

func TestCachesAreEmptied(t *testing.T) {
	w := newWorld(t)
	w.user("somebody")
	a := w.shop("shop")
	w.shop("other")
	cache := func(of string) string {
		t.Helper()
		all, err := w.store.AppNamed(t.Context(), w.space.ID, of)
		must(t, err)
		return all.Build.Cache
	}
	path := "/v3/apps/" + string(a.ID) + "/actions/clear_buildpack_cache"
	w.login("somebody")
	w.ask(404, "POST", path, "")
	w.ask(403, "POST", "/v3/admin/actions/clear_buildpack_cache", "")
	if got := cache("shop"); got != "" {
		t.Fatalf("it was emptied: %s", got)
	}
	w.login("admin")
	status, header, _ := w.do("POST", path, "")
	if job := header.Get("Location"); status != 202 || w.ask(200, "GET", job[strings.Index(job, "/v3/"):], "")["state"] != "COMPLETE" {
		t.Errorf("%d, job %s", status, job)
	}
	first := cache("shop")
	if first == "" || cache("other") != "" {
		t.Errorf("the caches are %q, and of another app %q", first, cache("other"))
	}
	w.ask(200, "PATCH", "/v3/apps/"+string(a.ID), `{"lifecycle":{"type":"buildpack","data":{"stack":"cflinuxfs4"}}}`)
	if got := cache("shop"); got != first {
		t.Errorf("saying how to build made the cache %q, was %q", got, first)
	}
	status, header, _ = w.do("POST", "/v3/admin/actions/clear_buildpack_cache", "")
	if job := header.Get("Location"); status != 202 || w.ask(200, "GET", job[strings.Index(job, "/v3/"):], "")["state"] != "COMPLETE" {
		t.Errorf("%d, job %s", status, job)
	}
	if all, err := w.store.Setting(t.Context(), "build.caches"); err != nil || all == "" {
		t.Errorf("those of all are %q, %v", all, err)
	}
}

// What built a droplet is told as Cloud Foundry does.
func TestDropletsNameTheirBuildpacks(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	a := w.shop("shop")
	for origin, want := range map[string][]any{
		"node 22, npm":                          {map[string]any{"name": "node", "detect_output": "node 22, npm", "buildpack_name": "node", "version": nil}},
		"buildpack words":                       {map[string]any{"name": "words", "detect_output": "", "buildpack_name": "", "version": nil}},
		"buildpack words 1.2 (Words): words: 1": {map[string]any{"name": "words", "detect_output": "words: 1", "buildpack_name": "Words", "version": "1.2"}},
		"buildpack base, nodejs_buildpack 1.9.4 (nodejs)": {
			map[string]any{"name": "base", "detect_output": "", "buildpack_name": "", "version": nil},
			map[string]any{"name": "nodejs_buildpack", "detect_output": "", "buildpack_name": "nodejs", "version": "1.9.4"},
		},
	} {
		img, err := w.store.AddImage(t.Context(), artifact.Image{
			ID: artifact.ID(id.New()), App: a.ID, Ref: artifact.Ref{Repository: "default/dev/shop", Digest: "sha256:" + strings.Repeat("d", 64)},
			Snapshot: "sha256:" + id.New(), RecipeKey: origin, Origin: origin,
		})
		must(t, err)
		_, err = w.stager.SetImage(t.Context(), operation.Ask{Actor: "admin"}, a.ID, img.ID)
		must(t, err)
		got := w.ask(200, "GET", "/v3/apps/"+string(a.ID)+"/droplets/current", "")
		if all, _ := got["buildpacks"].([]any); !reflect.DeepEqual(all, want) {
			t.Errorf("%q: %v, want %v", origin, got["buildpacks"], want)
		}
	}
}
