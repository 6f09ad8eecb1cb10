package cli

import (
	"encoding/json"
	"fmt"

	"naru/internal/app"
	"naru/internal/app/manifest"
	"naru/internal/client"
)

// promisesOf is what an application of a manifest promises; nil where it says
// nothing of it.
func promisesOf(a manifest.Application) *client.Promises {
	if a.Objectives == nil && a.Probes == nil {
		return nil
	}
	out := &client.Promises{Objectives: []client.Objective{}, Probes: []client.AppProbe{}}
	for _, o := range a.Objectives {
		out.Objectives = append(out.Objectives, objectiveOf(o))
	}
	for _, p := range a.Probes {
		out.Probes = append(out.Probes, rewritten[client.AppProbe](p))
	}
	return out
}

func objectiveOf(o app.Objective) client.Objective {
	return rewritten[client.Objective](o)
}

// rewritten is a value in another type of the same JSON.
func rewritten[T any](v any) (out T) {
	text, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		panic(fmt.Sprintf("%T is not a %T: %v", v, out, err)) // a test holds that they fit
	}
	return out
}
