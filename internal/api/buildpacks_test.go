package api_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"naru/internal/api"
	"naru/internal/client"
	"naru/internal/fault"
)

func packZip(t *testing.T, files map[string]string) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		f, err := z.Create(name)
		must(t, err)
		_, err = io.WriteString(f, text)
		must(t, err)
	}
	must(t, z.Close())
	return &b
}

func packTar(t *testing.T, files map[string]string) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	z := tar.NewWriter(&b)
	for name, text := range files {
		must(t, z.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}))
		_, err := io.WriteString(z, text)
		must(t, err)
	}
	must(t, z.Close())
	return &b
}

func TestBuildpacks(t *testing.T) {
	w := newWorld(t, api.Config{UploadBytes: 1 << 20})
	c := w.client("root")
	ctx := t.Context()
	named := func(name string) client.PickedBuildpack { return client.PickedBuildpack{Name: name} }
	words := map[string]string{"bin/detect": "x", "bin/supply": "x", "bin/finalize": "x", "manifest.yml": "stack: cflinuxfs4\n"}

	first, err := c.CreateBuildpack(ctx, client.NewBuildpack{Name: "words"})
	must(t, err)
	if first.Position != 1 || !first.Enabled || first.Digest != "" {
		t.Errorf("made %+v", first)
	}
	b, err := c.UploadBuildpack(ctx, named("words"), client.Zip, "", packZip(t, words))
	must(t, err)
	if b.Digest == "" || b.Stack != "cflinuxfs4" || b.Filename != "words.zip" || b.Refused != "" {
		t.Errorf("filled %+v", b)
	}
	again, err := c.UploadBuildpack(ctx, named("words"), client.Tar, "w.tar", packTar(t, words))
	must(t, err)
	if again.Digest != b.Digest || again.Filename != "w.tar" {
		t.Errorf("the same files as a tar: %+v", again)
	}

	t.Run("files that cannot be used", func(t *testing.T) {
		for name, files := range map[string]*bytes.Buffer{
			"no programs":   packZip(t, map[string]string{"readme": "x"}),
			"another stack": packZip(t, map[string]string{"bin/compile": "x", "manifest.yml": "stack: cflinuxfs3\n"}),
			"windows":       packZip(t, map[string]string{"bin/compile": "x", "manifest.yml": "stack: windows\n"}),
			"no archive":    bytes.NewBufferString("hello"),
			"out of itself": packZip(t, map[string]string{"bin/compile": "x", "../../etc/passwd": "x"}),
		} {
			_, err := c.UploadBuildpack(ctx, named("words"), client.Zip, "w.zip", files)
			if !fault.Is(err, fault.Invalid) || fault.Of(err).Try == "" {
				t.Errorf("%s: %v", name, err)
			}
			got, err := c.Buildpack(ctx, named("words"))
			must(t, err)
			if got.Digest != b.Digest || got.Refused == "" {
				t.Errorf("%s: it became %+v", name, got)
			}
		}
		if _, err := c.UploadBuildpack(ctx, named("words"), client.Zip, "w.zip", bytes.NewReader(make([]byte, 1<<20+1))); !fault.Is(err, fault.TooLarge) {
			t.Errorf("too large: %v", err)
		}
		if _, err := c.UploadBuildpack(ctx, named("words"), "text/plain", "w.zip", strings.NewReader("x")); !fault.Is(err, fault.Invalid) {
			t.Errorf("as text: %v", err)
		}
		if _, err := c.UploadBuildpack(ctx, named("words"), client.Zip, "w.zip", iotest.ErrReader(errors.New("the line is dead"))); err == nil {
			t.Error("an upload that broke off was taken")
		}
		if _, err := c.UploadBuildpack(ctx, named("other"), client.Zip, "w.zip", packZip(t, words)); !fault.Is(err, fault.NotFound) {
			t.Errorf("one that there is not: %v", err)
		}
	})
	t.Run("what is changed", func(t *testing.T) {
		yes, no, last, odd, stack := true, false, 9, "no such/name", "windows"
		second, err := c.CreateBuildpack(ctx, client.NewBuildpack{Name: "second", Position: 7, Disabled: true, Stack: "cflinuxfs3"})
		must(t, err)
		if second.Position != 2 || second.Enabled {
			t.Errorf("made %+v", second)
		}
		got, err := c.ChangeBuildpack(ctx, named(first.ID), client.BuildpackChange{Position: &last, Enabled: &no, Locked: &yes})
		must(t, err)
		if got.Position != 2 || got.Enabled || !got.Locked {
			t.Errorf("changed %+v", got)
		}
		if _, err := c.UploadBuildpack(ctx, named("words"), client.Zip, "w.zip", packZip(t, words)); !fault.Is(err, fault.Conflict) || !strings.Contains(fault.Of(err).Try, "--unlock") {
			t.Errorf("locked: %v", err)
		}
		for name, in := range map[string]client.BuildpackChange{"name": {Name: &odd}, "stack": {Stack: &stack}} {
			if _, err := c.ChangeBuildpack(ctx, named("second"), in); !fault.Is(err, fault.Invalid) {
				t.Errorf("a bad %s: %v", name, err)
			}
		}
		if _, err := c.CreateBuildpack(ctx, client.NewBuildpack{Name: "second", Stack: "cflinuxfs3"}); !fault.Is(err, fault.Conflict) {
			t.Errorf("a name twice: %v", err)
		}
		all, err := c.Buildpacks(ctx)
		must(t, err)
		if len(all) != 2 || all[0].Name != "second" || all[1].Name != "words" {
			t.Errorf("all are %+v", all)
		}
	})
	t.Run("one name on two stacks", func(t *testing.T) {
		_, err := c.CreateBuildpack(ctx, client.NewBuildpack{Name: "words"})
		must(t, err)
		if _, err := c.Buildpack(ctx, named("words")); !fault.Is(err, fault.Conflict) {
			t.Errorf("which of them: %v", err)
		}
		if got, err := c.Buildpack(ctx, client.PickedBuildpack{Name: "words", Stack: "cflinuxfs4"}); err != nil || got.ID != first.ID {
			t.Errorf("%+v, %v", got, err)
		}
		must(t, c.DeleteBuildpack(ctx, client.PickedBuildpack{Name: "words", Stack: "none"}))
		must(t, c.DeleteBuildpack(ctx, named(first.ID)))
		if err := c.DeleteBuildpack(ctx, named("words")); !fault.Is(err, fault.NotFound) {
			t.Errorf("deleted twice: %v", err)
		}
	})
}
