package packs_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"naru/internal/fault"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/packs"
	"naru/internal/source"
	"naru/internal/store"
	"naru/internal/store/storetest"
)

var by = operation.Ask{Actor: "ada"}

// then is a reader that does something before its end.
type then struct{ do func() }

func (r then) Read([]byte) (int, error) {
	r.do()
	return 0, io.EOF
}

func zipped(t *testing.T, files map[string]string) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		f, err := z.Create(name)
		if err == nil {
			_, err = io.WriteString(f, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestUploads(t *testing.T) {
	files := source.New(t.TempDir(), source.Limits{})
	full := false
	shelf := packs.New(storetest.Open(t, store.Options{}), files, func() error {
		if full {
			return fault.New(fault.Unavailable, "", "the disk is full")
		}
		return nil
	})
	ok := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	name, yes, no := "words", true, false
	b, err := shelf.Create(t.Context(), by, packs.Change{Name: &name})
	ok(t, err)
	one := func(t *testing.T) source.Buildpack {
		t.Helper()
		got, err := shelf.One(t.Context(), b.ID)
		ok(t, err)
		return got
	}

	ok(t, shelf.Upload(t.Context(), by, b.ID, "w.zip", zipped(t, map[string]string{"top/bin/compile": "x", "top/lib/a": "y"})))
	first := one(t)
	tree, err := files.Load(t.Context(), source.Buildpacks, first.Digest)
	ok(t, err)
	for _, f := range tree {
		if f.Path == "bin/compile" && f.Mode != source.Executable || f.Path == "lib/a" && f.Mode != source.Plain || f.Path != "bin/compile" && f.Path != "lib/a" {
			t.Errorf("it holds %s with mode %o", f.Path, f.Mode)
		}
	}

	t.Run("what broke off is not noted", func(t *testing.T) {
		torn := errors.New("the line is dead")
		err := shelf.Upload(t.Context(), by, b.ID, "w.zip", io.MultiReader(bytes.NewReader([]byte("PK\x03\x04")), iotest.ErrReader(torn)))
		if got := one(t); err == nil || got.Trouble != source.NoTrouble || got.Digest != first.Digest {
			t.Errorf("%v: it is %+v", err, got)
		}
	})
	t.Run("what is no buildpack is", func(t *testing.T) {
		ok(t, shelf.Upload(t.Context(), by, b.ID, "w.zip", zipped(t, map[string]string{"a": "x"})))
		if got := one(t); got.Trouble != source.NoBuildpack || got.Error == "" || got.Digest != first.Digest {
			t.Errorf("it is %+v", got)
		}
	})
	t.Run("a lock holds for what is on its way", func(t *testing.T) {
		locking := then{func() {
			_, err := shelf.Change(t.Context(), by, b.ID, packs.Change{Locked: &yes})
			ok(t, err)
		}}
		err := shelf.Upload(t.Context(), by, b.ID, "w.zip", io.MultiReader(zipped(t, map[string]string{"bin/compile": "other"}), locking))
		if got := one(t); !fault.Is(err, fault.Conflict) || got.Digest != first.Digest {
			t.Errorf("%v: it is %+v", err, got)
		}
		if err := shelf.Upload(t.Context(), by, b.ID, "w.zip", iotest.ErrReader(errors.New("nobody reads it"))); !fault.Is(err, fault.Conflict) {
			t.Errorf("locked: %v", err)
		}
		_, err = shelf.Change(t.Context(), by, b.ID, packs.Change{Locked: &no})
		ok(t, err)
	})
	t.Run("a full disk takes nothing", func(t *testing.T) {
		full = true
		if err := shelf.Upload(t.Context(), by, b.ID, "w.zip", iotest.ErrReader(errors.New("nobody reads it"))); !fault.Is(err, fault.Unavailable) {
			t.Errorf("got %v", err)
		}
		full = false
	})
	t.Run("the same again is the same", func(t *testing.T) {
		ok(t, shelf.Upload(t.Context(), by, b.ID, "w.zip", zipped(t, map[string]string{"bin/compile": "x", "lib/a": "y"})))
		if got := one(t); got.Digest != first.Digest || got.Trouble != source.NoTrouble || got.Error != "" {
			t.Errorf("it is %+v", got)
		}
	})
	t.Run("one that goes away meanwhile", func(t *testing.T) {
		going := then{func() { ok(t, shelf.Delete(t.Context(), by, b.ID)) }}
		err := shelf.Upload(t.Context(), by, b.ID, "w.zip", io.MultiReader(zipped(t, map[string]string{"bin/compile": "x"}), going))
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("got %v", err)
		}
	})
}
