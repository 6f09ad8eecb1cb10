package deliver

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"naru/internal/app"
	"naru/internal/app/manifest"
	"naru/internal/build"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/source"
)

// usualStack is for whom classic buildpacks are made where nobody says.
const usualStack = "cflinuxfs4"

// recipeOf says how a tree is built: with the buildpacks that are named where one of
// them was uploaded or is a repository, else with one of naru's builders; a tree
// that none of those recognises is for the uploaded buildpacks that know it.
func (s *Service) recipeOf(ctx context.Context, space app.SpaceID, tree fs.FS, in client.BuildSettings, opts build.Options) (build.Recipe, error) {
	have, err := s.store.Buildpacks(ctx)
	if err != nil {
		return build.Recipe{}, err
	}
	names := in.Buildpacks
	if len(names) == 0 && in.Builder != "" && uploaded(have, in.Builder) {
		names = []string{in.Builder}
	}
	if !slices.ContainsFunc(names, func(name string) bool { return manifest.Repository(name) || uploaded(have, name) }) {
		var asked []build.Buildpack
		if in.Dockerfile == "" && in.Builder == "" {
			asked = askable(have, cmp.Or(in.Stack, usualStack))
		}
		return own(tree, names, asked, opts)
	}
	if in.Builder != "" && !slices.ContainsFunc(names, func(name string) bool { return standsFor(name, in.Builder) }) {
		return build.Recipe{}, fault.New(fault.Invalid, "builder", "a builder and buildpacks exclude each other").WithTry("name one of them")
	}
	var packs []build.Buildpack
	for _, name := range names {
		p, err := s.buildpack(ctx, space, have, name, cmp.Or(in.Stack, usualStack))
		if err != nil {
			return build.Recipe{}, err
		}
		packs = append(packs, p)
	}
	opts.Builder = ""
	return build.Classic(tree, packs, opts)
}

// own is the recipe of one of naru's builders. asked are the buildpacks that may
// stand in where nobody chose one and none recognises the tree.
func own(tree fs.FS, names []string, asked []build.Buildpack, opts build.Options) (build.Recipe, error) {
	var hints []build.Hint
	for _, name := range names {
		builder, known := manifest.BuilderOf(name)
		bare, _, _ := strings.Cut(name, ",")
		switch {
		case builder == "" && slices.ContainsFunc(build.Builders(), func(b build.Info) bool { return b.Name == bare }):
			builder = name
		case !known:
			hints = append(hints, build.Hint{Message: fmt.Sprintf("there is no buildpack %q; the source tree decides", name), Try: "naru builders"})
			continue
		}
		if opts.Builder == "" {
			opts.Builder = builder
		}
	}
	r, err := build.Detect(tree, opts)
	if len(asked) > 0 && opts.Builder == "" && build.Unrecognised(err) {
		hints = append(hints, build.Hint{Message: fault.Of(err).Message})
		r, err = build.Detected(tree, asked, opts)
	}
	r.Warnings = append(hints, r.Warnings...)
	return r, err
}

// standsFor reports whether a manifest's name of a buildpack is why a builder was
// named.
func standsFor(name, builder string) bool {
	of, known := manifest.BuilderOf(name)
	return name == builder || known && of == builder
}

func uploaded(have []source.Buildpack, name string) bool {
	return slices.ContainsFunc(have, func(b source.Buildpack) bool { return b.Name == name })
}

// askable are the uploaded buildpacks that may be asked whether a tree is theirs, in
// their order; of those with one name only the first that fits.
func askable(have []source.Buildpack, stack string) []build.Buildpack {
	var out []build.Buildpack
	seen := map[string]bool{}
	for _, b := range have {
		if seen[b.Name] || !b.Ready() {
			continue
		}
		if b, err := choose(have, b.Name, stack); err == nil {
			out = append(out, build.Buildpack{Name: b.Name, Digest: b.Digest, Uploaded: true})
			seen[b.Name] = true
		}
	}
	return out[:min(len(out), build.MaxDetected)]
}

// choose finds the uploaded buildpack with a name that builds for a stack: the one
// made for it, else one that is made for any.
func choose(have []source.Buildpack, name, stack string) (source.Buildpack, error) {
	var last error
	for _, want := range []string{stack, ""} {
		for _, b := range have {
			switch {
			case b.Name != name || b.Stack != want:
			case !b.Enabled:
				last = fault.New(fault.Conflict, "buildpacks", "the buildpack %s is disabled", name).WithTry("naru buildpack set %s --enable", name)
			case b.Digest == "":
				last = fault.New(fault.Conflict, "buildpacks", "the buildpack %s has no files yet", name).WithTry("naru buildpack set %s --path PATH", name)
			default:
				return b, nil
			}
		}
	}
	if last == nil {
		last = fault.New(fault.Invalid, "buildpacks", "no buildpack %s is made for the stack %s", name, stack).WithTry("naru builders")
	}
	return source.Buildpack{}, last
}

// buildpack finds a buildpack by its name; the files of a repository are frozen, so
// that what a build used is known to the file.
func (s *Service) buildpack(ctx context.Context, space app.SpaceID, have []source.Buildpack, name, stack string) (build.Buildpack, error) {
	switch {
	case uploaded(have, name):
		b, err := choose(have, name, stack)
		return build.Buildpack{Name: b.Name, Digest: b.Digest, Uploaded: true}, err
	case !manifest.Repository(name):
		return build.Buildpack{}, fault.New(fault.Invalid, "buildpacks", "%q was not uploaded: only uploaded buildpacks and repositories work together", name).
			WithTry("naru builders")
	}
	url, ref, _ := strings.Cut(name, "#")
	snap, err := s.git.Clone(ctx, space, url, ref, "", func(string) {})
	if err != nil {
		return build.Buildpack{}, err
	}
	snap, err = s.store.AddSnapshot(ctx, snap)
	return build.Buildpack{Name: packName(snap.Origin), Digest: snap.Digest}, err
}

// packName is a buildpack for people: where it is from, and which commit.
func packName(o source.Origin) string {
	return o.URL + "#" + o.Commit[:min(10, len(o.Commit))]
}

// unpack lays buildpacks out below a folder.
func (s *Service) unpack(ctx context.Context, space app.SpaceID, packs []build.Buildpack, dir string) error {
	for i := range packs {
		snap := source.Snapshot{Space: source.Buildpacks, Digest: packs[i].Digest}
		if !packs[i].Uploaded {
			var err error
			if snap, err = s.snapshot(ctx, space, packs[i].Digest); err != nil {
				return err
			}
		}
		packs[i].Dir = filepath.Join(dir, "buildpack-"+strconv.Itoa(i))
		if err := os.Mkdir(packs[i].Dir, 0o700); err != nil {
			return fmt.Errorf("make folder of buildpack: %w", err)
		}
		if err := s.sources.Checkout(ctx, snap, packs[i].Dir); err != nil {
			return err
		}
	}
	return nil
}
