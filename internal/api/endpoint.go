package api

import (
	"context"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/pipeline/operation"
)

// Route is one line of the page of routes: what is asked, what it takes to be
// allowed to, who answers.
type Route struct {
	Method  string
	Path    string
	Action  auth.Action
	Summary string
	answer  answer
}

// answer registers a handler for an operation of the document.
type answer func(s *server, op huma.Operation)

type body[T any] struct{ Body T }

type accepted struct {
	Location string `header:"Location" doc:"where the operation is"`
	Body     client.Operation
}

// nothing is the input of a handler that needs no more than what its path names.
type nothing struct{}

// register gives a handler to huma, its errors in the form of all others.
func register[I, O any](s *server, op huma.Operation, fn func(context.Context, *I) (*O, error)) {
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := fn(ctx, in)
		if err != nil {
			return nil, s.problemOf(ctx, err)
		}
		return out, nil
	})
}

// call answers 200 with what fn returns.
func call[I, O any](fn func(context.Context, *I) (O, error)) answer {
	return func(s *server, op huma.Operation) {
		register(s, op, func(ctx context.Context, in *I) (*body[O], error) {
			out, err := fn(ctx, in)
			return &body[O]{out}, err
		})
	}
}

// create is call, with 201.
func create[I, O any](fn func(context.Context, *I) (O, error)) answer {
	return func(s *server, op huma.Operation) {
		op.DefaultStatus = http.StatusCreated
		call(fn)(s, op)
	}
}

// done answers 204.
func done[I any](fn func(context.Context, *I) error) answer {
	return func(s *server, op huma.Operation) {
		op.DefaultStatus = http.StatusNoContent
		register(s, op, func(ctx context.Context, in *I) (*nothing, error) { return &nothing{}, fn(ctx, in) })
	}
}

// accept answers 202 with the operation that fn started.
func accept[I any](fn func(context.Context, *I) (operation.Operation, error)) answer {
	return func(s *server, op huma.Operation) {
		op.DefaultStatus = http.StatusAccepted
		register(s, op, func(ctx context.Context, in *I) (*accepted, error) {
			o, err := fn(ctx, in)
			return &accepted{"/v1/operations/" + string(o.ID), operationOf(o)}, err
		})
	}
}

// large allows a JSON request the size of a list of files.
func large(a answer) answer {
	return func(s *server, op huma.Operation) {
		op.MaxBodyBytes = s.cfg.ManifestBytes
		a(s, op)
	}
}

// unrepeated marks an answer that holds a secret, so that it is not remembered
// for a second request with the same key.
func unrepeated(a answer) answer {
	return func(s *server, op huma.Operation) {
		op.Middlewares = op.Middlewares[:1]
		a(s, op)
	}
}

// document is the OpenAPI document before it has routes.
func (s *server) document() huma.Config {
	cfg := huma.DefaultConfig("naru", s.cfg.Version)
	cfg.Info.Description = "The API of naru. Errors are application/problem+json with kind, field, message and try. " +
		"Requests that change something take an Idempotency-Key; asking twice with one key is the same as asking once. " +
		"Long work is answered with 202 and an operation, whose events can be followed and resumed."
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", ""
	cfg.CreateHooks = nil
	cfg.Formats = map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat}
	cfg.RejectUnknownQueryParameters = true
	cfg.Transformers = []huma.Transformer{s.translate}
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "an access token or an API token"},
	}
	return cfg
}

// schema is how the document describes a value.
func (s *server) schema(v any) *huma.Schema {
	return s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(v), true, "")
}

var inPath = regexp.MustCompile(`\{(\w+)\}`)

// named says what the parts of a path mean that the guard resolves.
var named = map[string]string{
	"org": "organisation, by name or id", "space": "space, by name or id",
	"app": "app, by name or id", "operation": "operation id",
}

// operation is a route as the document has it.
func (s *server) operation(r Route) huma.Operation {
	op := huma.Operation{
		Method: r.Method, Path: r.Path, Summary: r.Summary, OperationID: operationID(r), Tags: []string{tag(r.Path)},
		MaxBodyBytes: s.cfg.RequestBytes, BodyReadTimeout: s.cfg.ReadTimeout,
		Middlewares: huma.Middlewares{s.guard(r), s.once},
		Extensions:  map[string]any{"x-naru-action": string(r.Action)},
		Responses: map[string]*huma.Response{"default": {
			Description: "what went wrong",
			Content: map[string]*huma.MediaType{problemType: {
				Schema: s.schema(client.Problem{}),
			}},
		}},
	}
	if r.Action != public {
		op.Security = []map[string][]string{{"bearer": {}}}
	}
	text := &huma.Schema{Type: huma.TypeString}
	for _, m := range inPath.FindAllStringSubmatch(r.Path, -1) {
		if doc, ok := named[m[1]]; ok {
			op.Parameters = append(op.Parameters, &huma.Param{Name: m[1], In: "path", Required: true, Description: doc, Schema: text})
		}
	}
	if r.Method != http.MethodGet && r.Action != public {
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: "Idempotency-Key", In: "header", Schema: text,
			Description: "any text of at most 255 bytes; a second request with it gets the answer of the first",
		})
	}
	return op
}

// finish takes out what huma adds and nobody uses.
func finish(doc *huma.OpenAPI) {
	delete(doc.Components.Schemas.Map(), "ErrorModel")
	delete(doc.Components.Schemas.Map(), "ErrorDetail")
}

// tag is the noun a path is about.
func tag(path string) string {
	parts := slices.DeleteFunc(strings.Split(strings.TrimPrefix(path, "/v1/"), "/"), func(p string) bool { return strings.HasPrefix(p, "{") })
	for _, noun := range []string{"grants", "events", "operations", "credentials", "certificates", "domains", "drains", "quotas", "quota", "buildpacks", "services", "bindings", "variables", "alerts", "receivers", "silences", "deliveries", "source", "traces", "dependencies", "routes", "releases", "tasks", "apps"} {
		if slices.Contains(parts, noun) {
			return noun
		}
	}
	switch last := parts[len(parts)-1]; last {
	case "pushes", "check", "plans":
		return "apps"
	case "info", "metrics", "healthz", "readyz", "doctor", "backup", "gc", "rotate", "builders":
		return "platform"
	case "password", "tokens", "me":
		return "me"
	}
	if slices.Contains(parts, "spaces") {
		return "spaces"
	}
	return parts[0]
}

func operationID(r Route) string {
	path := inPath.ReplaceAllString(strings.TrimPrefix(strings.TrimPrefix(r.Path, "/v1"), "/"), "by-$1")
	path = strings.NewReplacer("orgs/by-org/spaces/by-space", "space", "orgs/by-org", "org", "apps/by-app", "app", "/", "-").Replace(path)
	return strings.ToLower(r.Method) + "-" + path
}
