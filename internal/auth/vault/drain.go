package vault

import (
	"context"
	"fmt"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/observe/drain"
	"naru/internal/observe/logs"
)

// drainTarget is the kind of sealed values that lead to receivers of drains.
const drainTarget Kind = "drain"

// SealedDrain is where a drain leads to, sealed, and what it belongs to.
func SealedDrain(space app.SpaceID, d drain.ID, value string) Sealed {
	return Sealed{Space: space, Host: string(d), Kind: drainTarget, Value: value}
}

// OfDrain reports whether the value is where a drain leads to.
func (s Sealed) OfDrain() bool { return s.App == "" && s.Kind == drainTarget }

// AddDrain keeps a drain, and sealed where it leads to. begin says behind which
// line of each app's log it begins. By is who asked.
func (v *Vault) AddDrain(ctx context.Context, d drain.Declared, to drain.Target, begin map[app.ID]logs.Cursor) (drain.Declared, error) {
	text, err := to.Text()
	if err != nil {
		return d, err
	}
	sealed, err := v.ring().Seal(text, SealedDrain(d.Space, d.ID, "").Owner())
	if err != nil {
		return d, fmt.Errorf("seal the receiver of drain %s: %w", d.Name, err)
	}
	return v.store.AddDrain(ctx, d, sealed, begin, event.Event{
		Kind: "drain.added", Actor: d.By, App: string(d.App), Subject: d.Name, Detail: map[string]any{"url": d.Shown},
	})
}

// DrainTarget opens where a drain leads to.
func (v *Vault) DrainTarget(ctx context.Context, d drain.Declared) (drain.Target, error) {
	sealed, err := v.store.DrainTarget(ctx, d.ID)
	if err != nil {
		return drain.Target{}, err
	}
	text, err := v.open(sealed, SealedDrain(d.Space, d.ID, ""))
	if err != nil {
		return drain.Target{}, err
	}
	return drain.ParseTarget(text)
}
