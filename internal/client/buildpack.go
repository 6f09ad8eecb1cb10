package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Buildpack is a classic buildpack that somebody uploaded.
type Buildpack struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Stack     string    `json:"stack,omitempty" doc:"for which it is made; absent: any. A name may be there once for each stack"`
	Position  int       `json:"position" doc:"in the order in which buildpacks are asked, from 1 on"`
	Enabled   bool      `json:"enabled" doc:"builds may use it"`
	Locked    bool      `json:"locked" doc:"its files stay as they are"`
	Digest    string    `json:"digest,omitempty" doc:"of its files; absent before they are there"`
	Filename  string    `json:"filename,omitempty" doc:"of the archive that its files came in"`
	Refused   string    `json:"refused,omitempty" doc:"why the files that came last were not taken; those before them stay"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// NewBuildpack is a buildpack to be made; its files come after it.
type NewBuildpack struct {
	Name     string `json:"name" minLength:"1" maxLength:"250" doc:"letters, digits, underscores and hyphens"`
	Stack    string `json:"stack,omitempty" maxLength:"250" doc:"for which it is made; absent: what its manifest.yml says, else any"`
	Position int    `json:"position,omitempty" minimum:"0" doc:"among the buildpacks, from 1 on; absent: the first"`
	Disabled bool   `json:"disabled,omitempty" doc:"builds may not use it yet"`
	Locked   bool   `json:"locked,omitempty" doc:"no files are taken until it is unlocked"`
}

// BuildpackChange changes a buildpack; what is absent stays.
type BuildpackChange struct {
	Name     *string `json:"name,omitempty" maxLength:"250" doc:"another name"`
	Stack    *string `json:"stack,omitempty" maxLength:"250" doc:"of one that is made for any"`
	Position *int    `json:"position,omitempty" minimum:"1" doc:"others make room"`
	Enabled  *bool   `json:"enabled,omitempty" doc:"builds may use it"`
	Locked   *bool   `json:"locked,omitempty" doc:"its files stay as they are"`
}

// PickedBuildpack names a buildpack: by id, or by name and, where there are several
// of that name, by stack ("none": the one that is made for any).
type PickedBuildpack struct{ Name, Stack string }

func (p PickedBuildpack) path(more ...string) string {
	return join("/v1/buildpacks", append([]string{p.Name}, more...)...)
}

func (p PickedBuildpack) query() url.Values {
	q := url.Values{}
	set(q, "stack", p.Stack)
	return q
}

// Buildpacks lists the uploaded buildpacks in their order.
func (c *Client) Buildpacks(ctx context.Context) ([]Buildpack, error) {
	l, err := list[Buildpack](ctx, c, "/v1/buildpacks", nil)
	return l.Items, err
}

// Buildpack returns an uploaded buildpack.
func (c *Client) Buildpack(ctx context.Context, p PickedBuildpack) (b Buildpack, err error) {
	err = c.get(ctx, p.path(), p.query(), &b)
	return b, err
}

// CreateBuildpack makes a buildpack that waits for its files.
func (c *Client) CreateBuildpack(ctx context.Context, in NewBuildpack) (b Buildpack, err error) {
	err = c.post(ctx, "/v1/buildpacks", in, &b)
	return b, err
}

// ChangeBuildpack changes a buildpack.
func (c *Client) ChangeBuildpack(ctx context.Context, p PickedBuildpack, in BuildpackChange) (b Buildpack, err error) {
	err = c.do(ctx, call{method: http.MethodPatch, path: p.path(), query: p.query(), in: in}, &b)
	return b, err
}

// DeleteBuildpack forgets a buildpack; what was built with it runs on.
func (c *Client) DeleteBuildpack(ctx context.Context, p PickedBuildpack) error {
	return c.do(ctx, call{method: http.MethodDelete, path: p.path(), query: p.query()}, nil)
}

// UploadBuildpack gives a buildpack its files, out of an archive that people know
// by filename. Files that cannot be used are an Invalid fault, and those before
// them stay.
func (c *Client) UploadBuildpack(ctx context.Context, p PickedBuildpack, kind ArchiveType, filename string, archive io.Reader) (b Buildpack, err error) {
	q := p.query()
	set(q, "filename", filename)
	err = c.do(ctx, call{method: http.MethodPut, path: p.path("files"), query: q, body: archive, kind: string(kind)}, &b)
	return b, err
}
