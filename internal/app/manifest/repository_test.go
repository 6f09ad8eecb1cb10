package manifest_test

import (
	"testing"

	"naru/internal/app/manifest"
)

func TestRepositoriesOfBuildpacks(t *testing.T) {
	for name, want := range map[string]bool{
		"https://git.example.com/me/go-buildpack#v1":           true,
		"ssh://git@git.example.com/me/words.git":               true,
		"git@git.example.com:me/words.git":                     true,
		"https://github.com/cloudfoundry/nodejs-buildpack.git": false, // naru's builder stands for it
		"https://github.com/cloudfoundry/some-other-buildpack": true,
		"nodejs_buildpack":                                     false,
		"node":                                                 false,
		"go,main=./cmd/api":                                    false,
		"":                                                     false,
	} {
		if got := manifest.Repository(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}
