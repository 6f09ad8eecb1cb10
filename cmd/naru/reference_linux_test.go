package main

import (
	"os"
	"path/filepath"
	"testing"

	"naru/internal/atomicfile"
	"naru/internal/cli"
)

// The manual in docs is what the commands say, those of the server side too.
// NARU_UPDATE=1 writes it again.
func TestReferenceIsCurrent(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "reference", "cli.md")
	want := cli.Reference(roles()...)
	if os.Getenv("NARU_UPDATE") != "" {
		if err := atomicfile.Write(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the commands say (%v); run: make generate", path, err)
	}
}
