package cli

import (
	"context"
	"fmt"

	"naru/internal/client"
)

// turn says what a push waits for that has to wait. Not to know it is no error.
func (c *cmd) turn(ctx context.Context, in *client.InSpace, app string, op client.Operation) {
	if op.State != client.OperationQueued || c.screen.json {
		return
	}
	running, err := in.Operations(ctx, client.OperationQuery{App: op.AppID, State: client.OperationRunning})
	if err != nil {
		return
	}
	for _, first := range running.Items {
		if first.ID == op.ID {
			continue
		}
		text := fmt.Sprintf("waits for the %s of %s, begun %s ago", first.Kind, first.Actor, age(first.CreatedAt))
		if r, err := in.App(app).Rollout(ctx, first.ID); err == nil { // it has the operation's id
			text += awaited(r, app)
		}
		c.screen.say("%s %s %s", c.screen.paint(faint, "·"), pad("queued"), text)
		return
	}
}

// awaited says how far a rollout is that something waits for.
func awaited(r client.Rollout, app string) string {
	switch r.State {
	case "paused":
		return fmt.Sprintf(": %s is paused until naru rollout resume %s; abort takes it back", numbered(r.Release), app)
	case "aborting":
		return fmt.Sprintf(": %s goes back", numbered(r.Release))
	case "shifting":
		return fmt.Sprintf(": %s rolls, see naru rollout %s", numbered(r.Release), app)
	}
	return ""
}
