package packs

import (
	"context"
	"errors"
	"io"
	"strings"

	"gopkg.in/yaml.v3"

	"naru/internal/fault"
	"naru/internal/source"
)

// taken is what an archive held.
type taken struct {
	digest string
	stack  string // that its manifest.yml names; "": none
}

// takeIn keeps the files of an archive and looks whether they are a buildpack.
func (s *Shelf) takeIn(ctx context.Context, filename string, r io.Reader) (taken, error) {
	in, err := s.contents.Begin(source.Buildpacks)
	if err != nil {
		return taken{}, err
	}
	defer in.Close()
	if err := in.AddArchive(ctx, r, filename, source.ArchiveOptions{Unpack: true}); err != nil {
		return taken{}, err
	}
	origin := source.Origin{Kind: source.Archive, Ref: filename}
	snap, err := in.Freeze(ctx, origin)
	if err != nil {
		return taken{}, err
	}
	files, err := s.contents.Load(ctx, source.Buildpacks, snap.Digest)
	if err != nil {
		return taken{}, err
	}
	laid := layOut(files)
	if err := works(laid); err != nil {
		return taken{}, err
	}
	stack, err := s.stackOf(laid)
	if err != nil {
		return taken{}, err
	}
	snap, err = s.contents.Freeze(ctx, source.Buildpacks, laid, origin)
	return taken{digest: snap.Digest, stack: stack}, err
}

// layOut makes a buildpack of the files of an archive: where all are in one folder
// it is that folder, and what is in bin can be executed, whatever the archive
// knows of that.
func layOut(files source.Manifest) source.Manifest {
	top := ""
	for _, f := range files {
		first, _, below := strings.Cut(f.Path, "/")
		if !below || first == "bin" || top != "" && top != first {
			top = ""
			break
		}
		top = first
	}
	out := make(source.Manifest, len(files))
	for i, f := range files {
		if top != "" {
			f.Path = strings.TrimPrefix(f.Path, top+"/")
		}
		if strings.HasPrefix(f.Path, "bin/") && !f.IsLink() {
			f.Mode = source.Executable
		}
		out[i] = f
	}
	return out
}

// works refuses what no build could begin with.
func works(files source.Manifest) error {
	for _, f := range files {
		if f.Path == "bin/supply" || f.Path == "bin/finalize" || f.Path == "bin/compile" {
			return nil
		}
	}
	return fault.New(fault.Invalid, string(source.NoBuildpack), "it holds neither bin/supply nor bin/finalize nor bin/compile")
}

// mostManifest bounds the manifest.yml of a buildpack, which lists everything that
// it can download.
const mostManifest = 4 << 20

// stackOf is the stack for which a buildpack says it is made.
func (s *Shelf) stackOf(files source.Manifest) (string, error) {
	for _, f := range files {
		if f.Path != "manifest.yml" || f.IsLink() {
			continue
		}
		if f.Size > mostManifest {
			return "", fault.New(fault.Invalid, string(source.NoBuildpack), "its manifest.yml has more than %d MiB", mostManifest>>20)
		}
		r, err := s.contents.Content(source.Buildpacks, f.SHA256)
		if err != nil {
			return "", err
		}
		defer r.Close()
		var said struct {
			Stack string `yaml:"stack"`
		}
		if err := yaml.NewDecoder(r).Decode(&said); err != nil && !errors.Is(err, io.EOF) {
			return "", fault.New(fault.Invalid, string(source.NoBuildpack), "its manifest.yml is no YAML that can be read")
		}
		if said.Stack != "" && !Stack(said.Stack) {
			return "", fault.New(fault.Invalid, string(source.StackUnknown), "its manifest.yml is for the stack '%s', which there is not", said.Stack)
		}
		return said.Stack, nil
	}
	return "", nil
}

// Stack reports whether classic buildpacks can be made for a stack: those of Cloud
// Foundry's Linux.
func Stack(name string) bool {
	rest, ok := strings.CutPrefix(name, "cflinuxfs")
	return ok && rest != "" && strings.Trim(rest, "0123456789") == ""
}
