package cf_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"naru/internal/auth"
	"naru/internal/secret"
)

// TestReplay sends what real clients sent, command by command, and compares what
// is answered: status, how many things, errors.
func TestReplay(t *testing.T) {
	files, err := filepath.Glob("testdata/cf-v*.txt")
	must(t, err)
	if len(files) == 0 {
		t.Fatal("there are no transcripts")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			w := newWorld(t)
			shop := w.shop("shop")
			routes, err := w.store.RoutesOf(t.Context(), shop.ID)
			must(t, err)
			admin, err := w.store.UserNamed(t.Context(), "admin", auth.Origin)
			must(t, err)
			who, err := w.auth.Authenticate(t.Context(), "admin", secret.New(password))
			must(t, err)
			token, _, err := w.auth.NewAPIToken(t.Context(), who, "ci", 0)
			must(t, err)
			p := &player{world: w, names: map[string]string{
				"org": string(w.org.ID), "space": string(w.space.ID), "app": string(shop.ID), "image": shop.Image, "admin": string(admin.ID),
				"route": string(routes[0].ID), "destination": routes[0].Destinations[0].ID, "host": strings.TrimPrefix(w.url, "http://"),
				"now": "1", "password": strings.ReplaceAll(password, " ", "+"), "token": token.Reveal(),
			}}
			p.play(t, file, 100, p.exchange)
		})
	}
}

// player plays a transcript; names are what the world calls what it stands for.
type player struct {
	*world
	names map[string]string
}

var placeholder = regexp.MustCompile(`\{[a-zA-Z0-9-]+\}`)

func (p *player) filled(s string) string {
	return placeholder.ReplaceAllStringFunc(s, func(m string) string {
		if v, ok := p.names[strings.Trim(m, "{}")]; ok {
			return v
		}
		return m
	})
}

// transcripts are those of a kind, of both clients.
func transcripts(t *testing.T, kind string) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/" + kind + "-v*.txt")
	must(t, err)
	if len(files) != 2 {
		t.Fatalf("there are transcripts %v, want those of two clients", files)
	}
	return files
}

// play sends what a transcript says, and holds the answers against it: step sends one
// request and says what is wrong. least is how many there must be.
func (p *player) play(t *testing.T, file string, least int, step func(request string, want []string) string) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	command, request, sent := "", "", 0
	for n, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
			command = line
		case strings.HasPrefix(line, "-> "):
			sent++
			if why := step(request, strings.Fields(line)[1:]); why != "" {
				t.Errorf("%s:%d: %s: %s: %s", file, n+1, command, request, why)
			}
		default:
			request = line
		}
	}
	if sent < least {
		t.Errorf("only %d requests were sent", sent)
	}
}

// exchange sends a request and says what is wrong with the answer.
func (p *player) exchange(request string, want []string) string {
	access := "bearer"
	if first, rest, _ := strings.Cut(request, " "); first == "open" || first == "basic" {
		access, request = first, rest
	}
	method, rest, _ := strings.Cut(request, " ")
	path, body, _ := strings.Cut(rest, " ")
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+p.filled(path), strings.NewReader(p.filled(body)))
	must(p.t, err)
	req.Header.Set("Content-Type", "application/json")
	if strings.HasSuffix(path, "/oauth/token") {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	switch access {
	case "bearer":
		req.Header.Set("Authorization", "bearer "+p.token)
	case "basic":
		req.SetBasicAuth("cf", "")
	}
	status, header, answer := p.send(req)
	if strconv.Itoa(status) != want[0] {
		return fmt.Sprintf("got %d %v, want %s", status, answer, want[0])
	}
	for _, w := range want[1:] {
		if why := p.expect(w, header, answer); why != "" {
			return why
		}
	}
	return ""
}

// expect checks one word of what a transcript says of an answer, or keeps what is
// to be kept.
func (p *player) expect(word string, header http.Header, answer map[string]any) string {
	key, value, _ := strings.Cut(word, "=")
	name := strings.Trim(value, "{}")
	switch key {
	case "token":
		p.token, _ = answer["access_token"].(string)
		p.names["jti"], _ = answer["jti"].(string)
		p.names["refresh"], _ = answer["refresh_token"].(string)
	case "results":
		page, _ := answer["pagination"].(map[string]any)
		if got := fmt.Sprint(page["total_results"]); got != value {
			return fmt.Sprintf("got %s results, want %s", got, value)
		}
	case "included":
		included, _ := answer["included"].(map[string]any)
		if got := strings.Join(slices.Sorted(maps.Keys(included)), ","); got != value {
			return fmt.Sprintf("%q are included, want %q", got, value)
		}
	case "guid":
		for _, k := range []string{"id", "guid"} {
			if s, ok := answer[k].(string); ok {
				p.names[name] = s
			}
		}
	case "destination":
		all, _ := answer["destinations"].([]any)
		last, _ := all[len(all)-1].(map[string]any)
		p.names[name], _ = last["guid"].(string)
	case "location":
		l := header.Get("Location")
		p.names[name] = l[strings.LastIndex(l, "/")+1:]
	default:
		if got := title(answer); got != word {
			return fmt.Sprintf("got the error %q, want %q", got, word)
		}
	}
	return ""
}

// title is that of an answer's first error.
func title(answer map[string]any) string {
	all, _ := answer["errors"].([]any)
	if len(all) == 0 {
		return ""
	}
	first, _ := all[0].(map[string]any)
	s, _ := first["title"].(string)
	return s
}
