package buildkit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	bkclient "github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth"
	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"naru/internal/build"
	"naru/internal/fault"
)

// Names of the folders that a build may ask this process for.
const (
	sourceMount     = "source"
	serverMount     = "server"
	contextMount    = "context"    // what the reader of Dockerfiles calls the source
	dockerfileMount = "dockerfile" // and the folder of the Dockerfile
)

// solveOptions are everything of a build but its graph.
func (b *Builder) solveOptions(req build.Request) (bkclient.SolveOpt, error) {
	source, err := sourceFS(req.Dir)
	if err != nil {
		return bkclient.SolveOpt{}, err
	}
	secrets, err := secretStore(req)
	if err != nil {
		return bkclient.SolveOpt{}, err
	}
	opt := bkclient.SolveOpt{
		LocalMounts: map[string]fsutil.FS{sourceMount: source},
		// Equal keys let the daemon compare times and sizes only, and a checkout may
		// give a changed file the old time: only equal snapshots share a key.
		SharedKey: req.SnapshotDigest,
		Session:   []session.Attachable{credentials{target: req.Target}, secrets},
		Exports: []bkclient.ExportEntry{{Type: bkclient.ExporterImage, Attrs: map[string]string{
			"name":              req.Target.Registry + "/" + req.Target.Repository,
			"push":              "true",
			"push-by-digest":    "true",
			"name-canonical":    "true",
			"store":             "false",
			"registry.insecure": fmt.Sprint(req.Target.Insecure),
			"oci-mediatypes":    "true",
			"compression":       "zstd",
			"compression-level": "1",
		}}},
	}
	if req.Recipe.Dockerfile != nil {
		return dockerfileOptions(opt, req)
	}
	if err := packMounts(req, opt.LocalMounts); err != nil {
		return bkclient.SolveOpt{}, err
	}
	if !usesServer(req.Recipe) {
		return opt, nil
	}
	server, err := b.serverFS()
	if err != nil {
		return bkclient.SolveOpt{}, err
	}
	opt.LocalMounts[serverMount] = server
	return opt, nil
}

// sourceFS is a checked-out snapshot without git's folder. Files belong to root
// whoever runs naru, so that equal trees give equal layers.
func sourceFS(dir string) (fsutil.FS, error) {
	fs, err := fsutil.NewFS(dir)
	if err != nil {
		return nil, fmt.Errorf("open source %s: %w", dir, err)
	}
	return fsutil.NewFilterFS(fs, &fsutil.FilterOpt{
		ExcludePatterns: []string{".git"},
		Map: func(_ string, st *fstypes.Stat) fsutil.MapResult {
			st.Uid, st.Gid = 0, 0
			return fsutil.MapResultKeep
		},
	})
}

func usesServer(r build.Recipe) bool {
	for _, l := range r.Layers {
		if l.Static {
			return true
		}
	}
	return false
}

// serverFS holds the file server alone.
func (b *Builder) serverFS() (fsutil.FS, error) {
	path := b.opts.StaticServer
	if info, err := os.Stat(path); path == "" || err != nil || !info.Mode().IsRegular() {
		return nil, fault.New(fault.Unsupported, "", "the program naru-static, which serves static sites, is not installed at %q", path).
			WithTry("install naru's helper programs beside it, or use a Dockerfile")
	}
	fs, err := fsutil.NewFS(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return fsutil.NewFilterFS(fs, &fsutil.FilterOpt{
		IncludePatterns: []string{filepath.Base(path)},
		Map: func(_ string, st *fstypes.Stat) fsutil.MapResult {
			st.Uid, st.Gid = 0, 0
			return fsutil.MapResultKeep
		},
	})
}

// dockerfileOptions hand the tree to BuildKit's own reader of Dockerfiles.
func dockerfileOptions(opt bkclient.SolveOpt, req build.Request) (bkclient.SolveOpt, error) {
	d := req.Recipe.Dockerfile
	opt.LocalMounts[contextMount] = opt.LocalMounts[sourceMount]
	opt.LocalMounts[dockerfileMount] = opt.LocalMounts[sourceMount]
	opt.FrontendAttrs = map[string]string{
		"filename": d.Path,
		// A command line of its own keeps the reader from fetching the image of a
		// "# syntax=" line.
		"cmdline":                                 "naru",
		"build-arg:BUILDKIT_CACHE_MOUNT_NS":       cacheScope(req),
		"label:org.opencontainers.image.revision": req.SourceCommit,
	}
	if req.SourceCommit == "" {
		delete(opt.FrontendAttrs, "label:org.opencontainers.image.revision")
	}
	if d.Target != "" {
		opt.FrontendAttrs["target"] = d.Target
	}
	if req.Fresh {
		opt.FrontendAttrs["no-cache"] = ""
	}
	for name, value := range d.Args {
		if strings.HasPrefix(name, "BUILDKIT_") {
			return opt, fault.New(fault.Invalid, "build_args", "%s is not for Dockerfiles to set", name)
		}
		opt.FrontendAttrs["build-arg:"+name] = value
	}
	for name, f := range req.Foundations.Named {
		opt.FrontendAttrs["context:"+build.FoundationPrefix+name] = "docker-image://" + f.Ref
	}
	for name, value := range proxies(req.Mirrors) {
		opt.FrontendAttrs["build-arg:"+name] = value
	}
	return opt, nil
}

// credentials answer the daemon when the registry asks who is there. They are
// given to naru's own registry only.
type credentials struct {
	auth.UnimplementedAuthServer
	target build.Target
}

// Register adds the service to the build's session.
func (c credentials) Register(s *grpc.Server) { auth.RegisterAuthServer(s, c) }

// Credentials returns the token for the target registry and nothing for others.
func (c credentials) Credentials(_ context.Context, req *auth.CredentialsRequest) (*auth.CredentialsResponse, error) {
	if req.Host != c.target.Registry || c.target.Token.IsZero() {
		return &auth.CredentialsResponse{}, nil
	}
	user := c.target.User
	if user == "" {
		user = "naru"
	}
	return &auth.CredentialsResponse{Username: user, Secret: c.target.Token.Reveal()}, nil
}

// GetTokenAuthority makes the daemon fetch tokens itself, with Credentials.
func (credentials) GetTokenAuthority(context.Context, *auth.GetTokenAuthorityRequest) (*auth.GetTokenAuthorityResponse, error) {
	return nil, status.Error(codes.Unavailable, "no token authority")
}
