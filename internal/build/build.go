// Package build turns a frozen source tree into an image. Detect looks at the
// tree and writes a Recipe, which people may read before anything runs; a
// Builder carries it out. Behaviour around a builder (cache, limits, logging)
// is added by wrapping.
package build

import (
	"context"

	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/secret"
)

// Builder carries out a request. A failure of the user's own command is a
// fault of kind Failed whose message names the command, its exit code and its
// last lines.
type Builder interface {
	Build(ctx context.Context, req Request) (Result, error)
}

// Request is one build.
type Request struct {
	App            app.ID
	Recipe         Recipe
	Dir            string      // the snapshot, checked out; read only, never written
	SnapshotDigest string      // of the snapshot, "sha256:..."
	Space          app.SpaceID // caches belong to it
	Foundations    Resolved    // filled by Resolving; empty for a Dockerfile
	Target         Target
	SourceCommit   string            // for a label; "" when the source is no commit
	SourceTime     time.Time         // of the commit, for the files in the image; zero: 1970
	Fresh          bool              // ignore what earlier builds left, but the downloads of naru's builders
	Cache          string            // which caches it has: those of the space, or of an app whose caches were emptied; part of the key
	Timeout        time.Duration     // of the whole build; 0: DefaultTimeout
	Env            map[string]string // seen by the commands of the build; stays out of the image, is part of the key
	Secrets        map[string]secret.Secret
	Handed         map[string]secret.Secret // to buildpacks alone: what is not part of the key
	MemoryMiB      int                      // of an instance, to buildpacks alone; 0: what is usual
	Stack          string                   // to buildpacks alone; "": the usual one
	Bound          string                   // to buildpacks alone: what services are bound and how old, which is part of the key
	Mirrors        Mirrors
	Progress       func(Event) // called from one goroutine at a time; nil: nobody listens
}

// DefaultTimeout ends a build that nobody limited.
const DefaultTimeout = 20 * time.Minute

// Target is the repository that receives the image.
type Target struct {
	Registry   string        // host:port of naru's registry
	Repository string        // "default/dev/shop"
	User       string        // may be empty
	Token      secret.Secret // allowed to push to Repository and to pull foundations
	Insecure   bool          // plain http; loopback only
}

// Mirrors are what the operator of a machine says about the network around it.
// They are seen by the commands of a build and enter neither the image nor the
// recipe key.
type Mirrors struct {
	CABundle   string // path of a PEM file, given to every tool; "": the foundation's own
	NPM        string // URL of an npm registry
	GoProxy    string // GOPROXY
	GoSumDB    string // GOSUMDB
	PyPI       string // URL of a PEP 503 index
	Maven      string // URL of a repository that stands in for all
	HTTPProxy  string
	HTTPSProxy string
	NoProxy    string
}

// Result is a built image.
type Result struct {
	Ref        artifact.Ref
	RecipeKey  string
	Foundation string        // reference of the run foundation with digest, "" for a Dockerfile
	Origin     string        // what built it, where only the build knew; "": as the recipe found
	Processes  []app.Process // the recipe's; for a Dockerfile, what its image says
	Bytes      int64         // compressed size of all layers
	Layers     []ResultLayer
	Cached     bool          // no build ran: an equal recipe key was built before
	Steps      StepCount     // how many steps ran, and how many were remembered
	Took       time.Duration //
	Warnings   []Hint        // what only the build could see
}

// ResultLayer is one layer of a built image.
type ResultLayer struct {
	Digest string
	Bytes  int64
	Name   string // "foundation", "dependencies", "application", or the Dockerfile's line
}

// StepCount counts the steps of a build.
type StepCount struct{ Total, Cached int }

// Foundations finds the images that builds stand on. Package bake keeps naru's
// own in the registry; any other OCI reference may be used instead.
type Foundations interface {
	// Resolve returns the image of a name ("node:22") or of an image reference
	// ("registry.example.com/base:1"). An unknown name or version is a fault that
	// lists what there is.
	Resolve(ctx context.Context, name string) (Foundation, error)
}

// Foundation is an image that builds stand on.
type Foundation struct {
	Name   string // as asked for
	Ref    string // host/repository@sha256:..., as buildkitd reaches it
	Digest string // of the manifest
	ABI    string // "node=127,glibc=2.41", compared between build and run; "" where unknown
	Tini   bool   // has /usr/bin/tini
}

// Resolved are the two foundations of a recipe, or those that a Dockerfile names.
type Resolved struct {
	Build, Run Foundation
	Named      map[string]Foundation // by name, for a Dockerfile
}
