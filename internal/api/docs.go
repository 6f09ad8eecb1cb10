package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
)

// Document is the OpenAPI document of the API, indented, the same for the same
// version.
func Document(version string) ([]byte, error) {
	s, _ := assemble(Services{}, Config{Version: version}, nil)
	doc, err := json.Marshal(s.api.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, doc, "", "  "); err != nil {
		return nil, fmt.Errorf("indent the OpenAPI document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// serveDocs serves the document, a page of it that needs nothing from elsewhere,
// and a problem for every other path.
func (s *server) serveDocs(mux *http.ServeMux) {
	doc, err := json.Marshal(s.api.OpenAPI())
	if err != nil {
		panic(err) // only a type that JSON cannot say, which a test would see
	}
	var html bytes.Buffer
	if err := docsPage.Execute(&html, s.routes()); err != nil {
		panic(err) // the template is part of the program
	}
	serve := func(kind string, body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(body) // whether the client reads is its own affair
		}
	}
	mux.HandleFunc("GET /v1/openapi.json", serve("application/openapi+json", doc))
	mux.HandleFunc("GET /v1/docs", serve("text/html; charset=utf-8", html.Bytes()))
	mux.HandleFunc("/", s.unknown)
}

var docsPage = template.Must(template.New("docs").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>naru API</title>
<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}
td{padding:.15rem 1rem .15rem 0;vertical-align:top}code{font-size:.9em}</style>
<h1>naru API</h1>
<p>The whole document: <a href="/v1/openapi.json">/v1/openapi.json</a> (OpenAPI 3.1).</p>
<table>{{range .}}<tr><td><code>{{.Method}}</code><td><code>{{.Path}}</code><td>{{.Summary}}<td><code>{{.Action}}</code>
{{end}}</table></html>
`))
