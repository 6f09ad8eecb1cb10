package runtest_test

import (
	"testing"

	"naru/internal/artifact"
	"naru/internal/run"
	"naru/internal/run/runtest"
)

func TestFake(t *testing.T) {
	runtest.Driver(t, func(t *testing.T) (run.Driver, runtest.Fixture) {
		return runtest.NewDriver(), runtest.Fixture{
			Image: run.Image{Ref: artifact.Ref{Repository: "runtest/app", Digest: "sha256:1"}},
			Missing: map[string]string{
				"out of memory":             "the fake's memory is the test's own; see Fake.OOM",
				"stop takes children along": "the fake has no processes",
				"disk limit":                "the fake writes nothing",
			},
		}
	})
}

func TestFakeOOM(t *testing.T) {
	d := runtest.NewDriver()
	st, err := d.Start(t.Context(), runtest.Spec(runtest.Fixture{Image: run.Image{Ref: artifact.Ref{Repository: "a", Digest: "b"}}}))
	if err != nil {
		t.Fatal(err)
	}
	d.OOM(st.ID)
	if x, err := d.Wait(t.Context(), st.ID); err != nil || !x.OOM || x.Reason != "out of memory at 64 MiB" {
		t.Errorf("Wait = %+v, %v", x, err)
	}
}
