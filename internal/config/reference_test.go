package config

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the reference page instead of comparing it")

func TestTheReferencePageIsCurrent(t *testing.T) {
	const path = "../../docs/reference/configuration.md"
	want := Reference()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the settings say; run: go test ./internal/config -update", path)
	}
}
