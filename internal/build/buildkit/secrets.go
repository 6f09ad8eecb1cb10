package buildkit

import (
	"context"
	"encoding/xml"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets"
	"github.com/moby/buildkit/session/secrets/secretsprovider"

	"naru/internal/app"
	"naru/internal/build"
	"naru/internal/fault"
)

// Where commands of a build find what the operator says about the network.
const (
	caPath       = "/run/naru/ca.pem"
	settingsPath = "/home/app/.m2/settings.xml" // where Maven looks by itself
)

const maxSecret = 500 << 10 // bytes; the daemon refuses more

// mirrorEnv are the variables that carry mirrors and the bundle into commands.
// Every step names all of them, set or not, so that an operator's settings never
// change what is remembered.
var mirrorEnv = []string{
	"CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "GOPROXY", "GOSUMDB",
	"HTTPS_PROXY", "HTTP_PROXY", "NODE_EXTRA_CA_CERTS", "NO_PROXY",
	"PIP_CERT", "PIP_INDEX_URL", "PIP_TRUSTED_HOST", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE",
	"YARN_REGISTRY", "http_proxy", "https_proxy", "no_proxy", "npm_config_cafile", "npm_config_registry",
}

// mirrorValues gives the variables their values; those without one are left out.
func mirrorValues(m build.Mirrors) map[string]string {
	out := proxies(m)
	set := func(value string, names ...string) {
		if value == "" {
			return
		}
		for _, name := range names {
			out[name] = value
		}
	}
	if m.CABundle != "" {
		set(caPath, "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "npm_config_cafile")
	}
	set(m.NPM, "npm_config_registry", "YARN_REGISTRY")
	set(m.GoProxy, "GOPROXY")
	set(m.GoSumDB, "GOSUMDB")
	set(m.PyPI, "PIP_INDEX_URL")
	if u, err := url.Parse(m.PyPI); err == nil && u.Scheme == "http" {
		set(u.Host, "PIP_TRUSTED_HOST")
	}
	return out
}

// proxies are the variables that the daemon itself keeps out of images.
func proxies(m build.Mirrors) map[string]string {
	out := map[string]string{}
	for name, value := range map[string]string{"HTTP_PROXY": m.HTTPProxy, "HTTPS_PROXY": m.HTTPSProxy, "NO_PROXY": m.NoProxy} {
		if value != "" {
			out[name], out[strings.ToLower(name)] = value, value
		}
	}
	return out
}

// secretMounts are the run options that bring mirrors and the declared secrets
// into a command.
func secretMounts(req build.Request) []llb.RunOption {
	opts := []llb.RunOption{
		llb.AddSecret(caPath, llb.SecretID("mirror/ca"), llb.SecretOptional, llb.SecretFileOpt(userID, userID, 0o444)),
		llb.AddSecret(settingsPath, llb.SecretID("mirror/maven"), llb.SecretOptional, llb.SecretFileOpt(userID, userID, 0o444)),
	}
	for _, name := range mirrorEnv {
		opts = append(opts, llb.AddSecret(name, llb.SecretID("mirror/env/"+name), llb.SecretOptional, llb.SecretAsEnv(true)))
	}
	for _, name := range slices.Sorted(maps.Keys(req.Secrets)) {
		opts = append(opts, llb.AddSecret(name, llb.SecretID("declared/"+name), llb.SecretAsEnv(true)))
	}
	return opts
}

// secretStore answers the daemon's questions for the mounts.
func secretStore(req build.Request) (session.Attachable, error) {
	store := secretMap{}
	for name, value := range mirrorValues(req.Mirrors) {
		store["mirror/env/"+name] = []byte(value)
	}
	for name, value := range req.Secrets {
		if err := app.CheckEnvName("secrets", name); err != nil {
			return nil, err
		}
		// A Dockerfile asks by the bare name: RUN --mount=type=secret,id=NAME.
		store["declared/"+name], store[name] = []byte(value.Reveal()), []byte(value.Reveal())
	}
	for name, value := range req.Handed {
		store["handed/"+name] = []byte(value.Reveal())
	}
	if m := req.Mirrors; m.CABundle != "" {
		pem, err := os.ReadFile(m.CABundle)
		if err != nil {
			return nil, fault.New(fault.Invalid, "ca_bundle", "the CA bundle %s cannot be read", m.CABundle).WithCause(err)
		}
		if len(pem) > maxSecret {
			return nil, fault.New(fault.TooLarge, "ca_bundle", "the CA bundle %s has %d KiB, at most %d are allowed", m.CABundle, len(pem)>>10, maxSecret>>10)
		}
		store["mirror/ca"] = pem
	}
	if req.Mirrors.Maven != "" {
		settings, err := mavenSettings(req.Mirrors.Maven)
		if err != nil {
			return nil, err
		}
		store["mirror/maven"] = settings
	}
	return secretsprovider.NewSecretProvider(store), nil
}

// secretMap is a secret store in memory.
type secretMap map[string][]byte

// GetSecret returns a secret or the error that makes an optional one absent.
func (m secretMap) GetSecret(_ context.Context, id string) ([]byte, error) {
	value, ok := m[id]
	if !ok {
		return nil, fmt.Errorf("%s: %w", id, secrets.ErrNotFound)
	}
	return value, nil
}

// mavenSettings make one repository stand in for all.
func mavenSettings(repository string) ([]byte, error) {
	type mirror struct {
		ID       string `xml:"id"`
		MirrorOf string `xml:"mirrorOf"`
		URL      string `xml:"url"`
		Blocked  bool   `xml:"blocked"`
	}
	out, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"settings"`
		Mirrors []mirror `xml:"mirrors>mirror"`
	}{Mirrors: []mirror{{"naru", "*", repository, false}}})
	if err != nil {
		return nil, fmt.Errorf("write maven settings: %w", err)
	}
	return out, nil
}

// cacheScope keeps the writable caches of spaces apart, so that none can poison
// another's. An app whose caches were emptied has its own from then on.
func cacheScope(req build.Request) string {
	scope := "naru/" + string(req.Space)
	if req.Cache != "" {
		scope += "/" + req.Cache
	}
	return scope
}
