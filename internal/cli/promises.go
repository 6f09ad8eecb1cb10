package cli

import (
	"encoding/json"
	"fmt"

	"naru/internal/app"
	"naru/internal/client"
)

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
