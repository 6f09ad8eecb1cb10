package git_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/secret"
	"naru/internal/source"
	"naru/internal/source/git"
)

const (
	space    = app.SpaceID("space-1")
	password = "p%ss w0rd&token"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func gitIn(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com",
		"GIT_COMMITTER_DATE="+fmt.Sprint(committed)+" +0100", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com", "GIT_ALLOW_PROTOCOL=file")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// site serves git repositories over HTTP with the real git http-backend.
type site struct {
	url    string
	dir    string
	first  string // commit of tag v1
	second string // commit of main
	side   string // commit of branch feature/x
}

// committed is when all commits of these tests were made.
const committed = 1_700_000_000

func serve(t *testing.T) site {
	t.Helper()
	path, err := exec.LookPath("git")
	if err != nil {
		t.Skip("the test's repositories are made and served by git, which is not installed")
	}
	root := t.TempDir()
	repo := filepath.Join(root, "shop")
	must(t, os.MkdirAll(filepath.Join(repo, "bin"), 0o755))
	gitIn(t, root, "init", "--quiet", "--initial-branch=main", "shop")
	write := func(name, content string, mode fs.FileMode) {
		must(t, os.WriteFile(filepath.Join(repo, name), []byte(content), mode))
	}
	s := site{dir: root}
	write("a", "first", 0o644)
	write("bin/run", "#!/bin/sh\n", 0o755)
	write(".gitignore", "x\n", 0o644)
	write(".gitattributes", "a export-ignore\nb filter=evil text eol=crlf\n", 0o644)
	write("b", "line\n", 0o644)
	must(t, os.Symlink("../a", filepath.Join(repo, "bin/link")))
	gitIn(t, repo, "add", "-A")
	gitIn(t, repo, "commit", "-qm", "first")
	gitIn(t, repo, "tag", "-am", "one", "v1")
	s.first = gitIn(t, repo, "rev-parse", "HEAD")
	gitIn(t, repo, "checkout", "-qb", "feature/x")
	write("a", "side", 0o644)
	gitIn(t, repo, "commit", "-qam", "side")
	s.side = gitIn(t, repo, "rev-parse", "HEAD")
	gitIn(t, repo, "checkout", "-q", "main")
	write("a", "second", 0o644)
	gitIn(t, repo, "update-index", "--add", "--cacheinfo", "160000,"+s.first+",module")
	gitIn(t, repo, "commit", "-qam", "second, with a submodule")
	s.second = gitIn(t, repo, "rev-parse", "HEAD")

	evil := filepath.Join(root, "evil")
	gitIn(t, root, "init", "--quiet", "--initial-branch=main", "evil")
	must(t, os.Symlink("/etc/passwd", filepath.Join(evil, "passwd")))
	gitIn(t, evil, "add", "-A")
	gitIn(t, evil, "commit", "-qm", "evil")
	gitIn(t, root, "init", "--quiet", "--bare", "empty")

	big := filepath.Join(root, "big")
	gitIn(t, root, "init", "--quiet", "--initial-branch=main", "big")
	must(t, os.WriteFile(filepath.Join(big, "big"), bytes.Repeat([]byte("0123456789abcdef"), 1<<16), 0o644))
	gitIn(t, big, "add", "-A")
	gitIn(t, big, "commit", "-qm", "big")

	backend := &cgi.Handler{Path: path, Stderr: io.Discard, Args: []string{"http-backend"}, Env: []string{
		"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}}
	mux := http.NewServeMux()
	mux.Handle("/", backend)
	mux.HandleFunc("/private/", func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user != "anna" || pass != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		http.StripPrefix("/private", backend).ServeHTTP(w, r)
	})
	mux.HandleFunc("/slow/", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

// each runs a test with the git program and with the built-in code.
func each(t *testing.T, test func(t *testing.T, client func(git.Options) *git.Client, log *bytes.Buffer)) {
	for _, program := range []string{"", git.Builtin} {
		t.Run("program="+program, func(t *testing.T) {
			var log bytes.Buffer
			test(t, func(o git.Options) *git.Client {
				o.Program, o.AllowHTTP, o.TempDir = program, true, t.TempDir()
				t.Cleanup(func() {
					if left, err := os.ReadDir(o.TempDir); err != nil || len(left) > 0 {
						t.Errorf("left behind: %v, %v", left, err)
					}
				})
				return git.New(o, slog.New(slog.NewTextHandler(&log, nil)))
			}, &log)
		})
	}
}

func TestSnapshotOfBranchTagAndCommit(t *testing.T) {
	s := serve(t)
	each(t, func(t *testing.T, client func(git.Options) *git.Client, _ *bytes.Buffer) {
		store := source.New(t.TempDir(), source.Limits{})
		for name, tc := range map[string]struct{ ref, commit, a string }{
			"the default branch": {"", s.second, "second"},
			"a branch":           {"#main", s.second, "second"},
			"a branch with /":    {"#feature/x", s.side, "side"},
			"an annotated tag":   {"#v1", s.first, "first"},
			"a commit":           {"#" + s.first, s.first, "first"},
			"a tip":              {"#" + s.side, s.side, "side"},
			"a short commit":     {"#" + s.first[:9], s.first, "first"},
		} {
			t.Run(name, func(t *testing.T) {
				snap, err := client(git.Options{}).Snapshot(t.Context(), store, space, s.url+"/shop"+tc.ref, git.Credentials{})
				must(t, err)
				want := source.Origin{Kind: source.Git, URL: s.url + "/shop", Ref: strings.TrimPrefix(tc.ref, "#"), Commit: tc.commit}
				if want.Committed = snap.Origin.Committed; want.Committed != committed {
					t.Errorf("committed at %d, want %d", want.Committed, committed)
				}
				if snap.Origin != want {
					t.Errorf("origin %+v, want %+v", snap.Origin, want)
				}
				view, err := store.Fetch(t.Context(), snap)
				must(t, err)
				if a, err := fs.ReadFile(view, "bin/link"); err != nil || string(a) != tc.a {
					t.Errorf("bin/link = %q, %v, want %q", a, err, tc.a)
				}
				if b, err := fs.ReadFile(view, "b"); err != nil || string(b) != "line\n" {
					t.Errorf("b = %q, %v: attributes acted on the content", b, err)
				}
				if info, err := fs.Stat(view, "bin/run"); err != nil || info.Mode() != 0o755 {
					t.Errorf("bin/run: %v, %v", info, err)
				}
				for _, gone := range []string{".gitignore", "module"} {
					if _, err := fs.Stat(view, gone); err == nil {
						t.Errorf("%s was taken in", gone)
					}
				}
			})
		}
	})
}

func TestBothProgramsGiveOneDigest(t *testing.T) {
	s := serve(t)
	store := source.New(t.TempDir(), source.Limits{})
	digests := map[string]bool{}
	each(t, func(t *testing.T, client func(git.Options) *git.Client, _ *bytes.Buffer) {
		snap, err := client(git.Options{}).Snapshot(t.Context(), store, space, s.url+"/shop#v1", git.Credentials{})
		must(t, err)
		digests[snap.Digest] = true
	})
	if len(digests) != 1 {
		t.Errorf("digests %v", digests)
	}
}

func TestCredentialsOpenAndNeverShow(t *testing.T) {
	s := serve(t)
	good := git.Credentials{User: "anna", Password: secret.New(password)}
	each(t, func(t *testing.T, client func(git.Options) *git.Client, log *bytes.Buffer) {
		store := source.New(t.TempDir(), source.Limits{})
		snap, err := client(git.Options{}).Snapshot(t.Context(), store, space, s.url+"/private/shop", good)
		must(t, err)
		inURL := strings.Replace(s.url, "://", "://anna:p%25ss%20w0rd&token@", 1)
		same, err := client(git.Options{}).Snapshot(t.Context(), store, space, inURL+"/private/shop", git.Credentials{})
		must(t, err)
		if same.Digest != snap.Digest || same.Origin != snap.Origin || strings.Contains(same.Origin.URL, "@") {
			t.Errorf("origin %+v", same.Origin)
		}
		for name, creds := range map[string]git.Credentials{
			"none": {}, "wrong": {User: "anna", Password: secret.New("wr0ng" + password)},
		} {
			_, err := client(git.Options{}).Snapshot(t.Context(), store, space, s.url+"/private/shop", creds)
			if !fault.Is(err, fault.Denied) || !strings.Contains(fault.Of(err).Try, "naru credentials set 127.0.0.1") {
				t.Errorf("%s: %v (try %s)", name, err, fault.Of(err).Try)
			}
			log.WriteString(err.Error())
		}
		_, err = client(git.Options{}).Snapshot(t.Context(), store, space, inURL+"/private/nope", git.Credentials{})
		if err == nil {
			t.Fatal("a repository that is not there was fetched")
		}
		log.WriteString(err.Error())
		for _, s := range []string{password, "p%25ss", "w0rd"} {
			if strings.Contains(log.String(), s) {
				t.Errorf("the password shows: %s", log)
			}
		}
	})
}

func TestRefusedRepositories(t *testing.T) {
	s := serve(t)
	each(t, func(t *testing.T, client func(git.Options) *git.Client, _ *bytes.Buffer) {
		for name, tc := range map[string]struct {
			spec string
			opts git.Options
			kind fault.Kind
			says string
		}{
			"no such branch":     {s.url + "/shop#nope", git.Options{}, fault.NotFound, "no branch, tag or commit nope"},
			"no such commit":     {s.url + "/shop#" + strings.Repeat("ab", 20), git.Options{}, fault.NotFound, "no branch, tag or commit"},
			"no such repository": {s.url + "/none", git.Options{}, fault.NotFound, "no repository"},
			"no commit":          {s.url + "/empty", git.Options{}, fault.NotFound, "has no commit"},
			"nobody there":       {"http://127.0.0.1:1/x", git.Options{}, fault.Unavailable, "cannot be reached"},
			"a link out":         {s.url + "/evil", git.Options{}, fault.Invalid, "passwd: the symlink to \"/etc/passwd\" leaves"},
			"too slow":           {s.url + "/slow/x", git.Options{Timeout: 300 * time.Millisecond}, fault.Failed, "took longer than 300ms"},
			"ssh host unknown":   {"ssh://git@127.0.0.1:1/x", git.Options{}, "", ""},
		} {
			t.Run(name, func(t *testing.T) {
				_, err := client(tc.opts).Snapshot(t.Context(), source.New(t.TempDir(), source.Limits{}), space, tc.spec, git.Credentials{})
				if err == nil || tc.kind != "" && (!fault.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.says)) {
					t.Errorf("error %v, want %s: %s", err, tc.kind, tc.says)
				}
			})
		}
		t.Run("unpacks to too much", func(t *testing.T) {
			store := source.New(t.TempDir(), source.Limits{MaxBytes: 1 << 10})
			_, err := client(git.Options{}).Snapshot(t.Context(), store, space, s.url+"/big", git.Credentials{})
			if !fault.Is(err, fault.TooLarge) {
				t.Errorf("error %v", err)
			}
		})
	})
}

func TestURLsThatAreNotFetched(t *testing.T) {
	client := git.New(git.Options{}, slog.New(slog.DiscardHandler))
	store := source.New(t.TempDir(), source.Limits{})
	for name, tc := range map[string]struct {
		spec string
		kind fault.Kind
	}{
		"a command":              {"ext::sh -c id", fault.Invalid},
		"git protocol":           {"git://example.com/x", fault.Invalid},
		"a path":                 {"/etc", fault.Invalid},
		"an option":              {"--upload-pack=id", fault.Invalid},
		"a file":                 {"file:///etc", fault.Denied},
		"http":                   {"http://example.com/x", fault.Denied},
		"an option as ssh host":  {"ssh://-oProxyCommand=id/x", fault.Invalid},
		"an option as ssh user":  {"ssh://-oProxyCommand=id@host/x", fault.Invalid},
		"an option as ref":       {"https://example.com/x#--upload-pack=id", fault.Invalid},
		"a refspec as ref":       {"https://example.com/x#a:b", fault.Invalid},
		"dots in a ref":          {"https://example.com/x#a..b", fault.Invalid},
		"no repository":          {"https://example.com/", fault.Invalid},
		"no host":                {"https:///x", fault.Invalid},
		"a new line":             {"https://example.com/x\nhost: y", fault.Invalid},
		"a password, not a port": {"https://user:secret@host:port%zz/x", fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.Snapshot(t.Context(), store, space, tc.spec, git.Credentials{})
			if !fault.Is(err, tc.kind) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v, want %s", err, tc.kind)
			}
		})
	}
}

func TestAFileURLWhereTheOperatorAllowsIt(t *testing.T) {
	s := serve(t)
	client := git.New(git.Options{AllowFile: true, TempDir: t.TempDir()}, slog.New(slog.DiscardHandler))
	snap, err := client.Snapshot(t.Context(), source.New(t.TempDir(), source.Limits{}), space, "file://"+s.dir+"/shop#v1", git.Credentials{})
	must(t, err)
	if snap.Origin.Commit != s.first {
		t.Errorf("origin %+v", snap.Origin)
	}
}

func TestAFetchThatGrowsTooBigIsCut(t *testing.T) {
	s := serve(t)
	client := git.New(git.Options{AllowHTTP: true, MaxBytes: 1, TempDir: t.TempDir(), Timeout: time.Minute}, slog.New(slog.DiscardHandler))
	_, err := client.Snapshot(t.Context(), source.New(t.TempDir(), source.Limits{}), space, s.url+"/slow/x", git.Credentials{})
	if !fault.Is(err, fault.TooLarge) || !strings.Contains(err.Error(), "over the limit") {
		t.Errorf("error %v", err)
	}
}
