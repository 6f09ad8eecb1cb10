package deliver_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"naru/internal/app"
	"naru/internal/build"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/deliver"
	"naru/internal/pipeline/operation"
	"naru/internal/source"
	"naru/internal/store"
	"naru/internal/store/storetest"
)

// repositories hands out one tree for every URL.
type repositories struct{ tree *source.Store }

func (r repositories) Clone(ctx context.Context, space app.SpaceID, url, ref, _ string, _ func(string)) (source.Snapshot, error) {
	return freeze(ctx, r.tree, space, map[string]string{"bin/compile": url + ref}, source.Origin{Kind: source.Git, URL: url, Commit: "0123456789abcdef"})
}

func freeze(ctx context.Context, files *source.Store, space app.SpaceID, tree map[string]string, origin source.Origin) (source.Snapshot, error) {
	in, err := files.Begin(space)
	if err != nil {
		return source.Snapshot{}, err
	}
	defer in.Close()
	for name, text := range tree {
		if _, err := in.Add(ctx, name, 0o755, strings.NewReader(text)); err != nil {
			return source.Snapshot{}, err
		}
	}
	return in.Freeze(ctx, origin)
}

// TestWhichBuildpacks tells what builds a tree, for what was uploaded and named.
func TestWhichBuildpacks(t *testing.T) {
	st := storetest.Open(t, store.Options{})
	_, space, err := st.Bootstrap(t.Context())
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(err)
	files := source.New(filepath.Join(t.TempDir(), "source"), source.Limits{})
	s := deliver.New(deliver.Parts{Store: st, Sources: files, Git: repositories{files}, Wake: func() {}}, deliver.Config{}, slog.New(slog.DiscardHandler))
	frozen := func(tree map[string]string) string {
		t.Helper()
		snap, err := freeze(t.Context(), files, space.ID, tree, source.Origin{Kind: source.Directory})
		ok(err)
		snap, err = st.AddSnapshot(t.Context(), snap)
		ok(err)
		return snap.ID
	}
	words, node := frozen(map[string]string{"Wordfile": "x"}), frozen(map[string]string{"package.json": `{"scripts":{"start":"node x.js"}}`})
	plan := func(snapshot string, in client.BuildSettings) (build.Recipe, error) {
		t.Helper()
		_, r, err := s.Plan(t.Context(), operation.Ask{Actor: "ada"}, space.ID, client.PlanRequest{Source: client.Source{Snapshot: snapshot}, Build: in})
		return r, err
	}
	const url = "https://git.example.com/me/words.git"

	if _, err := plan(words, client.BuildSettings{}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "looked for") {
		t.Errorf("nothing uploaded: %v", err)
	}
	for _, b := range []source.Buildpack{
		{Name: "off", Digest: "sha256:0", Position: 1},
		{Name: "empty", Enabled: true, Position: 2},
		{Name: "words", Digest: "sha256:1", Enabled: true, Position: 3},
		{Name: "words", Digest: "sha256:2", Stack: "cflinuxfs4", Enabled: true, Position: 4},
		{Name: "old", Digest: "sha256:3", Stack: "cflinuxfs3", Enabled: true, Position: 5},
		{Name: "nodejs_buildpack", Digest: "sha256:4", Enabled: true, Position: 6},
		{Name: "go", Digest: "sha256:5", Enabled: true, Position: 7},
	} {
		b.ID = source.BuildpackID(id.New())
		_, err := st.AddBuildpack(t.Context(), b, 100)
		ok(err)
	}
	for name, tc := range map[string]struct {
		tree string
		in   client.BuildSettings
		want string // names and digests, or the error
	}{
		"nothing named, naru knows it":       {node, client.BuildSettings{}, "node"},
		"nothing named, naru does not":       {words, client.BuildSettings{}, "asks words=2 nodejs_buildpack=4 go=5"},
		"the same on another stack":          {words, client.BuildSettings{Stack: "cflinuxfs3"}, "asks words=1 old=3 nodejs_buildpack=4 go=5"},
		"a builder of naru's":                {node, client.BuildSettings{Builder: "node"}, "node"},
		"a builder that was replaced":        {node, client.BuildSettings{Builder: "go"}, "go=5"},
		"one by its name":                    {node, client.BuildSettings{Builder: "words"}, "words=2"},
		"one of a manifest, its stack":       {node, client.BuildSettings{Buildpacks: []string{"words"}, Stack: "cflinuxfs3"}, "words=1"},
		"one that stands for a builder":      {node, client.BuildSettings{Builder: "node", Buildpacks: []string{"nodejs_buildpack"}}, "nodejs_buildpack=4"},
		"one that nobody uploaded":           {node, client.BuildSettings{Builder: "python", Buildpacks: []string{"python_buildpack"}}, "needs requirements.txt"},
		"a name of Cloud Foundry's alone":    {node, client.BuildSettings{Buildpacks: []string{"binary_buildpack", "x"}}, "needs Procfile"},
		"a name that nobody knows":           {node, client.BuildSettings{Buildpacks: []string{"cobol"}}, "node, hint cobol"},
		"several":                            {node, client.BuildSettings{Buildpacks: []string{"words", url + "#v1", "go"}}, "words=2 " + url + "#0123456789 go=5"},
		"with a builder":                     {node, client.BuildSettings{Buildpacks: []string{"words", "python"}}, `"python" was not uploaded`},
		"beside another builder":             {node, client.BuildSettings{Builder: "python", Buildpacks: []string{"words"}}, "exclude each other"},
		"one that is disabled":               {node, client.BuildSettings{Builder: "off"}, "is disabled"},
		"one without files":                  {node, client.BuildSettings{Builder: "empty"}, "has no files yet"},
		"one for another stack":              {node, client.BuildSettings{Builder: "old"}, "no buildpack old is made for the stack cflinuxfs4"},
		"one for another stack, which suits": {node, client.BuildSettings{Builder: "old", Stack: "cflinuxfs3"}, "old=3"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := plan(tc.tree, tc.in)
			if err != nil {
				if !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got %v, want %s", err, tc.want)
				}
				return
			}
			var got []string
			if r.Ask {
				got = append(got, "asks")
			}
			for _, p := range r.Buildpacks {
				if n := strings.TrimPrefix(p.Digest, "sha256:"); p.Uploaded {
					got = append(got, p.Name+"="+n)
				} else {
					got = append(got, p.Name)
				}
			}
			text := strings.Join(got, " ")
			if text == "" {
				text = r.Builder
			}
			for _, h := range r.Warnings {
				if strings.Contains(h.Message, "cobol") {
					text += ", hint cobol"
				}
			}
			if text != tc.want {
				t.Errorf("got %s, want %s", text, tc.want)
			}
		})
	}
}
