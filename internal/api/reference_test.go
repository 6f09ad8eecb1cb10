package api_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"naru/internal/api"
	"naru/internal/atomicfile"
)

//go:generate go test -run TestReferenceIsUpToDate . -update

var update = flag.Bool("update", false, "write docs/reference/openapi.json and docs/reference/api.md")

func TestReferenceIsUpToDate(t *testing.T) {
	doc, err := api.Document("1")
	must(t, err)
	dir := filepath.Join("..", "..", "docs", "reference")
	for name, want := range map[string][]byte{"openapi.json": doc, "api.md": markdown(t, doc)} {
		path := filepath.Join(dir, name)
		if *update {
			must(t, os.MkdirAll(dir, 0o755))
			must(t, atomicfile.Write(path, want, 0o644))
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the routes say (%v); run go generate ./internal/api", path, err)
		}
	}
}

// document is the part of an OpenAPI document that the reference shows.
type document struct {
	Paths      map[string]map[string]docOperation
	Components struct{ Schemas map[string]docSchema }
}

type docOperation struct {
	Summary     string
	Tags        []string
	Action      string `json:"x-naru-action"`
	Parameters  []docParam
	RequestBody struct{ Content map[string]docContent }
	Responses   map[string]struct{ Content map[string]docContent }
}

type docParam struct {
	Name, In, Description string
	Schema                docSchema
}

type docContent struct{ Schema docSchema }

type docSchema struct {
	Ref                  string `json:"$ref"`
	Type                 any
	Format, Description  string
	Enum                 []any
	Items                *docSchema
	Required             []string
	Properties           map[string]docSchema
	AdditionalProperties any
}

func markdown(t *testing.T, raw []byte) []byte {
	t.Helper()
	var doc document
	must(t, json.Unmarshal(raw, &doc))
	type line struct{ method, path string }
	byTag := map[string][]line{}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			byTag[op.Tags[0]] = append(byTag[op.Tags[0]], line{strings.ToUpper(method), path})
		}
	}
	var b bytes.Buffer
	b.WriteString(head)
	for _, tag := range slices.Sorted(maps.Keys(byTag)) {
		fmt.Fprintf(&b, "\n## %s\n", tag)
		lines := byTag[tag]
		slices.SortFunc(lines, func(x, y line) int { return cmp.Or(cmp.Compare(x.path, y.path), cmp.Compare(x.method, y.method)) })
		for _, l := range lines {
			doc.Paths[l.path][strings.ToLower(l.method)].markdown(&b, l.method, l.path)
		}
	}
	b.WriteString("\n## Types\n")
	for _, name := range slices.Sorted(maps.Keys(doc.Components.Schemas)) {
		doc.Components.Schemas[name].markdown(&b, name)
	}
	return b.Bytes()
}

const head = `# API reference

Generated from the routes; do not edit. The same as a document for programs is
[openapi.json](openapi.json), which a server also gives at ` + "`/v1/openapi.json`" + `.

- Requests carry ` + "`Authorization: Bearer TOKEN`" + ` unless their permission is ` + "`public`" + `; for
  ` + "`loggedin`" + ` any login will do. What may not be seen is answered with 404, what may be seen and
  not done with 403.
- ` + "`{org}`, `{space}` and `{app}`" + ` are names or ids.
- Errors are ` + "`application/problem+json`" + `, see Problem below.
- Requests that change something take an ` + "`Idempotency-Key`" + `; a second request with it gets the
  answer of the first.
- Long work is answered with 202, an Operation, and where it is in ` + "`Location`" + `.
- Streams are JSON lines; after a break they go on with ` + "`after`" + ` (operations) or ` + "`cursor`" + ` (logs).
  A line of status ` + "`alive`" + `, or with ` + "`alive`" + `, says only that the connection works.
- Lists have ` + "`items`" + `, and ` + "`next`" + ` where there is another page: give it as ` + "`after`" + `.
`

func (op docOperation) markdown(b *bytes.Buffer, method, path string) {
	fmt.Fprintf(b, "\n### %s %s\n\n%s. Permission: `%s`.\n", method, path, op.Summary, op.Action)
	var params []docParam
	for _, p := range op.Parameters {
		if p.Name != "Idempotency-Key" && !slices.Contains([]string{"org", "space", "app", "operation"}, p.Name) || p.In == "query" {
			params = append(params, p)
		}
	}
	if len(params) > 0 {
		b.WriteString("\n| parameter | in | type | |\n|---|---|---|---|\n")
		for _, p := range params {
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", p.Name, p.In, p.Schema.typeName(), cell(p.Description))
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(op.RequestBody.Content)) {
		fmt.Fprintf(b, "\nTakes %s as `%s`.\n", op.RequestBody.Content[kind].Schema.typeName(), kind)
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		if status == "default" {
			continue
		}
		content := op.Responses[status].Content
		if len(content) == 0 {
			fmt.Fprintf(b, "\nAnswers %s.\n", status)
		}
		for _, kind := range slices.Sorted(maps.Keys(content)) {
			as := ""
			if kind != "application/json" {
				as = " as `" + kind + "`"
			}
			fmt.Fprintf(b, "\nAnswers %s: %s%s.\n", status, content[kind].Schema.typeName(), as)
		}
	}
}

func (s docSchema) markdown(b *bytes.Buffer, name string) {
	fmt.Fprintf(b, "\n### %s\n\n| field | type | |\n|---|---|---|\n", name)
	for _, field := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[field]
		may := ""
		if !slices.Contains(s.Required, field) {
			may = "?"
		}
		fmt.Fprintf(b, "| `%s`%s | %s | %s |\n", field, may, p.typeName(), cell(p.Description))
	}
}

func (s docSchema) typeName() string {
	kind := s.Type
	if list, ok := kind.([]any); ok {
		kind = list[0]
	}
	switch {
	case s.Ref != "":
		name := s.Ref[strings.LastIndex(s.Ref, "/")+1:]
		return "[" + name + "](#" + strings.ToLower(name) + ")"
	case len(s.Enum) > 0:
		words := []string{}
		for _, v := range s.Enum {
			words = append(words, fmt.Sprintf("`%v`", v))
		}
		return strings.Join(words, ", ")
	case s.Items != nil:
		return "list of " + s.Items.typeName()
	case kind == "object":
		return "object"
	case s.Format == "date-time":
		return "time"
	case s.Format == "binary":
		return "bytes"
	case kind == nil:
		return "any"
	}
	return fmt.Sprint(kind)
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
