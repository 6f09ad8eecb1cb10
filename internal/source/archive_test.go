package source_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"strings"
	"testing"

	"naru/internal/fault"
	"naru/internal/source"
)

// zipEntry is one entry of a zip made by a test; mode 0 means a plain file.
type zipEntry struct {
	name, content string
	mode          fs.FileMode
}

func zipOf(t testing.TB, entries ...zipEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.mode != 0 {
			h.SetMode(e.mode)
		} else {
			h.SetMode(0o644)
		}
		f, err := w.CreateHeader(h)
		must(t, err)
		_, err = io.WriteString(f, e.content)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func tarOf(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		content := h.PAXRecords["NARU.content"]
		h.PAXRecords = nil
		if h.Typeflag == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(content))
		}
		must(t, w.WriteHeader(&h))
		_, err := io.WriteString(w, content)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func gz(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

func mode(h tar.Header, m int64) tar.Header { h.Mode = m; return h }

func TestArchivesAndDirectoriesOfOneTreeHaveOneDigest(t *testing.T) {
	s := newStore(t, source.Limits{})
	want, _ := push(t, s, tree(t, map[string]string{"a": "one", "bin/run*": "two", "d/l": "-> ../a"}))
	asTar := tarOf(t, tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755}, mode(named("./a", "one"), 0o664),
		tar.Header{Typeflag: tar.TypeDir, Name: "./bin/"}, mode(named("./bin/run", "two"), 0o4755),
		tar.Header{Typeflag: tar.TypeSymlink, Name: "d/l", Linkname: "../a"}, named(".git/config", "x"))
	for name, data := range map[string][]byte{
		"x.tar": asTar, "x.tgz": gz(t, asTar),
		"x.zip": zipOf(t, zipEntry{"bin/", "", fs.ModeDir | 0o755}, zipEntry{name: "a", content: "one"}, zipEntry{"bin/run", "two", 0o755},
			zipEntry{"d/l", "../a", fs.ModeSymlink | 0o777}, zipEntry{name: "__MACOSX/._a", content: "x"}),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.FromArchive(t.Context(), space, bytes.NewReader(data), "dir/"+name, source.ArchiveOptions{})
			must(t, err)
			if got.Digest != want.Digest || got.Origin != (source.Origin{Kind: source.Archive, Ref: name}) {
				t.Errorf("got %+v, want digest %s", got, want.Digest)
			}
		})
	}
}

func TestAJarIsOneFileUnlessUnpacked(t *testing.T) {
	s := newStore(t, source.Limits{})
	jar := zipOf(t, zipEntry{name: "META-INF/MANIFEST.MF", content: "Main-Class: A"}, zipEntry{name: "A.class", content: "x"})
	for unpack, want := range map[bool]int{false: 1, true: 2} {
		snap, err := s.FromArchive(t.Context(), space, bytes.NewReader(jar), "app.JAR", source.ArchiveOptions{Unpack: unpack})
		must(t, err)
		if snap.Files != want {
			t.Errorf("unpack %v: %d files, want %d", unpack, snap.Files, want)
		}
	}
}

func TestAHardLinkBecomesASecondFile(t *testing.T) {
	s := newStore(t, source.Limits{})
	data := tarOf(t, named("a", "one"), tar.Header{Typeflag: tar.TypeLink, Name: "b", Linkname: "./a"})
	snap, err := s.FromArchive(t.Context(), space, bytes.NewReader(data), "x.tar", source.ArchiveOptions{})
	must(t, err)
	view, err := s.Fetch(t.Context(), snap)
	must(t, err)
	if got, err := fs.ReadFile(view, "b"); err != nil || string(got) != "one" {
		t.Errorf("b = %q, %v", got, err)
	}
}

