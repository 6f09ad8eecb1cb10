package client

import (
	"context"
	"strconv"
	"time"
)

// Release is an image and a configuration, numbered, never changed.
type Release struct {
	ID        string            `json:"id"`
	Number    int               `json:"number"`
	Name      string            `json:"name" doc:"v42"`
	Image     string            `json:"image" doc:"repository@digest"`
	Snapshot  string            `json:"snapshot,omitempty" doc:"digest of the source it was built from"`
	Env       map[string]string `json:"env,omitempty" doc:"plain values, frozen; only for who may read settings"`
	Secrets   []string          `json:"secrets,omitempty" doc:"names of secret values; always the current ones"`
	Processes []Process         `json:"processes" doc:"web first"`
	Changes   []string          `json:"changes,omitempty" doc:"what differs from the release before, in words; only where the release is shown alone or that one is on the same page"`
	Reason    string            `json:"reason" doc:"push, set-env GREETING, rollback to v3"`
	By        string            `json:"by" doc:"who asked"`
	Current   bool              `json:"current,omitempty" doc:"this is what runs, or would if the app were started"`
	CreatedAt time.Time         `json:"created_at"`
}

// Rollback names the release to go back to.
type Rollback struct {
	Release string `json:"release,omitempty" maxLength:"64" doc:"v3, 3, or an id; absent: the one before the current"`
}

// ReleaseResult is the result of an operation that made a release: rollback,
// restart, start, a changed environment.
type ReleaseResult struct {
	App     string   `json:"app"`
	Release int      `json:"release"`
	URLs    []string `json:"urls,omitempty"`
	Took    Duration `json:"took"`
}

// Releases lists the app's releases, newest first.
func (a *InApp) Releases(ctx context.Context, p Page) (List[Release], error) {
	return list[Release](ctx, a.c, a.path+"/releases", p.query())
}

// Release returns a release by number ("v3", "3") or id.
func (a *InApp) Release(ctx context.Context, release string) (r Release, err error) {
	err = a.c.get(ctx, join(a.path+"/releases", release), nil, &r)
	return r, err
}

// Rollback makes a release equal to an old one and replaces what runs by it;
// 0 means the one before the current.
func (a *InApp) Rollback(ctx context.Context, number int) (Operation, error) {
	in := Rollback{}
	if number > 0 {
		in.Release = strconv.Itoa(number)
	}
	return a.act(ctx, "rollback", in)
}
