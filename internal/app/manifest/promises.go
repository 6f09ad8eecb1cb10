package manifest

import (
	"encoding/json"
	"fmt"

	"naru/internal/app"
	"naru/internal/client"
)

// Promises is what the application promises, as a push says it; nil where it says
// nothing of it.
func (a Application) Promises() *client.Promises {
	if a.Objectives == nil && a.Probes == nil {
		return nil
	}
	text, err := json.Marshal(struct {
		Objectives []app.Objective `json:"objectives"`
		Probes     []app.Probe     `json:"probes"`
	}{a.Objectives, a.Probes})
	out := &client.Promises{}
	if err == nil {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		panic(fmt.Sprintf("a promise of a manifest is none of the API: %v", err)) // a test holds that they fit
	}
	if out.Objectives == nil {
		out.Objectives = []client.Objective{}
	}
	if out.Probes == nil {
		out.Probes = []client.AppProbe{}
	}
	return out
}
