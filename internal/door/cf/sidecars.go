package cf

import (
	"naru/internal/auth"
)

func sidecarRoutes() []endpoint {
	gone := func(*Door, *call) error { return missing("Sidecar") }
	return []endpoint{
		{pattern: "POST /v3/apps/{guid}/sidecars", do: (*Door).refuseSidecar},
		{pattern: "GET /v3/sidecars/{guid}", do: gone},
		{pattern: "PATCH /v3/sidecars/{guid}", do: gone},
		{pattern: "DELETE /v3/sidecars/{guid}", do: gone},
	}
}

const noSidecars = "naru has no sidecars: give what runs beside the app a process type of its own (processes), or start it from the app's command"

// refuseSidecar says how else something comes to run beside an app.
func (d *Door) refuseSidecar(c *call) error {
	if _, err := d.app(c, c.guid(), auth.AppWrite); err != nil {
		return err
	}
	return unprocessable.saying(noSidecars)
}
