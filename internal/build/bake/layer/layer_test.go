package layer_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"naru/internal/build/bake/bakefix"
	"naru/internal/build/bake/layer"
	"naru/internal/fault"
)

var (
	built = time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC)
	none  = func(time.Time) ([]layer.File, error) { return nil, nil }
)

func source(t *testing.T, name string, files ...bakefix.File) layer.Source {
	raw := bakefix.Tar(t, files)
	return layer.Source{Name: name, Open: func(context.Context) (layer.Stream, error) {
		return layer.Stream{ReadCloser: io.NopCloser(bytes.NewReader(raw)), Date: built}, nil
	}}
}

func write(t *testing.T, tree *layer.Tree, opt layer.Options, sources ...layer.Source) (map[string]*tar.Header, []byte, layer.Result, error) {
	t.Helper()
	var out bytes.Buffer
	res, err := layer.Write(t.Context(), &out, tree, sources, none, opt)
	if err != nil {
		return nil, nil, res, err
	}
	return list(t, out.Bytes()), out.Bytes(), res, nil
}

func list(t *testing.T, raw []byte) map[string]*tar.Header {
	t.Helper()
	var r io.Reader
	if raw[0] == 0x1f {
		g, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		r = g
	} else {
		z, err := zstd.NewReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		r = z
	}
	all := map[string]*tar.Header{}
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if all[h.Name] != nil {
			t.Errorf("%s is in the layer twice", h.Name)
		}
		all[h.Name] = h
	}
}

func TestEntriesLandWhereDpkgPutsThem(t *testing.T) {
	young := built.AddDate(1, 0, 0)
	first := []layer.File{{Path: "usr/bin", Type: tar.TypeDir, Mode: 0o755}, {Path: "bin", Type: tar.TypeSymlink, Link: "usr/bin", Mode: 0o777}}
	got, _, res, err := write(t, layer.NewTree(), layer.Options{First: first},
		source(t, "a",
			bakefix.File{Name: "./", Type: tar.TypeDir, Mode: 0o755},
			bakefix.File{Name: "./bin/tool", Mode: 0o4755, Body: "x", Time: young, UID: 5, GID: 6},
			bakefix.File{Name: "./bin/twin", Type: tar.TypeLink, Link: "./bin/tool"},
			bakefix.File{Name: "./tmp/", Type: tar.TypeDir, Mode: 0o1777},
			bakefix.File{Name: "./etc/a/conf", Mode: 0o600, Body: "conf", Time: built.Add(-time.Hour)},
			bakefix.File{Name: "./usr/share/a", Type: tar.TypeSymlink, Link: "/etc/a"},
		),
		source(t, "b",
			bakefix.File{Name: "./bin/", Type: tar.TypeDir, Mode: 0o700},
			bakefix.File{Name: "./usr/share/a/more", Mode: 0o644, Body: "more"},
			bakefix.File{Name: "./etc/a/", Type: tar.TypeDir, Mode: 0o700},
		))
	if err != nil {
		t.Fatal(err)
	}
	tool := got["usr/bin/tool"]
	if tool == nil || tool.Mode != 0o755 || !tool.ModTime.Equal(built) || tool.Uid != 5 || tool.Gid != 6 || tool.Uname != "" {
		t.Errorf("usr/bin/tool = %+v; want it below the merged /usr, without setuid and names, and not younger than its package", tool)
	}
	if h := got["usr/bin/twin"]; h == nil || h.Linkname != "usr/bin/tool" {
		t.Errorf("usr/bin/twin = %+v, want a hard link to usr/bin/tool", h)
	}
	if h := got["tmp/"]; h == nil || h.Mode != 0o1777 {
		t.Errorf("tmp = %+v, want the sticky bit kept", h)
	}
	if h := got["etc/a/conf"]; h == nil || !h.ModTime.Equal(built.Add(-time.Hour)) {
		t.Errorf("etc/a/conf = %+v, want its own older time", h)
	}
	if got["etc/a/more"] == nil {
		t.Errorf("a link to a folder was not followed: %v", names(got))
	}
	if h := got["etc/a/"]; h == nil || h.Mode != 0o755 {
		t.Errorf("etc/a = %+v, want a folder nobody brought before its content, and not changed later", h)
	}
	if h := got["bin"]; h == nil || h.Typeflag != tar.TypeSymlink {
		t.Errorf("bin = %+v, want the link left alone", h)
	}
	if !res.Newest.Equal(built) || res.Unpacked != 9 {
		t.Errorf("result = %+v", res)
	}
}

