// Package artifact keeps images by digest: what they are called, what they hold,
// how long they stay.
package artifact

import (
	"regexp"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
)

// Ref names an image for ever: a repository path in naru's registry and a
// digest. It has no host, for that changes with configuration and is added when
// the image is fetched.
type Ref struct {
	Repository string // "default/dev/shop"
	Digest     string // "sha256:..." of the manifest
}

var (
	repositoryOK = regexp.MustCompile(`^[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)
	digestOK     = regexp.MustCompile(`^sha256:[a-f0-9]{64}$`)
)

// ParseRef reads "repository@sha256:...".
func ParseRef(s string) (Ref, error) {
	repo, digest, ok := strings.Cut(s, "@")
	if !ok || len(repo) > 255 || !repositoryOK.MatchString(repo) || !digestOK.MatchString(digest) {
		return Ref{}, fault.New(fault.Invalid, "image", "%q is not repository@sha256:digest", s)
	}
	return Ref{repo, digest}, nil
}

// String is the form that ParseRef reads.
func (r Ref) String() string { return r.Repository + "@" + r.Digest }

// At is the reference a registry client uses.
func (r Ref) At(host string) string { return host + "/" + r.String() }

// Short is the digest as listings show it.
func (r Ref) Short() string {
	hex := strings.TrimPrefix(r.Digest, "sha256:")
	return hex[:min(12, len(hex))]
}

// IsZero reports that no image is named.
func (r Ref) IsZero() bool { return r == Ref{} }

// ID identifies an image of an app.
type ID string

// Image is what a build made, or what --image named: an image in the registry
// and the process types found in it.
type Image struct {
	ID         ID
	App        app.ID
	Ref        Ref
	Snapshot   string        // digest of the source, "" for --image
	RecipeKey  string        // equal keys give equal images; "" for --image
	Origin     string        // what was found ("node 22, npm"), or the reference of --image
	Foundation string        // the image it stands on, with digest, "" where unknown
	Processes  []app.Process // as found: Procfile, recipe, image configuration
	Bytes      int64         // compressed size of all layers
	Created    time.Time
}
