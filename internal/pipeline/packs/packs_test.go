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

// took fails a test whose upload was not carried out.
func took(t *testing.T) func(source.Buildpack, error) {
	return func(_ source.Buildpack, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
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

	took(t)(shelf.Upload(t.Context(), by, b.ID, "w.zip", zipped(t, map[string]string{"top/bin/compile": "x", "top/lib/a": "y"})))
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
		_, err := shelf.Upload(t.Context(), by, b.ID, "w.zip", io.MultiReader(bytes.NewReader([]byte("PK\x03\x04")), iotest.ErrReader(torn)))
		if got := one(t); err == nil || got.Trouble != source.NoTrouble || got.Digest != first.Digest {
			t.Errorf("%v: it is %+v", err, got)
		}
	})
	t.Run("what is no buildpack is", func(t *testing.T) {
		took(t)(shelf.Upload(t.Context(), by, b.ID, "w.zip", zipped(t, map[string]string{"a": "x"})))
		if got := one(t); got.Trouble != source.NoBuildpack || got.Error == "" || got.Digest != first.Digest {
			t.Errorf("it is %+v", got)
		}
	})
	t.Run("a lock holds for what is on its way", func(t *testing.T) {
		locking := then{func() {
			_, err := shelf.Change(t.Context(), by, b.ID, packs.Change{Locked: &yes})
			ok(t, err)
		}}
		_, err := shelf.Upload(t.Context(), by, b.ID, "w.zip", io.MultiReader(zipped(t, map[string]string{"bin/compile": "other"}), locking))
		if got := one(t); !fault.Is(err, fault.Conflict) || got.Digest != first.Digest {
			t.Errorf("%v: it is %+v", err, got)
		}
		if _, err := shelf.Upload(t.Context(), by, b.ID, "w.zip", iotest.ErrReader(errors.New("nobody reads it"))); !fault.Is(err, fault.Conflict) {
			t.Errorf("locked: %v", err)
		}
		_, err = shelf.Change(t.Context(), by, b.ID, packs.Change{Locked: &no})
		ok(t, err)
	})
	t.Run("a full disk takes nothing", func(t *testing.T) {
		full = true
		if _, err := shelf.Upload(t.Context(), by, b.ID, "w.zip", iotest.ErrReader(errors.New("nobody reads it"))); !fault.Is(err, fault.Unavailable) {
			t.Errorf("got %v", err)
		}
		full = false
	})
	t.Run("the same again is the same", func(t *testing.T) {
		took(t)(shelf.Upload(t.Context(), by, b.ID, "w.zip", zipped(t, map[string]string{"bin/compile": "x", "lib/a": "y"})))
		if got := one(t); got.Digest != first.Digest || got.Trouble != source.NoTrouble || got.Error != "" {
			t.Errorf("it is %+v", got)
		}
	})
	t.Run("one that goes away meanwhile", func(t *testing.T) {
		going := then{func() { ok(t, shelf.Delete(t.Context(), by, b.ID)) }}
		_, err := shelf.Upload(t.Context(), by, b.ID, "w.zip", io.MultiReader(zipped(t, map[string]string{"bin/compile": "x"}), going))
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("got %v", err)
		}
	})
}

func TestNamed(t *testing.T) {
	shelf := packs.New(storetest.Open(t, store.Options{}), nil, nil)
	add := func(name, stack string) source.Buildpack {
		t.Helper()
		c := packs.Change{Name: &name}
		if stack != "" {
			c.Stack = &stack
		}
		b, err := shelf.Create(t.Context(), by, c)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	any, four, only := add("words", ""), add("words", "cflinuxfs4"), add("only", "cflinuxfs3")
	for asked, want := range map[[2]string]source.BuildpackID{
		{"words", "cflinuxfs4"}: four.ID, {"words", packs.NoStack}: any.ID, {"only", ""}: only.ID, {"only", "cflinuxfs3"}: only.ID,
	} {
		if b, err := shelf.Named(t.Context(), asked[0], asked[1]); err != nil || b.ID != want {
			t.Errorf("%v: %v, %v", asked, b, err)
		}
	}
	for asked, want := range map[[2]string]fault.Kind{
		{"words", ""}: fault.Conflict, {"words", "cflinuxfs3"}: fault.NotFound, {"only", packs.NoStack}: fault.NotFound, {"other", ""}: fault.NotFound,
	} {
		if _, err := shelf.Named(t.Context(), asked[0], asked[1]); !fault.Is(err, want) || fault.Of(err).Try == "" {
			t.Errorf("%v: %v", asked, err)
		}
	}
	name, stack := "new", "windows"
	if _, err := shelf.Create(t.Context(), by, packs.Change{Name: &name, Stack: &stack}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a stack that there is not: %v", err)
	}
}
