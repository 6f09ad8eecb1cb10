package cli_test

import (
	"os"
	"path/filepath"
	"testing"

	"naru/internal/atomicfile"
	"naru/internal/cli"
)

// The manual in docs is what the commands say. NARU_UPDATE=1 writes it again.
func TestReferenceIsCurrent(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "reference", "cli.md")
	want := cli.Reference()
	if os.Getenv("NARU_UPDATE") != "" {
		must(t, atomicfile.Write(path, []byte(want), 0o644))
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the commands say (%v); run: NARU_UPDATE=1 go test -run TestReferenceIsCurrent ./internal/cli", path, err)
	}
}
