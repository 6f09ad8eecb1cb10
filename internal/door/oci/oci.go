// Package oci is the image registry that docker, skopeo, crane and container
// engines speak to: distribution's handlers behind naru's own tokens, on naru's
// own disk.
package oci

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"

	"naru/internal/artifact"
)

// Config says how the registry runs. Zero fields mean the default.
type Config struct {
	Dir           string            // where images are kept
	Key           *ecdsa.PrivateKey // P-256; signs tokens
	URL           string            // as clients reach it, "https://registry.example.com"; "" takes it from each request
	MaxLayerBytes int64             // of one blob; 10 GiB
	TokenLife     time.Duration     // of a token for clients; 5 minutes

	// Kept lists the images that releases, apps and foundations need. A client
	// cannot delete one of them. nil keeps none.
	Kept func(ctx context.Context) iter.Seq2[artifact.Ref, error]
}

// Defaults of Config.
const (
	DefaultMaxLayerBytes = 10 << 30
	DefaultTokenLife     = 5 * time.Minute
)

// Registry is the door. It is an http.Handler for /v2/ and below.
type Registry struct {
	cfg   Config
	auth  Authorizer
	log   *slog.Logger
	app   *handlers.App
	token tokens
	gate  gate
}

var _ artifact.Shelf = (*Registry)(nil)

// New wires a registry over a directory, which is made if it is not there. It
// makes no connection and needs no stop; distribution leaves one idle goroutine,
// which has no work without notification targets.
func New(cfg Config, auth Authorizer, log *slog.Logger) (*Registry, error) {
	cfg.MaxLayerBytes = cmp.Or(cfg.MaxLayerBytes, DefaultMaxLayerBytes)
	cfg.TokenLife = cmp.Or(cfg.TokenLife, DefaultTokenLife)
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	secret, err := uploadSecret(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	r := &Registry{cfg: cfg, auth: auth, log: log, token: tokens{key: cfg.Key, life: cfg.TokenLife}}
	plugIn()
	dc := &configuration.Configuration{
		Storage: configuration.Storage{
			pluggedName: configuration.Parameters{"driver": newDriver(cfg.Dir, cfg.MaxLayerBytes)},
			"delete":    configuration.Parameters{"enabled": true},
			"redirect":  configuration.Parameters{"disable": true},
			// Uploads that were given up are removed with other rubbish, by Remove.
			"maintenance": configuration.Parameters{"uploadpurging": map[any]any{"enabled": false}},
		},
		Auth: configuration.Auth{pluggedName: configuration.Parameters{"controller": (*access)(r)}},
	}
	dc.HTTP.Secret = secret
	dc.HTTP.RelativeURLs = true // it is reached under several names
	// Images of one platform only are copied out of their index.
	dc.Validation.Manifests.Indexes.Platforms = "none"
	r.app = handlers.NewApp(context.Background(), dc)
	return r, nil
}

// uploadSecret signs the state of an upload, which clients hold. It comes from
// the key so that an upload goes on after a restart.
func uploadSecret(key *ecdsa.PrivateKey) (string, error) {
	b, err := key.Bytes()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append([]byte("naru registry upload state\x00"), b...))
	return hex.EncodeToString(sum[:]), nil
}

// aBlob is the path of a single blob; the name before it is not looked at.
var aBlob = regexp.MustCompile(`/blobs/[a-z0-9+._-]+:[0-9a-fA-F]+$`)

// ServeHTTP answers one request.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	start := time.Now()
	x := &exchange{ResponseWriter: w, registry: r}
	req = req.WithContext(context.WithValue(req.Context(), exchangeKey{}, x))
	r.route(x, req)
	level := slog.LevelDebug
	if x.status >= 500 {
		level = slog.LevelWarn
	}
	r.log.Log(req.Context(), level, "registry request", "method", req.Method, "path", req.URL.Path,
		"status", x.status, "user", x.user, "took", time.Since(start))
}

func (r *Registry) route(x *exchange, req *http.Request) {
	x.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
	switch {
	case req.URL.Path == "/v2/token":
		r.serveToken(x, req)
	case req.URL.Path == "/v2/_catalog":
		r.serveCatalog(x, req)
	case req.Method == http.MethodDelete && aBlob.MatchString(req.URL.Path):
		// A blob may be part of an image that a release needs; what nobody needs
		// is removed by the garbage collection.
		x.refuse(http.StatusMethodNotAllowed, "UNSUPPORTED", "blobs are removed by naru itself; delete the manifest or the tag")
	case isRead(req.Method):
		r.app.ServeHTTP(x, req)
	default:
		r.write(x, req)
	}
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// write lets a change through unless garbage is being collected.
func (r *Registry) write(x *exchange, req *http.Request) {
	if !r.gate.enter() {
		x.Header().Set("Retry-After", "5")
		x.refuse(http.StatusServiceUnavailable, "UNAVAILABLE", "the registry is clearing up; try again in a few seconds")
		return
	}
	if req.Method == http.MethodPatch {
		// A PATCH fills an upload's own file, which a collection leaves alone: a
		// slow one must not hold a collection up.
		r.gate.leave()
	} else {
		defer r.gate.leave()
	}
	r.app.ServeHTTP(x, req)
}
