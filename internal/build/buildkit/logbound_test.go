package buildkit

import (
	"slices"
	"strings"
	"testing"

	bkclient "github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"

	"naru/internal/build"
)

// follow lets a follower hear lines of one step and returns what it tells.
func followed(most int64, lines ...string) (f *follower, told []string) {
	f = newFollower(func(e build.Event) { told = append(told, string(e.Kind)+" "+e.Text) }, most)
	status := make(chan *bkclient.SolveStatus, 1)
	step := digest.FromString("step")
	status <- &bkclient.SolveStatus{
		Vertexes: []*bkclient.Vertex{{Digest: step, Name: "npm ci"}},
		Logs:     []*bkclient.VertexLog{{Vertex: step, Data: []byte(strings.Join(lines, "\n") + "\n")}},
	}
	close(status)
	f.run(status)
	return f, told
}

func TestTheLogOfABuildIsBounded(t *testing.T) {
	nine := strings.Repeat("x", 9) // ten bytes with its end
	within := slices.Repeat([]string{nine}, 10)
	if _, told := followed(100, within...); len(told) != 10 {
		t.Errorf("within the bound: %q", told)
	}

	f, told := followed(100, append(within, "one more", "the last")...)
	want := []string{
		string(build.Warning) + " the output of this build is over 100 B (build.log_bytes): what follows is dropped, the build goes on",
		string(build.Warning) + " 18 bytes of output dropped",
	}
	if len(told) != 12 || !slices.Equal(told[10:], want) {
		t.Errorf("over the bound: %q", told)
	}
	// What a failure is explained with is not what was dropped.
	if tail := f.steps[f.order[0]].tail; tail[len(tail)-1] != "the last" {
		t.Errorf("the last lines are %q", tail)
	}

	_, told = followed(100, append(within, "[output clipped, log limit 4MiB reached]")...)
	if last := told[len(told)-1]; !strings.Contains(last, "more than 41 bytes of output dropped") {
		t.Errorf("what the daemon dropped counts as %q", last)
	}
}