func names(all map[string]*tar.Header) []string {
	var s []string
	for n := range all {
		s = append(s, n)
	}
	slices.Sort(s)
	return s
}

func TestHostilePackagesAreRefused(t *testing.T) {
	for name, files := range map[string][]bakefix.File{
		"leaves with dots":     {{Name: "./../etc/passwd", Body: "x"}},
		"dots inside":          {{Name: "./usr/../../x", Body: "x"}},
		"deletion mark":        {{Name: "./etc/.wh.passwd", Body: ""}},
		"opaque mark":          {{Name: "./etc/.wh..wh..opq", Body: ""}},
		"device":               {{Name: "./dev/sda", Type: tar.TypeBlock}},
		"character device":     {{Name: "./dev/null", Type: tar.TypeChar}},
		"pipe":                 {{Name: "./run/pipe", Type: tar.TypeFifo}},
		"hard link to outside": {{Name: "./x", Type: tar.TypeLink, Link: "../../etc/shadow"}},
		"hard link to nothing": {{Name: "./x", Type: tar.TypeLink, Link: "./y"}},
		"circle": {{Name: "./a", Type: tar.TypeSymlink, Link: "b"}, {Name: "./b", Type: tar.TypeSymlink, Link: "a"},
			{Name: "./a/x", Body: "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _, _, err := write(t, layer.NewTree(), layer.Options{}, source(t, "evil", files...)); !fault.Is(err, fault.Invalid) {
				t.Errorf("wrote %v, %v; want it refused", names(got), err)
			}
		})
	}
}

func TestLinksOutOfTheRootEndAtTheRoot(t *testing.T) {
	got, _, _, err := write(t, layer.NewTree(), layer.Options{}, source(t, "a",
		bakefix.File{Name: "./up", Type: tar.TypeSymlink, Link: "../../../etc"},
		bakefix.File{Name: "./up/x", Body: "x"}))
	if err != nil || got["etc/x"] == nil {
		t.Errorf("wrote %v, %v; want etc/x inside the image", names(got), err)
	}
}

func TestTwoPackagesWithOneFile(t *testing.T) {
	a := source(t, "a", bakefix.File{Name: "./f", Body: "from a"})
	b := source(t, "b", bakefix.File{Name: "./f", Body: "from b!"})
	if _, _, _, err := write(t, layer.NewTree(), layer.Options{}, a, b); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "a and b") {
		t.Errorf("err = %v, want a conflict naming both", err)
	}
	a.Replaces = map[string]bool{"b": true}
	got, _, _, err := write(t, layer.NewTree(), layer.Options{}, a, b)
	if err != nil || got["f"].Size != 6 {
		t.Errorf("a replaces b: %v, %v", got["f"], err)
	}
	tree := layer.NewTree()
	if _, _, _, err := write(t, tree, layer.Options{}, b); err != nil {
		t.Fatal(err)
	}
	if got, _, _, err = write(t, tree, layer.Options{}, a); err != nil || got["f"].Size != 6 {
		t.Errorf("a in a layer above replaces b below: %v, %v", got["f"], err)
	}
}