func TestHostileArchives(t *testing.T) {
	limits := source.Limits{MaxFiles: 4, MaxFile: 66 << 20, MaxBytes: 300 << 20, MaxRatio: 50}
	zeros := strings.Repeat("\x00", 65<<20)
	encrypted := zipOf(t, zipEntry{name: "a", content: "x"})
	for i := range encrypted[:len(encrypted)-4] { // the flag, in both headers
		switch string(encrypted[i : i+4]) {
		case "PK\x03\x04":
			encrypted[i+6] |= 1
		case "PK\x01\x02":
			encrypted[i+8] |= 1
		}
	}
	good := zipOf(t, zipEntry{name: "a", content: strings.Repeat("abc", 100)})
	rotten := bytes.Clone(good)
	rotten[35] ^= 0xff // in the packed bytes of a
	for name, tc := range map[string]struct {
		data []byte
		kind fault.Kind
		says []string
	}{
		"zip: parent":              {zipOf(t, zipEntry{name: "../evil", content: "x"}), fault.Invalid, []string{"../evil", "leaves"}},
		"zip: absolute":            {zipOf(t, zipEntry{name: "/etc/cron.d/x", content: "x"}), fault.Invalid, []string{"/etc/cron.d/x", "absolute"}},
		"zip: backslash":           {zipOf(t, zipEntry{name: `..\evil`, content: "x"}), fault.Invalid, []string{"backslash"}},
		"zip: folder out":          {zipOf(t, zipEntry{"../", "", fs.ModeDir | 0o755}), fault.Invalid, []string{"leaves"}},
		"zip: link out":            {zipOf(t, zipEntry{"a", "../../etc/passwd", fs.ModeSymlink | 0o777}), fault.Invalid, []string{"a: the symlink", "leaves"}},
		"zip: absolute link":       {zipOf(t, zipEntry{"a", "/etc/passwd", fs.ModeSymlink | 0o777}), fault.Invalid, []string{"leaves"}},
		"zip: file through a link": {zipOf(t, zipEntry{"d", "e", fs.ModeSymlink | 0o777}, zipEntry{name: "d/x", content: "x"}, zipEntry{name: "e/y", content: "y"}), fault.Invalid, []string{"d/x", "cannot have files below"}},
		"zip: device":              {zipOf(t, zipEntry{"null", "", fs.ModeDevice | fs.ModeCharDevice | 0o666}), fault.Invalid, []string{"null: a device file"}},
		"zip: twice":               {zipOf(t, zipEntry{name: "a", content: "1"}, zipEntry{name: "a", content: "2"}), fault.Invalid, []string{"a: the path is there twice"}},
		"zip: too many":            {zipOf(t, zipEntry{name: "1"}, zipEntry{name: "2"}, zipEntry{name: "3"}, zipEntry{name: "4"}, zipEntry{name: "5"}), fault.TooLarge, []string{"more than 4 files"}},
		"zip: one big":             {zipOf(t, zipEntry{name: "big", content: zeros + strings.Repeat("x", 2<<20)}), fault.TooLarge, []string{"big"}},
		"zip: bomb":                {zipOf(t, zipEntry{name: "bomb", content: zeros}), fault.TooLarge, []string{"50 times"}},
		"zip: encrypted":           {encrypted, fault.Invalid, []string{"a: the entry is encrypted"}},
		"zip: cut":                 {good[:len(good)-30], fault.Invalid, []string{"damaged"}},
		"zip: only folders":        {zipOf(t, zipEntry{"d/", "", fs.ModeDir | 0o755}), fault.Invalid, []string{"no file"}},
		"tar: parent":              {tarOf(t, named("a/../../evil", "x")), fault.Invalid, []string{"leaves"}},
		"tar: absolute":            {tarOf(t, named("/evil", "x")), fault.Invalid, []string{"/evil", "absolute"}},
		"tar: link out":            {tarOf(t, tar.Header{Typeflag: tar.TypeSymlink, Name: "d/a", Linkname: "../../x"}), fault.Invalid, []string{"d/a", "leaves"}},
		"tar: hard link out":       {tarOf(t, tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "/etc/shadow"}), fault.Invalid, []string{"a: the hard link", "leaves"}},
		"tar: hard link nowhere":   {tarOf(t, tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "b"}), fault.Invalid, []string{"names nothing"}},
		"tar: device":              {tarOf(t, tar.Header{Typeflag: tar.TypeBlock, Name: "sda", Devmajor: 8}), fault.Invalid, []string{"sda: a device file"}},
		"tar: pipe":                {tarOf(t, tar.Header{Typeflag: tar.TypeFifo, Name: "p"}), fault.Invalid, []string{"p: a named pipe"}},
		"tar: twice":               {tarOf(t, named("a", "1"), named("./a", "2")), fault.Invalid, []string{"a: the path is there twice"}},
		"tar: huge by its header":  {tarOf(t, named("a", "1"))[:512], fault.Invalid, []string{"damaged", `in "a"`}},
		"tar: cut":                 {append(tarOf(t, named("a", "1"))[:1024], "garbage"...), fault.Invalid, []string{"damaged", `after "a"`}},
		"zip: content changed":     {rotten, fault.Invalid, []string{"damaged", `in "a"`}},
		"tar.gz: bomb":             {gz(t, tarOf(t, named("bomb", zeros))), fault.TooLarge, []string{"50 times"}},
		"tar.gz: no tar":           {gz(t, []byte("hello")), fault.Invalid, []string{"damaged"}},
		"tar.gz: cut":              {gz(t, tarOf(t, named("a", "x")))[:40], fault.Invalid, []string{"damaged"}},
		"empty":                    {nil, fault.Invalid, []string{"empty"}},
		"something else":           {[]byte("hello"), fault.Invalid, []string{"no archive"}},
		"xz":                       {[]byte("\xfd7zXZ\x00"), fault.Invalid, []string{"looks like xz"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newStore(t, limits).FromArchive(t.Context(), space, bytes.NewReader(tc.data), "x.zip", source.ArchiveOptions{})
			wantFault(t, err, tc.kind, tc.says...)
		})
	}
}

// A zip may lie about sizes; what counts is what comes out.
func TestAZipThatLiesAboutItsSize(t *testing.T) {
	data := zipOf(t, zipEntry{name: "a", content: strings.Repeat("x", 5000)})
	at := bytes.Index(data, []byte("PK\x01\x02"))
	copy(data[at+24:], []byte{1, 0, 0, 0}) // uncompressed size in the directory
	_, err := newStore(t, source.Limits{MaxFile: 100}).FromArchive(t.Context(), space, bytes.NewReader(data), "x.zip", source.ArchiveOptions{})
	if !fault.Is(err, fault.TooLarge) && !fault.Is(err, fault.Invalid) {
		t.Errorf("error %v", err)
	}
}

func FuzzFromArchive(f *testing.F) {
	f.Add(zipOf(f, zipEntry{name: "a", content: "x"}, zipEntry{"l", "a", fs.ModeSymlink | 0o777}), "x.zip")
	f.Add(tarOf(f, named("a", "x"), tar.Header{Typeflag: tar.TypeLink, Name: "b", Linkname: "a"}), "x.tar")
	f.Add(gz(f, tarOf(f, named("a", "x"))), "x.tgz")
	s := newStore(f, source.Limits{MaxFiles: 10, MaxBytes: 1 << 20})
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		snap, err := s.FromArchive(t.Context(), space, bytes.NewReader(data), name, source.ArchiveOptions{Unpack: true})
		if err != nil {
			return
		}
		if err := s.Checkout(t.Context(), snap, t.TempDir()); err != nil {
			t.Errorf("a frozen archive cannot be checked out: %v", err)
		}
	})
}
