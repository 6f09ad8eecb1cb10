package source_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"naru/internal/fault"
	"naru/internal/source"
)

func hashOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// stream makes an upload; entries whose name is "" get their right hash.
func stream(t testing.TB, entries ...tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		content := h.PAXRecords["NARU.content"]
		h.PAXRecords = nil
		if h.Name == "" {
			h.Name = hashOf(content)
		}
		if h.Typeflag == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(content))
		}
		must(t, w.WriteHeader(&h))
		_, err := io.WriteString(w, content[:h.Size])
		must(t, err)
	}
	must(t, w.Close())
	return &b
}

func entry(content string) tar.Header {
	return tar.Header{PAXRecords: map[string]string{"NARU.content": content}}
}

func named(name, content string) tar.Header {
	h := entry(content)
	h.Name = name
	return h
}

func TestReceiveRefuses(t *testing.T) {
	limits := source.Limits{MaxFiles: 3, MaxFile: 10, MaxBytes: 25}
	for name, tc := range map[string]struct {
		in   io.Reader
		kind fault.Kind
		says string
	}{
		"another hash":      {stream(t, named(hashOf("b"), "a")), fault.Invalid, "has the hash " + hashOf("a")},
		"a path as name":    {stream(t, named("../../etc/passwd", "a")), fault.Invalid, "not named by a sha256"},
		"capitals":          {stream(t, named(strings.ToUpper(hashOf("a")), "a")), fault.Invalid, "not named by a sha256"},
		"a symlink":         {stream(t, tar.Header{Typeflag: tar.TypeSymlink, Name: hashOf("a"), Linkname: "/"}), fault.Invalid, "not a file"},
		"a folder":          {stream(t, tar.Header{Typeflag: tar.TypeDir, Name: hashOf("a") + "/"}), fault.Invalid, "not a file"},
		"one file too big":  {stream(t, entry("01234567890")), fault.TooLarge, "at most 10 bytes"},
		"too many bytes":    {stream(t, entry("0123456789"), entry("1123456789"), entry("2123456789")), fault.TooLarge, "limit of 25 bytes"},
		"too many files":    {stream(t, entry("a"), entry("b"), entry("c"), entry("d")), fault.TooLarge, "more than 3 files"},
		"no tar":            {strings.NewReader(strings.Repeat("x", 2000)), fault.Invalid, "not a tar stream"},
		"cut in the middle": {io.LimitReader(stream(t, entry("abcdefghij")), 515), fault.Invalid, "ended early"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newStore(t, limits).Receive(t.Context(), space, tc.in)
			wantFault(t, err, tc.kind, tc.says)
		})
	}
}

func TestReceiveKeepsWhatCameWholeAndLeavesNoRest(t *testing.T) {
	dir := t.TempDir()
	s := source.New(dir, source.Limits{})
	whole := stream(t, entry("first"), entry("second"))
	cut := io.LimitReader(whole, 512+512+512+2) // the second breaks off
	_, err := s.Receive(t.Context(), space, cut)
	wantFault(t, err, fault.Invalid, "ended early")
	missing, err := s.Missing(t.Context(), space, []string{hashOf("first"), hashOf("second")})
	must(t, err)
	if len(missing) != 1 || missing[0] != hashOf("second") {
		t.Errorf("missing %v, want only the second", missing)
	}
	rest, err := os.ReadDir(filepath.Join(dir, string(space), "tmp"))
	must(t, err)
	if len(rest) != 0 {
		t.Errorf("left behind: %v", rest)
	}
}

func TestReceiveTwiceAtOnce(t *testing.T) {
	s := newStore(t, source.Limits{})
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		in := stream(t, entry("a"), entry("b"), entry("a"))
		wg.Go(func() { _, errs[i] = s.Receive(t.Context(), space, in) })
	}
	wg.Wait()
	for _, err := range errs {
		must(t, err)
	}
	missing, err := s.Missing(t.Context(), space, []string{hashOf("a"), hashOf("b"), hashOf("a")})
	must(t, err)
	if len(missing) != 0 {
		t.Errorf("missing %v", missing)
	}
}

func TestSweepBesideReceiveLosesNothingPromised(t *testing.T) {
	s := newStore(t, source.Limits{})
	done := make(chan error, 1)
	go func() {
		for range 50 {
			if _, err := s.Sweep(t.Context(), space, nil, time.Minute); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for i := range 50 {
		dir := tree(t, map[string]string{"same": "same", "new": fmt.Sprint(i)})
		snap, _ := push(t, s, dir)
		must(t, s.Checkout(t.Context(), snap, t.TempDir()))
	}
	must(t, <-done)
}

func TestMissingRefusesWhatIsNoHash(t *testing.T) {
	_, err := newStore(t, source.Limits{}).Missing(t.Context(), space, []string{"../../../etc/shadow"})
	wantFault(t, err, fault.Invalid, "not a sha256")
}

func BenchmarkReceive(b *testing.B) {
	var entries []tar.Header
	for i := range 2000 {
		entries = append(entries, entry(fmt.Sprintf("%d %s", i, strings.Repeat("x", 4000))))
	}
	data := stream(b, entries...).Bytes()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		_, err := newStore(b, source.Limits{}).Receive(b.Context(), space, bytes.NewReader(data))
		must(b, err)
	}
}