func TestPlaceAndAdjust(t *testing.T) {
	s := source(t, "npm", bakefix.File{Name: "package/bin/node", Mode: 0o600, Body: "elf", UID: 501}, bakefix.File{Name: "package/README", Body: "no"})
	s.Place = func(n string) (string, bool) {
		r, ok := strings.CutPrefix(n, "package/bin/")
		return "usr/local/bin/" + r, ok
	}
	s.Adjust = func(f *layer.File) { f.UID, f.Mode = 0, 0o755 }
	got, _, _, err := write(t, layer.NewTree(), layer.Options{}, s)
	if err != nil || len(got) != 4 || got["usr/local/bin/node"].Mode != 0o755 || got["usr/local/bin/node"].Uid != 0 {
		t.Errorf("wrote %v, %v", names(got), err)
	}
}

func TestLimitIsHeld(t *testing.T) {
	_, _, _, err := write(t, layer.NewTree(), layer.Options{MaxUnpacked: 10}, source(t, "a", bakefix.File{Name: "./f", Body: "12345678901"}))
	if !fault.Is(err, fault.TooLarge) {
		t.Errorf("err = %v, want too large", err)
	}
}

func TestASourceThatFailsStopsTheRest(t *testing.T) {
	broken := errors.New("mirror on fire")
	sources := []layer.Source{{Name: "bad", Open: func(context.Context) (layer.Stream, error) { return layer.Stream{}, broken }}}
	for range 20 {
		sources = append(sources, layer.Source{Name: "waits", Open: func(ctx context.Context) (layer.Stream, error) {
			<-ctx.Done()
			return layer.Stream{}, ctx.Err()
		}})
	}
	if _, _, _, err := write(t, layer.NewTree(), layer.Options{}, sources...); !errors.Is(err, broken) {
		t.Errorf("err = %v, want %v", err, broken)
	}
}

// TestSameInputSameBytes also with another number of cores, and in both
// compressions; what is generated twice is written once.
func TestSameInputSameBytes(t *testing.T) {
	big := strings.Repeat("some text that compresses, but not to nothing at all: ", 60_000)
	sources := []layer.Source{source(t, "a", bakefix.File{Name: "./f", Body: big}), source(t, "b", bakefix.File{Name: "./g", Body: big[7:]})}
	for _, c := range []layer.Compression{layer.Zstd, layer.Gzip} {
		t.Run(string(c), func(t *testing.T) {
			_, first, res, err := write(t, layer.NewTree(), layer.Options{Compression: c}, sources...)
			if err != nil {
				t.Fatal(err)
			}
			old := runtime.GOMAXPROCS(1)
			_, second, res2, err := write(t, layer.NewTree(), layer.Options{Compression: c, Ahead: 1}, sources...)
			runtime.GOMAXPROCS(old)
			if err != nil || !bytes.Equal(first, second) || res != res2 {
				t.Errorf("two runs differ: %+v and %+v (%v)", res, res2, err)
			}
		})
	}
}

func TestGeneratedFilesAreWrittenOnce(t *testing.T) {
	tree := layer.NewTree()
	gen := func(body string) func(time.Time) ([]layer.File, error) {
		return func(newest time.Time) ([]layer.File, error) {
			return []layer.File{{Path: "etc/passwd", Mode: 0o644, Body: []byte(body)}, {Path: "app", Type: tar.TypeDir, Mode: 0o755}}, nil
		}
	}
	for i, tc := range []struct {
		body string
		want []string
	}{{"root", []string{"app/", "etc/", "etc/passwd"}}, {"root", nil}, {"root and app", []string{"etc/passwd"}}} {
		var out bytes.Buffer
		if _, err := layer.Write(t.Context(), &out, tree, nil, gen(tc.body), layer.Options{}); err != nil {
			t.Fatal(err)
		}
		if got := names(list(t, out.Bytes())); !slices.Equal(got, tc.want) {
			t.Errorf("layer %d holds %v, want %v", i, got, tc.want)
		}
	}
}
