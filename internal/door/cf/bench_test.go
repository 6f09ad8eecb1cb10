package cf_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/id"
	"naru/internal/pipeline/rollout"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
)

// BenchmarkApps is what "cf apps" asks for in a space of 1,000 apps: half of them
// with one process, others with two or three, every third app stopped, every fifth
// with two routes, every seventh with an instance that is not there yet. "present"
// is what the clients v8 and v9 send; "older" what those did that knew no embedding,
// which ask for the statistics of every process. The answers are read, as the client
// reads them; ms/server is without that.
func BenchmarkApps(b *testing.B) {
	w := newWorld(b)
	for i := range 1000 {
		w.tenant(i)
	}
	w.login("admin")
	b.Run("present", func(b *testing.B) { w.cfApps(b, false) })
	b.Run("older", func(b *testing.B) { w.cfApps(b, true) })
}

// tenant is one of many apps.
func (w *world) tenant(n int) {
	w.t.Helper()
	ctx, name := w.t.Context(), fmt.Sprintf("app-%04d", n)
	types := []string{"web", "worker", "clock"}[:1+n%10/5+n%10/8]
	a := app.App{ID: app.ID(id.New()), Space: w.space.ID, Name: name, Slug: name, State: app.Started}
	if n%3 == 0 {
		a.State = app.Stopped
	}
	a, err := w.store.CreateApp(ctx, a)
	must(w.t, err)
	img := artifact.Image{
		ID: artifact.ID(id.New()), App: a.ID, Ref: artifact.Ref{Repository: "default/dev/" + name, Digest: "sha256:" + strings.Repeat("a", 64)},
		Snapshot: w.snapshot, RecipeKey: name,
	}
	for _, t := range types {
		img.Processes = append(img.Processes, app.Process{Type: t, Command: []string{"/bin/" + t}})
	}
	img, err = w.store.AddImage(ctx, img)
	must(w.t, err)
	a, err = w.store.UpdateApp(ctx, a.ID, func(a *app.App) error {
		a.Image, a.Scale = string(img.ID), map[string]int{"worker": n % 2, "clock": n % 2}
		return nil
	})
	must(w.t, err)
	rel, err := w.store.CutRelease(ctx, a.ID, func(n int, now time.Time) (release.Release, error) {
		return release.Cut(a, img, n, "push", "admin", now)
	})
	must(w.t, err)
	_, err = w.store.StartRollout(ctx, rollout.Rollout{ID: rollout.ID(id.New()), App: a.ID, Release: rel.ID, Spec: app.Strategy{}.Filled(), State: rollout.Done})
	must(w.t, err)
	for _, t := range types {
		if size := a.Count(t); a.State == app.Started && size > 0 {
			w.runs(a, rel, t, n%7 != 0)
		}
	}
	for i := range 1 + n%5/4 {
		r, err := route.New(w.space.ID, fmt.Sprintf("%s-%d.localhost", name, i), "/", time.Now())
		must(w.t, err)
		r, err = r.With(route.NewDestination(a.ID, "", 0, 0))
		must(w.t, err)
		_, err = w.store.SetRoute(ctx, r)
		must(w.t, err)
	}
}

// runs gives a process a group with one instance.
func (w *world) runs(a app.App, rel release.Release, process string, healthy bool) {
	w.t.Helper()
	ctx, now := w.t.Context(), time.Now()
	g, err := w.store.CreateGroup(ctx, run.Group{ID: run.GroupID(id.New()), App: a.ID, Space: w.space.ID, Process: process, Release: rel.ID, Size: 1})
	must(w.t, err)
	i := run.Instance{ID: run.InstanceID(id.New()), Group: g.ID, State: run.Pending, Created: now, Since: now}
	must(w.t, w.store.AddInstance(ctx, i))
	for _, to := range []run.State{run.Starting, run.Healthy} {
		if !healthy {
			return
		}
		_, err = w.store.UpdateInstance(ctx, i.ID, func(i run.Instance, now time.Time) (run.Instance, error) {
			i.Addr, i.Started = "10.0.0.2:8080", now
			return i.Move(to, now)
		})
		must(w.t, err)
	}
}

// listed is what a client reads of a page.
type listed struct {
	Pagination struct {
		Next *struct {
			Href string `json:"href"`
		} `json:"next"`
	} `json:"pagination"`
	Resources []struct {
		GUID    string            `json:"guid"`
		Running []json.RawMessage `json:"process_instances"`
	} `json:"resources"`
}

// cfApps sends what a client does, page after page.
func (w *world) cfApps(b *testing.B, older bool) {
	requests, processes, server := 0, 0, time.Duration(0)
	get := func(at string) (page listed) {
		began := time.Now()
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, at, http.NoBody)
		must(b, err)
		req.Header.Set("Authorization", "bearer "+w.token)
		res, err := http.DefaultClient.Do(req)
		must(b, err)
		body, err := io.ReadAll(res.Body)
		must(b, err)
		must(b, res.Body.Close())
		if res.StatusCode != http.StatusOK {
			b.Fatalf("%s: got %d %s", at, res.StatusCode, body)
		}
		server, requests = server+time.Since(began), requests+1
		must(b, json.Unmarshal(body, &page))
		return page
	}
	all := func(path string) (ids []string) {
		for at := w.url + path; at != ""; {
			p := get(at)
			for _, r := range p.Resources {
				ids = append(ids, r.GUID)
			}
			if at = ""; p.Pagination.Next != nil {
				at = p.Pagination.Next.Href
			}
		}
		return ids
	}
	batches := func(ids []string, do func(some string)) {
		for from := 0; from < len(ids); from += 200 {
			do(url.QueryEscape(strings.Join(ids[from:min(len(ids), from+200)], ",")))
		}
	}
	for b.Loop() {
		apps := all("/v3/apps?order_by=name&per_page=5000&space_guids=" + string(w.space.ID))
		if len(apps) != 1000 {
			b.Fatalf("got %d apps", len(apps))
		}
		if older {
			batches(apps, func(some string) {
				for _, p := range all("/v3/processes?app_guids=" + some) {
					processes++
					get(w.url + "/v3/processes/" + p + "/stats")
				}
			})
		} else {
			processes += len(all("/v3/processes?embed=process_instances&space_guids=" + string(w.space.ID)))
		}
		batches(apps, func(some string) { all("/v3/routes?app_guids=" + some) })
	}
	b.ReportMetric(float64(server.Microseconds())/1000/float64(b.N), "ms/server")
	b.ReportMetric(float64(requests)/float64(b.N), "requests")
	b.ReportMetric(float64(processes)/float64(b.N), "processes")
}
