package inflate_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"naru/internal/build/bake/inflate"
)

var plain = []byte(strings.Repeat("the quick brown fox jumps over the lazy dog\n", 20_000))

func compressed(t *testing.T, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	switch name {
	case "a.gz":
		w := gzip.NewWriter(&b)
		_, _ = w.Write(plain)
		_ = w.Close()
	case "a.zst":
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(plain)
		_ = w.Close()
	case "a.xz":
		bin, err := exec.LookPath("xz")
		if err != nil {
			t.Skip("xz is not installed, so there is no xz stream to read")
		}
		cmd := exec.Command(bin, "-c")
		cmd.Stdin, cmd.Stdout = bytes.NewReader(plain), &b
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
	default:
		b.Write(plain)
	}
	return b.Bytes()
}

func TestOpenReadsEveryCompressionAndNoticesDamage(t *testing.T) {
	for _, inf := range []inflate.Inflater{{}, inflate.Host()} {
		for _, name := range []string{"a.gz", "a.zst", "a.xz", "a"} {
			t.Run(name+"/"+inf.XZ, func(t *testing.T) {
				in := compressed(t, name)
				r, err := inf.Open(t.Context(), name, bytes.NewReader(in))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(r)
				if err != nil || !bytes.Equal(got, plain) {
					t.Fatalf("read %d bytes, %v; want %d", len(got), err, len(plain))
				}
				if err := r.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
				if name == "a" {
					return
				}
				r, err = inf.Open(t.Context(), name, bytes.NewReader(in[:len(in)-9]))
				if err == nil {
					_, err = io.ReadAll(r)
					_ = r.Close()
				}
				if err == nil {
					t.Error("a truncated stream was read without an error")
				}
			})
		}
	}
}

func TestCloseStopsAnUnreadStream(t *testing.T) {
	r, err := inflate.Host().Open(t.Context(), "a.xz", bytes.NewReader(compressed(t, "a.xz")))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenRefusesUnknownEndings(t *testing.T) {
	if _, err := (inflate.Inflater{}).Open(t.Context(), "data.tar.bz2", strings.NewReader("")); err == nil {
		t.Error("bz2 was accepted")
	}
	if inflate.Known("data.tar.bz2") || !inflate.Known("data.tar.zst") {
		t.Error("Known disagrees with Open")
	}
}
