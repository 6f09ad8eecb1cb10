package api

import (
	"context"
	"io"

	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/packs"
	"naru/internal/source"
)

// Packs is where uploaded buildpacks are; *packs.Shelf is it.
type Packs interface {
	All(ctx context.Context) ([]source.Buildpack, error)
	One(ctx context.Context, id source.BuildpackID) (source.Buildpack, error)
	Named(ctx context.Context, name, stack string) (source.Buildpack, error)
	Create(ctx context.Context, by operation.Ask, c packs.Change) (source.Buildpack, error)
	Change(ctx context.Context, by operation.Ask, id source.BuildpackID, c packs.Change) (source.Buildpack, error)
	Delete(ctx context.Context, by operation.Ask, id source.BuildpackID) error
	Upload(ctx context.Context, by operation.Ask, id source.BuildpackID, filename string, r io.Reader) (source.Buildpack, error)
}

// buildpackRoutes are the routes of uploaded buildpacks: all spaces may use them,
// administrators change them.
func (s *server) buildpackRoutes() []Route {
	const one = "/v1/buildpacks/{buildpack}"
	return []Route{
		{get, "/v1/buildpacks", auth.PlatformRead, "List the uploaded buildpacks in their order", call(s.listBuildpacks)},
		{post, "/v1/buildpacks", auth.PlatformManage, "Make a buildpack that waits for its files", create(s.createBuildpack)},
		{get, one, auth.PlatformRead, "Get an uploaded buildpack", call(s.getBuildpack)},
		{patch, one, auth.PlatformManage, "Change an uploaded buildpack", call(s.changeBuildpack)},
		{put, one + "/files", auth.PlatformManage, "Give a buildpack its files, as an archive", uploads(call(s.fillBuildpack), client.TarGz, client.Tar, client.Zip)},
		{remove, one, auth.PlatformManage, "Forget an uploaded buildpack", done(s.deleteBuildpack)},
	}
}

// BuildpackPath names a buildpack; exported because huma looks into exported fields
// only.
type BuildpackPath struct {
	Buildpack string `path:"buildpack" maxLength:"250" doc:"buildpack, by name or id"`
	Stack     string `query:"stack" maxLength:"250" doc:"of the buildpack, where several have its name; none: the one that is made for any"`
}

func (s *server) findBuildpack(ctx context.Context, in BuildpackPath) (source.Buildpack, error) {
	return find(ctx, in.Buildpack, s.Packs.One, func() (source.Buildpack, error) { return s.Packs.Named(ctx, in.Buildpack, in.Stack) })
}

func buildpackOf(b source.Buildpack) client.Buildpack {
	return client.Buildpack{
		ID: string(b.ID), Name: b.Name, Stack: b.Stack, Position: b.Position, Enabled: b.Enabled, Locked: b.Locked, Digest: b.Digest,
		Filename: b.Filename, Refused: b.Error, CreatedAt: b.Created, UpdatedAt: b.Updated,
	}
}

func (s *server) listBuildpacks(ctx context.Context, _ *nothing) (client.List[client.Buildpack], error) {
	all, err := s.Packs.All(ctx)
	return whole(all, buildpackOf), err
}

func (s *server) getBuildpack(ctx context.Context, in *BuildpackPath) (client.Buildpack, error) {
	b, err := s.findBuildpack(ctx, *in)
	return buildpackOf(b), err
}

type newBuildpackInput struct{ Body client.NewBuildpack }

func (s *server) createBuildpack(ctx context.Context, in *newBuildpackInput) (client.Buildpack, error) {
	enabled := !in.Body.Disabled
	change := packs.Change{Name: &in.Body.Name, Enabled: &enabled, Locked: &in.Body.Locked}
	if in.Body.Stack != "" {
		change.Stack = &in.Body.Stack
	}
	if in.Body.Position != 0 {
		change.Position = &in.Body.Position
	}
	b, err := s.Packs.Create(ctx, requestOf(ctx).by(), change)
	return buildpackOf(b), err
}

type buildpackChangeInput struct {
	BuildpackPath
	Body client.BuildpackChange
}

func (s *server) changeBuildpack(ctx context.Context, in *buildpackChangeInput) (client.Buildpack, error) {
	b, err := s.findBuildpack(ctx, in.BuildpackPath)
	if err != nil {
		return client.Buildpack{}, err
	}
	b, err = s.Packs.Change(ctx, requestOf(ctx).by(), b.ID, packs.Change(in.Body))
	return buildpackOf(b), err
}

func (s *server) deleteBuildpack(ctx context.Context, in *BuildpackPath) error {
	b, err := s.findBuildpack(ctx, *in)
	if err != nil {
		return err
	}
	return s.Packs.Delete(ctx, requestOf(ctx).by(), b.ID)
}

type buildpackFilesInput struct {
	BuildpackPath
	uploadInput
	Filename string `query:"filename" maxLength:"255" doc:"of the archive, as people are shown it"`
}

func (s *server) fillBuildpack(ctx context.Context, in *buildpackFilesInput) (client.Buildpack, error) {
	kind := client.ArchiveType(in.kind)
	if kind != client.Tar && kind != client.TarGz && kind != client.Zip {
		return client.Buildpack{}, wrongType(in.kind, client.TarGz, client.Tar, client.Zip)
	}
	b, err := s.findBuildpack(ctx, in.BuildpackPath)
	if err != nil {
		return client.Buildpack{}, err
	}
	body, err := s.upload(&in.uploadInput)
	if err != nil {
		return client.Buildpack{}, err
	}
	filename := in.Filename
	if filename == "" {
		filename = b.Name + map[client.ArchiveType]string{client.Tar: ".tar", client.TarGz: ".tar.gz", client.Zip: ".zip"}[kind]
	}
	if b, err = s.Packs.Upload(ctx, requestOf(ctx).by(), b.ID, filename, body); err == nil {
		err = packs.Refused(b)
	}
	return buildpackOf(b), body.explain(err)
}
