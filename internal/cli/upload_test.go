package cli_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Errors about source name what the user pushed, and the entry in it.
func TestErrorsOfSourceNameFileAndEntry(t *testing.T) {
	for name, tc := range map[string]struct {
		file  string
		data  func(t *testing.T, path string)
		wants []string
	}{
		"a link out of an archive": {"shop.tar", func(t *testing.T, path string) {
			write(t, path, tarred(t, tar.Header{Name: "link", Linkname: "../../etc/passwd", Typeflag: tar.TypeSymlink}))
		}, []string{"shop.tar: link: the symlink to", "../../etc/passwd"}},
		"a link out of a folder": {"shop", func(t *testing.T, path string) {
			must(t, os.MkdirAll(path, 0o755))
			must(t, os.Symlink("../../etc/passwd", filepath.Join(path, "link")))
		}, []string{"shop/link: the symlink to"}},
		"an archive that is none": {"shop.tar.gz", func(t *testing.T, path string) {
			write(t, path, []byte("\x1f\x8b\x08 not really"))
		}, []string{"shop.tar.gz: the archive is damaged or ends early"}},
		"an archive that ends early": {"shop.tar.gz", func(t *testing.T, path string) {
			data := tarred(t, tar.Header{Name: "index.html", Typeflag: tar.TypeReg})
			write(t, path, gzipped(t, append(data[:512], "garbage"...)))
		}, []string{`shop.tar.gz: the archive is damaged or ends early, after "index.html"`}},
		"an entry that leaves": {"shop.tgz", func(t *testing.T, path string) {
			write(t, path, gzipped(t, tarred(t, tar.Header{Name: "../evil", Typeflag: tar.TypeReg})))
		}, []string{"shop.tgz: ../evil: ", "leaves"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlatform(t)
			path := filepath.Join(t.TempDir(), tc.file)
			tc.data(t, path)
			_, errs, end := p.beginNaru(t.Context(), t.TempDir(), "push", "shop", "--path", path)
			if code := <-end; code == 0 {
				t.Fatal("it was pushed")
			}
			for _, want := range tc.wants {
				if !strings.Contains(errs.String(), want) {
					t.Errorf("the error does not say %q:\n%s", want, errs.String())
				}
			}
			if strings.Contains(errs.String(), "upload.tar") {
				t.Errorf("it names a file that the user does not know:\n%s", errs.String())
			}
		})
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	must(t, os.WriteFile(path, data, 0o600))
}

func tarred(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		must(t, w.WriteHeader(&h))
	}
	must(t, w.Close())
	return b.Bytes()
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}
