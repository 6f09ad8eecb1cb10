package build

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Version changes whenever the same recipe would make another image; it is part
// of every recipe key.
const Version = "1"

// RecipeKey names what a build makes: requests with equal keys make equal
// images. The key holds no secret's value, so that it can be stored; neither
// mirrors nor the commit's name are part of it.
func RecipeKey(req Request) (string, error) {
	recipe := req.Recipe
	recipe.Warnings = nil
	secrets := slices.Sorted(maps.Keys(req.Secrets))
	named := map[string]string{}
	for name, f := range req.Foundations.Named {
		named[name] = f.Digest
	}
	// Maps are written with sorted keys, so equal requests give equal text.
	text, err := json.Marshal(struct {
		Version, Snapshot, Repository string
		Build, Run                    string
		Named                         map[string]string
		Recipe                        Recipe
		Env                           map[string]string
		Secrets                       []string
		Bound                         string `json:",omitempty"`
		Cache                         string `json:",omitempty"`
	}{Version, req.SnapshotDigest, req.Target.Repository, req.Foundations.Build.Digest, req.Foundations.Run.Digest, named, recipe, req.Env, secrets, req.Bound, req.Cache})
	if err != nil {
		return "", fmt.Errorf("encode recipe: %w", err)
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}
