package e2e

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// What is repackaged for an upstream buildpack; the registry keeps every version.
const (
	upstreamNode = "22.23.1"
	upstreamNPM  = "10.9.8"
	upstreamYarn = "1.22.22"
)

// upstream is a buildpack as its makers publish it, on its way into a zip that
// needs no server of theirs.
type upstream struct {
	dir, out string
	version  string // that it says of itself

	manifest yaml.Node // as written: what reads it wants its dates untouched
	zip      *zip.Writer
}

// write makes the zip: the files that the buildpack's manifest names, and its
// dependencies beside them.
func (u *upstream) write(t *testing.T) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, program := range []string{"supply", "finalize"} {
		f := filepath.Join(u.dir, "bin", program)
		if head, err := os.ReadFile(f); err != nil || !bytes.HasPrefix(head, []byte("\x7fELF")) {
			t.Fatalf("NARU_E2E_BUILDPACK: %s is no compiled program (%v): build ./src/nodejs/%s/cli of the buildpack to that place, with CGO_ENABLED=0", f, err, program)
		}
	}
	version, err := os.ReadFile(filepath.Join(u.dir, "VERSION"))
	must(err)
	u.version = strings.TrimSpace(string(version))
	text, err := os.ReadFile(filepath.Join(u.dir, "manifest.yml"))
	must(err)
	must(yaml.Unmarshal(text, &u.manifest))

	f, err := os.Create(u.out)
	must(err)
	u.zip = zip.NewWriter(f)
	for _, file := range u.key(t, "include_files").Content {
		if name := file.Value; name != "manifest.yml" {
			content, err := os.ReadFile(filepath.Join(u.dir, filepath.FromSlash(name)))
			must(err)
			must(u.add(name, content))
		}
	}
	must(u.dependencies(t))
	text, err = yaml.Marshal(&u.manifest)
	must(err)
	must(u.add("manifest.yml", text))
	must(errors.Join(u.zip.Close(), f.Close()))
}

func (u *upstream) add(name string, content []byte) error {
	h := &zip.FileHeader{Name: name, Method: zip.Deflate}
	h.SetMode(0o644)
	if strings.HasPrefix(name, "bin/") {
		h.SetMode(0o755)
	}
	f, err := u.zip.CreateHeader(h)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return err
}

// dependencies replaces what the manifest would have downloaded by files of the
// zip. A python is needed by packages that compile something alone; the
// foundation's stands in for it.
func (u *upstream) dependencies(t *testing.T) error {
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	node := newTree()
	err := errors.Join(
		node.npm(t, "node-linux-"+arch, upstreamNode, "", "bin/"),
		node.npm(t, "npm", upstreamNPM, "lib/node_modules/npm/", ""),
		node.link("bin/npm", "../lib/node_modules/npm/bin/npm-cli.js"), node.link("bin/npx", "../lib/node_modules/npm/bin/npx-cli.js"),
	)
	yarn, python := newTree(), newTree()
	err = errors.Join(err, yarn.npm(t, "yarn", upstreamYarn, "", ""),
		python.file("bin/python3", 0o755, []byte("#!/bin/sh\nunset LD_LIBRARY_PATH\nexec /usr/bin/python3 \"$@\"\n")))
	if err != nil {
		return err
	}
	var all []any
	for _, d := range []struct {
		name, version string
		tree          *tree
	}{{"node", upstreamNode, node}, {"yarn", upstreamYarn, yarn}, {"python", "3.13.0", python}} {
		content, err := d.tree.close()
		if err != nil {
			return err
		}
		sum, file := sha256.Sum256(content), "dependencies/"+d.name+".tgz"
		if err := u.add(file, content); err != nil {
			return err
		}
		all = append(all, map[string]any{
			"name": d.name, "version": d.version, "file": file, "uri": "https://registry.npmjs.org/" + d.name + ".tgz", "sha256": hex.EncodeToString(sum[:]), "cf_stacks": []string{"cflinuxfs4"},
		})
	}
	// The packager writes the stack into the form that is made for one.
	root := u.manifest.Content[0]
	root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "stack"}, &yaml.Node{Kind: yaml.ScalarNode, Value: "cflinuxfs4"})
	return u.key(t, "dependencies").Encode(all)
}

// key is the value of a key of the manifest.
func (u *upstream) key(t *testing.T, name string) *yaml.Node {
	t.Helper()
	if len(u.manifest.Content) == 1 {
		all := u.manifest.Content[0].Content
		for i := 0; i+1 < len(all); i += 2 {
			if all[i].Value == name {
				return all[i+1]
			}
		}
	}
	t.Fatalf("NARU_E2E_BUILDPACK: its manifest.yml has no %s", name)
	return nil
}

// tree is a tar.gz in the making.
type tree struct {
	buf bytes.Buffer
	gz  *gzip.Writer
	tar *tar.Writer
}

func newTree() *tree {
	t := &tree{}
	t.gz = gzip.NewWriter(&t.buf)
	t.tar = tar.NewWriter(t.gz)
	return t
}

func (t *tree) file(name string, mode fs.FileMode, content []byte) error {
	if err := t.tar.WriteHeader(&tar.Header{Name: name, Mode: int64(mode), Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err := t.tar.Write(content)
	return err
}

func (t *tree) link(name, to string) error {
	return t.tar.WriteHeader(&tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink, Mode: 0o777})
}

func (t *tree) close() ([]byte, error) {
	err := errors.Join(t.tar.Close(), t.gz.Close())
	return t.buf.Bytes(), err
}

// npm lays a package of the registry into the tree, below a folder; only what is
// below a path of the package is taken.
func (t *tree) npm(tb testing.TB, name, version, to, only string) error {
	tb.Helper()
	url := "https://registry.npmjs.org/" + name + "/-/" + name + "-" + version + ".tgz"
	client := &http.Client{Timeout: 3 * time.Minute}
	res, err := client.Get(url)
	if err != nil {
		return fmt.Errorf("the test needs the npm registry: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the test needs the npm registry: %s: %s", url, res.Status)
	}
	z, err := gzip.NewReader(res.Body)
	if err != nil {
		return fmt.Errorf("read %s: %w", url, err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", url, err)
		}
		_, inner, below := strings.Cut(path.Clean(h.Name), "/") // the first folder is "package" by habit alone
		if h.Typeflag != tar.TypeReg || !below || !strings.HasPrefix(inner, only) {
			continue
		}
		content, err := io.ReadAll(r)
		if err == nil {
			err = t.file(to+inner, h.FileInfo().Mode().Perm()|0o644, content)
		}
		if err != nil {
			return fmt.Errorf("repackage %s: %w", url, err)
		}
	}
}
