package cf_test

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/id"
)

// TestReplayOfPushes sends what real clients sent on the way from files to a
// droplet, with the files.
func TestReplayOfPushes(t *testing.T) {
	for _, file := range transcripts(t, "push") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			w := newWorld(t)
			w.login("admin")
			p := &player{world: w, names: map[string]string{"org": string(w.org.ID), "space": string(w.space.ID)}}
			for _, name := range []string{"rec", "rec2"} {
				a, err := w.store.CreateApp(t.Context(), app.App{ID: app.ID(id.New()), Space: w.space.ID, Name: name, Slug: name, State: app.Stopped})
				must(t, err)
				p.names[strings.Replace(name, "rec", "app", 1)] = string(a.ID)
			}
			p.play(t, file, 50, p.step)
		})
	}
}

// step is exchange for requests whose answer may be a file, with two words more:
// the state of what is answered, and the droplet of a build.
func (p *player) step(request string, want []string) string {
	method, rest, _ := strings.Cut(request, " ")
	path, body, _ := strings.Cut(rest, " ")
	path = p.filled(path)
	var status int
	var answer map[string]any
	switch {
	case method == "upload":
		status, answer = p.upload(strings.Split(path, "/")[3], map[string]string{"index.html": "hello"}, nil)
	case strings.HasSuffix(path, "/download"):
		status, _ = p.raw(path)
	default:
		status, _, answer = p.do(method, path, p.filled(body))
	}
	if strconv.Itoa(status) != want[0] {
		return fmt.Sprintf("got %d %v, want %s", status, answer, want[0])
	}
	for _, word := range want[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "state":
			if got := fmt.Sprint(answer["state"]); got != value {
				return fmt.Sprintf("the state is %s, want %s", got, value)
			}
		case "droplet":
			made, _ := answer["droplet"].(map[string]any)
			p.names[strings.Trim(value, "{}")] = fmt.Sprint(made["guid"])
		default:
			if why := p.expect(word, nil, answer); why != "" {
				return why
			}
		}
	}
	return ""
}
