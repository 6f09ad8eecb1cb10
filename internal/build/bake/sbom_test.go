package bake_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xeipuuv/gojsonschema"
)

// validateCycloneDX uses the schema that comes with the library's source.
func validateCycloneDX(t *testing.T, bom []byte) {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatalf("find the schema: %v", err)
	}
	folder := filepath.Join(strings.TrimSpace(string(dir)), "schema")
	schemas := gojsonschema.NewSchemaLoader()
	for id, file := range map[string]string{
		"http://cyclonedx.org/schema/spdx.schema.json":     "spdx.schema.json",
		"http://cyclonedx.org/schema/jsf-0.82.schema.json": "jsf-0.82.schemax.json",
	} {
		raw, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := schemas.AddSchema(id, gojsonschema.NewBytesLoader(raw)); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(folder, "bom-1.6.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := schemas.Compile(gojsonschema.NewBytesLoader(raw))
	if err != nil {
		t.Fatal(err)
	}
	res, err := schema.Validate(gojsonschema.NewBytesLoader(bom))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range res.Errors() {
		t.Errorf("bill of materials: %s", e)
	}
}
