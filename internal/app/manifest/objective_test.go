package manifest_test

import (
	"os"
	"strings"
	"testing"

	"naru/internal/app/manifest"
)

// The manifest that the documentation shows is right.
func TestDocumentedObjectives(t *testing.T) {
	text, err := os.ReadFile("../../../docs/slo.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(text), "```yaml slo-manifest.yml\n")
	block, _, closed := strings.Cut(block, "```")
	if !ok || !closed {
		t.Fatal("docs/slo.md shows no manifest")
	}
	f, err := manifest.Parse("slo-manifest.yml", []byte(block))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(f.Applications[0].Objectives); n != 7 {
		t.Errorf("%d objectives were read, want 7", n)
	}
}
