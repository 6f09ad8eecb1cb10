package cf_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Every manifest that Cloud Foundry refuses gets its errors, to the letter and all at
// once, and makes no app.
func TestWrongManifestsAreRefused(t *testing.T) {
	w := newWorld(t)
	w.login("admin")
	w.shop("shop")
	status, _, _ := w.manifest(w.applyPath(), "applications: [{name: image, docker: {image: a}}]")
	if status != 202 {
		t.Fatalf("got %d", status)
	}
	const (
		wrong   = "10008 CF-UnprocessableEntity "
		units   = " must use a supported unit: B, K, KB, M, MB, G, GB, T, or TB"
		list    = "Services must be a list of service instances"
		feature = "Features must be a map of valid feature names to booleans (true = enabled, false = disabled)"
		routes  = "Routes must be a list of route objects"
		longest = "4096 characters"
	)
	long := strings.Repeat("x", 4097)
	for name, tc := range map[string]struct {
		app  string   // what the application says beside its name, x
		want []string // after "For application 'x': "
	}{
		// Sizes and numbers, of the app and of a process.
		"memory, no unit":         {"memory: 200INVALID", []string{`Process "web": Memory` + units}},
		"memory, with a space":    {"memory: 1 G", []string{`Process "web": Memory` + units}},
		"memory, negative":        {"memory: -1MB", []string{`Process "web": Memory must be greater than 0MB`}},
		"memory, negative bytes":  {"memory: -35B", []string{`Process "web": Memory must be greater than 0MB`}},
		"memory, less than 1 MB":  {"memory: 1048575B", []string{`Process "web": Memory must be greater than 0MB`}},
		"memory, none":            {"memory: 0M", []string{`Process "web": Memory must be greater than 0MB`}},
		"memory, no number":       {"memory: lots", []string{`Process "web": Memory is not a number`}},
		"memory beside web":       {"memory: lots, processes: [{type: web, memory: 1G}]", []string{`Process "web": Memory is not a number`}},
		"disk, no unit":           {"disk_quota: 200INVALID", []string{`Process "web": Disk quota` + units}},
		"disk, zero":              {"disk_quota: 0", []string{`Process "web": Disk quota` + units}},
		"disk, negative":          {"disk-quota: -1MB", []string{`Process "web": Disk quota must be greater than 0MB`}},
		"disk, no number":         {"disk-quota: gerg", []string{`Process "web": Disk quota is not a number`}},
		"log rate, no unit":       {"log-rate-limit-per-second: 9999", []string{`Process "web": Log rate limit per second` + units}},
		"log rate, wrong unit":    {"log-rate-limit-per-second: 200INVALID", []string{`Process "web": Log rate limit per second` + units}},
		"log rate, no number":     {"log-rate-limit-per-second: kumara", []string{`Process "web": Log rate limit per second is not a number`}},
		"log rate, negative":      {"log-rate-limit-per-second: -1M", []string{`Process "web": Log rate limit must be an integer greater than or equal to -1`}},
		"instances, no number":    {"instances: silly", []string{`Process "web": Instances is not a number`}},
		"instances, a part":       {"instances: 3.5", []string{`Process "web": Instances must be an integer`}},
		"instances, negative":     {"instances: -1", []string{`Process "web": Instances must be greater than or equal to 0`}},
		"instances, too many":     {"instances: 2000001", []string{`Process "web": Instances must be less than or equal to 2000000`}},
		"timeout, zero":           {"timeout: 0", []string{`Process "web": Timeout must be greater than or equal to 1`}},
		"timeout, no number":      {"timeout: yam", []string{`Process "web": Timeout is not a number`}},
		"timeout, a part":         {"timeout: 1.5", []string{`Process "web": Timeout must be an integer`}},
		"invocation timeout":      {"health-check-invocation-timeout: 0", []string{`Process "web": Health check invocation timeout must be greater than or equal to 1`}},
		"interval":                {"health-check-interval: yucca", []string{`Process "web": Health check interval is not a number`}},
		"readiness, invocation":   {"readiness-health-check-invocation-timeout: -8", []string{`Process "web": Readiness health check invocation timeout must be greater than or equal to 1`}},
		"readiness, interval":     {"readiness-health-check-interval: -1", []string{`Process "web": Readiness health check interval must be greater than or equal to 1`}},
		"health check":            {"health-check-type: ping", []string{`Process "web": Health check type must be "port", "process", or "http"`}},
		"readiness check":         {"readiness-health-check-type: ping", []string{`Process "web": Readiness health check type must be "port", "process", or "http"`}},
		"endpoint":                {"health-check-type: http, health-check-http-endpoint: potato", []string{`Process "web": Health check http endpoint must be a valid URI path`}},
		"endpoint with a space":   {"health-check-type: http, health-check-http-endpoint: /potato potahto", []string{`Process "web": Health check http endpoint must be a valid URI path`}},
		"endpoint of a port":      {"health-check-type: port, health-check-http-endpoint: /up", []string{`Process "web": Health check type must be "http" to set a health check HTTP endpoint`}},
		"readiness, endpoint":     {"readiness-health-check-type: http, readiness-health-check-http-endpoint: potato potahto", []string{`Process "web": Readiness health check http endpoint must be a valid URI path`}},
		"readiness of a port":     {"readiness-health-check-type: port, readiness-health-check-http-endpoint: /up", []string{`Process "web": Readiness health check type must be "http" to set a health check HTTP endpoint`}},
		"command, empty":          {"command: ''", []string{`Process "web": Command must be between 1 and ` + longest}},
		"command, long":           {"command: " + long, []string{`Process "web": Command must be between 1 and ` + longest}},
		"command, a number":       {"command: 1", []string{`Process "web": Command must be a string`}},
		"processes, no list":      {"processes: string", []string{"Processes must be an array of process configurations"}},
		"process without type":    {"processes: [{instances: 3}]", []string{"All Processes must specify a type"}},
		"process with empty type": {"processes: [{type: '', instances: 3}, {type: null, instances: 2}]", []string{"All Processes must specify a type"}},
		"process twice":           {"processes: [{type: foo}, {type: foo}, {type: bob}, {type: bob}]", []string{`Process "foo" may only be present once`, `Process "bob" may only be present once`}},
		"process, much": {
			"processes: [{type: type1, instances: -30, memory: potato, disk_quota: '100', log-rate-limit-per-second: kumara, health-check-type: sweet_potato, health-check-http-endpoint: /healthcheck_potato, " +
				"health-check-invocation-timeout: yucca, health-check-interval: yucca, readiness-health-check-type: meow-tuber, readiness-health-check-invocation-timeout: -8, " +
				"readiness-health-check-http-endpoint: potato potahto, readiness-health-check-interval: yucca, command: '', user: '', timeout: yam}]",
			[]string{
				`Process "type1": Command must be between 1 and 4096 characters`,
				`Process "type1": User must be between 1 and 255 characters`,
				`Process "type1": Disk quota` + units,
				`Process "type1": Log rate limit per second is not a number`,
				`Process "type1": Instances must be greater than or equal to 0`,
				`Process "type1": Memory is not a number`,
				`Process "type1": Timeout is not a number`,
				`Process "type1": Health check type must be "port", "process", or "http"`,
				`Process "type1": Health check type must be "http" to set a health check HTTP endpoint`,
				`Process "type1": Health check invocation timeout is not a number`,
				`Process "type1": Health check interval is not a number`,
				`Process "type1": Readiness health check interval is not a number`,
				`Process "type1": Readiness health check type must be "port", "process", or "http"`,
				`Process "type1": Readiness health check invocation timeout must be greater than or equal to 1`,
				`Process "type1": Readiness health check http endpoint must be a valid URI path`,
				`Process "type1": Readiness health check type must be "http" to set a health check HTTP endpoint`,
			},
		},

		// How the image is made.
		"buildpack, a number":      {"buildpack: 99", []string{"Buildpack must be a string"}},
		"buildpack, empty":         {"buildpack: ''", []string{"Buildpack must be between 1 and " + longest}},
		"buildpack, long":          {"buildpack: " + long, []string{"Buildpack must be between 1 and " + longest}},
		"buildpacks, no list":      {"buildpacks: go_buildpack", []string{"Buildpacks must be an array"}},
		"buildpacks, a number":     {"buildpacks: [go_buildpack, 99]", []string{"Buildpacks can only contain strings"}},
		"buildpacks, empty":        {"buildpacks: ['']", []string{"Buildpacks entries must be between 1 and " + longest}},
		"both buildpacks":          {"buildpack: go_buildpack, buildpacks: [go_buildpack]", []string{"Buildpack and Buildpacks fields cannot be used together."}},
		"unknown buildpack":        {"buildpacks: [mine]", []string{"naru has no buildpack 'mine': it has dockerfile, node, go, python, maven, gradle, jar, java, procfile, static. Leave it out, so that the source decides, or add a Dockerfile"}},
		"stack, a number":          {"stack: 99", []string{"Stack must be a string"}},
		"stack, empty":             {"stack: ''", []string{"Stack must be between 1 and " + longest}},
		"stack, unknown":           {"stack: beos", []string{"Stack must be an existing stack ('beos'): leave it out, or take one of cf stacks"}},
		"docker with a buildpack":  {"docker: {image: a}, buildpack: go_buildpack", []string{"Cannot specify both buildpack(s) and docker keys"}},
		"docker with buildpacks":   {"docker: {image: a}, buildpacks: [go_buildpack]", []string{"Cannot specify both buildpack(s) and docker keys"}},
		"cnb":                      {"lifecycle: cnb, buildpacks: ['docker://p']", []string{"naru has no Cloud Native Buildpacks: leave the lifecycle out, so that naru finds out how the source is built, or add a Dockerfile"}},
		"lifecycle":                {"lifecycle: moon", []string{"Lifecycle must be one of buildpack, cnb, docker"}},
		"docker, and a buildpack":  {"docker: {image: a}, lifecycle: buildpack", []string{"Cannot specify both lifecycle buildpack and docker keys"}},
		"sidecars, no list":        {"sidecars: string", []string{"Sidecars must be an array of sidecar configurations"}},
		"sidecars":                 {"sidecars: [{name: s, command: c, process_types: [web]}]", []string{"naru has no sidecars: give what runs beside the app a process type of its own (processes), or start it from the app's command"}},
		"log rate":                 {"log-rate-limit-per-second: 1K", []string{`Process "web": naru limits logs for all apps alike (logs.rate), not app by app: leave log-rate-limit-per-second out`}},
		"two checks":               {"health-check-type: http, health-check-http-endpoint: /a, readiness-health-check-type: http, readiness-health-check-http-endpoint: /b", []string{`Process "web": naru has one check that decides both health and readiness: give the same endpoint to both, or leave the readiness check out`}},
		"feature, unknown":         {"features: {flying: true}", []string{feature}},
		"feature, no boolean":      {"features: {ssh: on fire}", []string{feature}},
		"features, no map":         {"features: [ssh]", []string{feature}},
		"features, none":           {"features: {}", []string{feature}},
		"feature, not switched":    {"features: {revisions: false}", []string{"naru keeps the releases of every app: the feature revisions cannot be switched off"}},
		"features, two that clash": {"features: {service-binding-k8s: true, file-based-vcap-services: true}", []string{"'file-based-vcap-services' and 'service-binding-k8s' features cannot be enabled at the same time."}},

		// The environment.
		"env, no map":     {"env: im-not-an-object", []string{"Env must be an object of keys and values"}},
		"env, a list":     {"env: [A]", []string{"Env must be an object of keys and values"}},
		"env, names":      {"env: {VCAP_BAD_KEY: 1, VMC_BAD_KEY: hey, PORT: 5, '': a}", []string{"Env cannot set PORT", "Env cannot start with VCAP_", "Env cannot start with VMC_", "Env key must be a minimum length of 1"}},
		"env, small":      {"env: {vcap_x: 1, vmcx: 2, port: 3}", []string{"Env cannot set PORT", "Env cannot start with VCAP_", "Env cannot start with VMC_"}},
		"env, no text":    {"env: {1: a}", []string{"Env key must be a string"}},
		"metadata":        {"metadata: labels", []string{"Metadata must be an object"}},
		"metadata, other": {"metadata: {colours: {a: b}}", []string{"Metadata has unexpected field(s): 'colours'"}},
		"labels":          {"metadata: {labels: [a]}", []string{"Metadata 'labels' is not an object"}},
		"annotations":     {"metadata: {annotations: a}", []string{"Metadata 'annotations' is not an object"}},

		// Routes.
		"routes, texts":          {"routes: [blah]", []string{routes}},
		"routes, no list":        {"routes: {route: a.localhost}", []string{routes}},
		"route, empty":           {"routes: [{route: ''}]", []string{routes}},
		"routes, none":           {"routes: [{protocol: http1}]", []string{routes}},
		"route":                  {"routes: [{route: blah}, {route: anotherblah}, {route: 'http://a.localhost'}]", []string{"The route 'blah' is not a properly formed URL", "The route 'anotherblah' is not a properly formed URL"}},
		"route with spaces":      {"routes: [{route: 'not a.host'}]", []string{"The route 'not a.host' is not a properly formed URL"}},
		"route, scheme":          {"routes: [{route: 'ftp://a.localhost'}]", []string{"The route 'ftp://a.localhost' is not a properly formed URL"}},
		"route, no domain":       {"routes: [{route: shop.nowhere.example}]", []string{"No domains exist for route shop.nowhere.example"}},
		"route of all":           {"routes: [{route: '*.localhost'}]", []string{"You are not authorized to perform the requested action"}},
		"protocol":               {"routes: [{route: a.localhost, protocol: http3}]", []string{"Route protocol must be 'http1', 'http2' or 'tcp'."}},
		"option":                 {"routes: [{route: a.localhost, options: {speed: 1}}]", []string{"Route 'a.localhost' contains invalid route option 'speed'. Valid keys: 'loadbalancing'"}},
		"option, hashing":        {"routes: [{route: a.localhost, options: {hash_header: X-User}}]", []string{"Route 'a.localhost' contains invalid route option 'hash_header'. Valid keys: 'loadbalancing'"}},
		"options, no map":        {"routes: [{route: a.localhost, options: fast}]", []string{"Route 'a.localhost': options must be an object"}},
		"loadbalancing":          {"routes: [{route: a.localhost, options: {loadbalancing: sometimes}}]", []string{"Cannot use loadbalancing value 'sometimes' for Route 'a.localhost'; Valid values are: 'round-robin, least-connection'"}},
		"loadbalancing, no text": {"routes: [{route: a.localhost, options: {loadbalancing: 1}}]", []string{"Invalid value for 'loadbalancing' for Route 'a.localhost'; Valid values are: 'round-robin, least-connection'"}},
		"no-route":               {"no-route: perhaps", []string{"No-route must be a boolean"}},
		"random-route":           {"random-route: perhaps", []string{"Random-route must be a boolean"}},
		"default-route":          {"default-route: perhaps", []string{"Default-route must be a boolean"}},
		"two routes":             {"random-route: true, default-route: true", []string{"Random-route and default-route may not be used together"}},

		// Services.
		"services, no list":     {"services: string", []string{list}},
		"services, a number":    {"services: [1]", []string{list}},
		"services, no name":     {"services: [{binding_name: a}]", []string{list}},
		"services, other keys":  {"services: [{name: db, colour: red}]", []string{list}},
		"services, parameters":  {"services: [{name: db, parameters: [a]}]", []string{list}},
		"services, its binding": {"services: [{name: db, binding_name: {a: b}}]", []string{list}},

		"naru's own": {"naru: {strategy: {kind: sideways}}", []string{`naru.strategy.kind: "sideways" is not a strategy`}},
		"many": {"instances: -1, memory: 120, disk_quota: -120KB, buildpack: 99, stack: 99, env: a", []string{
			`Process "web": Instances must be greater than or equal to 0`, `Process "web": Memory` + units, `Process "web": Disk quota must be greater than 0MB`,
			"Buildpack must be a string", "Stack must be a string", "Env must be an object of keys and values",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range tc.want {
				tc.want[i] = wrong + "For application 'x': " + tc.want[i]
			}
			w.refused(t, "applications: [{name: x, "+tc.app+"}]", tc.want)
		})
	}
	const parse = "1001 CF-MessageParseError Request invalid due to parse error: "
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"version":           {"version: 2\napplications: [{name: x}]", []string{wrong + "Unsupported manifest schema version. Currently supported versions: [1]."}},
		"no applications":   {"memory: 1G", []string{wrong + "Cannot parse manifest with no 'applications' field."}},
		"empty":             {"applications: []", []string{wrong + "Cannot parse manifest with no 'applications' field."}},
		"null":              {"applications:", []string{wrong + "Cannot parse manifest with no 'applications' field."}},
		"no name":           {"applications: [{memory: 1G}]", []string{wrong + "For application at index 0: Name must not be empty", wrong + "For application at index 0: Name must be a string"}},
		"empty name":        {"applications: [{name: y}, {name: ''}]", []string{wrong + "For application at index 1: Name must not be empty"}},
		"name, a number":    {"applications: [{name: 9}]", []string{wrong + "For application '9': Name must be a string"}},
		"twice":             {"applications: [{name: x}, {name: x}]", []string{wrong + "For application 'x': the name is there twice"}},
		"docker of another": {"applications: [{name: shop, docker: {image: a}}]", []string{wrong + "For application 'shop': Docker cannot be configured for a buildpack lifecycle app."}},
		"packs of an image": {"applications: [{name: image, buildpacks: [go_buildpack]}]", []string{wrong + "For application 'image': Buildpacks cannot be configured for a docker lifecycle app."}},
		"pack of an image":  {"applications: [{name: image, buildpack: go_buildpack}]", []string{wrong + "For application 'image': Buildpack cannot be configured for a docker lifecycle app."}},
		"default route":     {"applications: [{name: a.b, default-route: true}]", []string{wrong + "For application 'a.b': Failed to create default route from app name: Host must be either \"*\" or contain only alphanumeric characters, \"_\", or \"-\""}},
		"service":           {"applications: [{name: x, services: [db]}]", []string{"10010 CF-ResourceNotFound For application 'x': Service instance 'db' not found"}},
		"all apps at once":  {"applications: [{name: x, memory: 1}, {name: y, stack: 9}]", []string{wrong + `For application 'x': Process "web": Memory` + units, wrong + "For application 'y': Stack must be a string"}},
		"no yaml":           {"applications: [", []string{parse + "*"}},
		"nothing":           {"", []string{parse + "*"}},
		"holds itself":      {"applications: [{name: x, env: &a {b: *a}}]", []string{parse + "*"}},
		"multiplies":        {"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\napplications: [{name: x, routes: *f}]", []string{parse + "*"}},
	} {
		t.Run(name, func(t *testing.T) { w.refused(t, tc.text, tc.want) })
	}
	if answer := w.ask(200, "GET", "/v3/apps?names=x,y,a.b", ""); fmt.Sprint(answer["pagination"].(map[string]any)["total_results"]) != "0" {
		t.Errorf("a manifest that was refused made apps: %v", answer)
	}
	if status, _, answer := w.do("POST", w.applyPath(), "applications: [{name: x}]"); status != 400 || strings.Join(details(answer), "") != "1004 CF-BadRequest Bad request: Content-Type must be yaml" {
		t.Errorf("no YAML: got %d %v", status, answer)
	}
}

// refused holds that a manifest is refused with these errors and no others, in
// whatever order; what follows a star may be anything.
func (w *world) refused(t *testing.T, text string, want []string) {
	t.Helper()
	for _, path := range []string{w.applyPath(), "/v3/spaces/" + string(w.space.ID) + "/manifest_diff"} {
		status, _, answer := w.manifest(path, text)
		got := details(answer)
		if status < 400 || status >= 500 || len(got) != len(want) {
			t.Fatalf("%s: got %d\n%s\nwant\n%s", path, status, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for _, one := range want {
			start, open := strings.CutSuffix(one, "*")
			if !slices.ContainsFunc(got, func(have string) bool { return have == one || open && strings.HasPrefix(have, start) }) {
				t.Errorf("%s: got\n%s\nwant\n%s", path, strings.Join(got, "\n"), one)
			}
		}
	}
}
