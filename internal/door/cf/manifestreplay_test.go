package cf_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestReplayOfManifests sends what real clients sent to push with a manifest and
// without, to run tasks, to get in and to delete. No instance runs here.
func TestReplayOfManifests(t *testing.T) {
	for _, file := range transcripts(t, "manifest") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			w := newWorld(t)
			w.login("admin")
			p := &player{world: w, names: map[string]string{"org": string(w.org.ID), "space": string(w.space.ID), "now": "1"}}
			p.play(t, file, 130, p.act)
		})
	}
}

// TestReplayOfPorts sends what real clients sent about router groups and routes of
// ports.
func TestReplayOfPorts(t *testing.T) {
	for _, file := range transcripts(t, "tcp") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			w := newWorldWith(t, withPorts)
			shop := w.shop("shop")
			routes, err := w.store.RoutesOf(t.Context(), shop.ID)
			must(t, err)
			w.login("admin")
			p := &player{world: w, names: map[string]string{"org": string(w.org.ID), "space": string(w.space.ID), "http": string(routes[0].ID)}}
			p.play(t, file, 45, p.act)
		})
	}
}

// act sends a request and says what is wrong with the answer. Of a list with one
// thing that thing can be kept, and of a build its droplet.
func (p *player) act(request string, want []string) string {
	method, rest, _ := strings.Cut(request, " ")
	path, body, _ := strings.Cut(rest, " ")
	path = p.filled(path)
	var status int
	var header http.Header
	var answer map[string]any
	switch method {
	case "upload":
		status, answer = p.upload(strings.Split(path, "/")[3], map[string]string{"index.html": "hello"}, nil)
	case "yaml":
		status, header, answer = p.manifest(path, strings.ReplaceAll(body, `\n`, "\n"))
	case http.MethodGet:
		if strings.HasSuffix(path, "/manifest") || strings.HasPrefix(path, "/routing/") {
			status, _ = p.raw(path)
			break
		}
		fallthrough
	default:
		status, header, answer = p.do(method, path, p.filled(body))
	}
	if strconv.Itoa(status) != want[0] {
		return fmt.Sprintf("got %d %v, want %s", status, answer, want[0])
	}
	for _, word := range want[1:] {
		key, value, _ := strings.Cut(word, "=")
		name := strings.Trim(value, "{}")
		switch key {
		case "one":
			all, _ := answer["resources"].([]any)
			if len(all) != 1 {
				return fmt.Sprintf("there is not one but %v", all)
			}
			p.names[name] = fmt.Sprint(all[0].(map[string]any)["guid"])
		case "droplet":
			made, _ := answer["droplet"].(map[string]any)
			p.names[name] = fmt.Sprint(made["guid"])
		default:
			if why := p.expect(word, header, answer); why != "" {
				return why
			}
		}
	}
	return ""
}
