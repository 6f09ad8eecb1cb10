// Package provide keeps what apps are provided with beside their own settings: the
// services of their space that are bound to them, and the variables that the
// platform gives to all.
package provide

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"naru/internal/app"
	"naru/internal/app/service"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/observe/drain"
	"naru/internal/pipeline/operation"
	"naru/internal/run/vcap"
	"naru/internal/secret"
)

// Store keeps services, bindings and settings; each call is one transaction.
type Store interface {
	Together(ctx context.Context, do func(ctx context.Context) error) error
	App(ctx context.Context, a app.ID) (app.App, error)

	AddService(ctx context.Context, one service.Service, sealed string, evs ...event.Event) (service.Service, error)
	SetService(ctx context.Context, one service.Service, sealed string, evs ...event.Event) (service.Service, error)
	Service(ctx context.Context, id service.ID) (service.Service, error)
	ServiceNamed(ctx context.Context, space app.SpaceID, name string) (service.Service, error)
	Services(ctx context.Context, spaces ...app.SpaceID) ([]service.Service, error)
	ServiceContent(ctx context.Context, id service.ID) (sealed string, err error)
	DeleteService(ctx context.Context, id service.ID, evs ...event.Event) error

	AddBinding(ctx context.Context, b service.Binding, evs ...event.Event) (service.Binding, error)
	Bindings(ctx context.Context, f service.Find) ([]service.Standing, error)
	DeleteBinding(ctx context.Context, id service.BindingID, evs ...event.Event) error
	DeleteBindingDrain(ctx context.Context, id service.BindingID) error

	Drains(ctx context.Context, space app.SpaceID, a app.ID) ([]drain.Declared, error)
	Setting(ctx context.Context, name string) (string, error)
	SetSetting(ctx context.Context, name, value string, evs ...event.Event) error
}

// Vault seals what services hold.
type Vault interface {
	SealService(id service.ID, c service.Content) (string, error)
	OpenService(id service.ID, sealed string) (service.Content, error)
}

// Drains passes logs on; *drain.Desk does.
type Drains interface {
	CheckURL(text string) (shown string, err error)
	Add(ctx context.Context, d drain.Declared, to drain.Target) (drain.Standing, error)
	Wake()
}

// Desk is where services are asked for.
type Desk struct {
	Store
	vault  Vault
	drains Drains
	most   int
}

// New makes a desk. most is how many services a space may have.
func New(store Store, vault Vault, drains Drains, most int) *Desk {
	return &Desk{store, vault, drains, most}
}

// Change is what a service is to become; nil stays as it is.
type Change struct {
	Name        *string
	Tags        *[]string
	Credentials *secret.Secret // a JSON object
	Drain       *string        // "": none
	RouteURL    *string        // "": none
}

// CreateService keeps a service of a space.
func (d *Desk) CreateService(ctx context.Context, by operation.Ask, space app.SpaceID, c Change) (service.Service, error) {
	one := service.Service{ID: service.ID(id.New()), Space: space, By: by.Actor}
	one, content, err := d.changed(one, service.Content{}, c)
	if err != nil {
		return one, err
	}
	have, err := d.Services(ctx, space)
	if err != nil {
		return one, err
	}
	if len(have) >= d.most {
		return one, fault.New(fault.Conflict, "name", "the space has %d services, and %d is the most (services.max)", len(have), d.most).
			WithTry("delete one: naru service delete %s", have[0].Name)
	}
	sealed, err := d.vault.SealService(one.ID, content)
	if err != nil {
		return one, err
	}
	return d.AddService(ctx, one, sealed, event.Event{Kind: "service.created", Actor: by.Actor, Subject: one.Name})
}

// changed is a service and its content after a change.
func (d *Desk) changed(one service.Service, content service.Content, c Change) (service.Service, service.Content, error) {
	var err error
	if c.Name != nil {
		one.Name = *c.Name
	}
	if c.Tags != nil {
		one.Tags = *c.Tags
	}
	if c.RouteURL != nil {
		one.RouteURL = *c.RouteURL
	}
	if c.Drain != nil {
		if one.Drain = ""; *c.Drain != "" {
			if one.Drain, err = d.drains.CheckURL(*c.Drain); err != nil {
				return one, content, err
			}
		}
		content.Drain = *c.Drain
	}
	if c.Credentials != nil {
		if content.Credentials, err = service.Credentials(*c.Credentials); err != nil {
			return one, content, err
		}
	}
	return one, content, one.Check()
}

// ChangeService changes a service. Apps that are bound have new credentials when
// they next start; logs go to a new receiver at once.
func (d *Desk) ChangeService(ctx context.Context, by operation.Ask, id service.ID, c Change) (one service.Service, err error) {
	moved := false
	err = d.Together(ctx, func(ctx context.Context) error {
		before, content, err := d.open(ctx, id)
		if err != nil {
			return err
		}
		one, after, err := d.changed(before, content, c)
		if err != nil {
			return err
		}
		moved = after.Drain != content.Drain
		sealed := ""
		if c.Credentials != nil || c.Drain != nil {
			if sealed, err = d.vault.SealService(id, after); err != nil {
				return err
			}
		}
		if one, err = d.SetService(ctx, one, sealed, event.Event{Kind: "service.changed", Actor: by.Actor, Subject: one.Name, Detail: told(c)}); err != nil {
			return err
		}
		bound, err := d.Bindings(ctx, service.Find{Services: []service.ID{id}})
		if err != nil {
			return err
		}
		for _, b := range bound {
			if _, err := d.environment(ctx, b.App); err != nil {
				return err
			}
			if !moved {
				continue
			}
			if err := d.DeleteBindingDrain(ctx, b.ID); err != nil {
				return err
			}
			if err := d.drain(ctx, b.Binding, b.AppName, one, after); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return one, err
	}
	if moved {
		d.drains.Wake()
	}
	return d.Service(ctx, id)
}

// told is what an event says of a change: what, and nothing of what it is now.
func told(c Change) map[string]any {
	var what []string
	for name, is := range map[string]bool{"name": c.Name != nil, "tags": c.Tags != nil, "credentials": c.Credentials != nil, "drain": c.Drain != nil} {
		if is {
			what = append(what, name)
		}
	}
	slices.Sort(what)
	return map[string]any{"changed": strings.Join(what, ", ")}
}

func (d *Desk) open(ctx context.Context, id service.ID) (service.Service, service.Content, error) {
	one, err := d.Service(ctx, id)
	if err != nil {
		return one, service.Content{}, err
	}
	content, err := d.Content(ctx, id)
	return one, content, err
}

// Content opens what a service holds.
func (d *Desk) Content(ctx context.Context, id service.ID) (service.Content, error) {
	sealed, err := d.ServiceContent(ctx, id)
	if err != nil {
		return service.Content{}, err
	}
	return d.vault.OpenService(id, sealed)
}

// DropService forgets a service. One that is bound is a Conflict that names the
// apps.
func (d *Desk) DropService(ctx context.Context, by operation.Ask, id service.ID) error {
	one, err := d.Service(ctx, id)
	if err != nil {
		return err
	}
	return d.DeleteService(ctx, id, event.Event{Kind: "service.deleted", Actor: by.Actor, Subject: one.Name})
}

// Bind hands a service to an app of its space, under a name of the binding's own
// unless that is "". Instances that start have it; the app's log goes to the
// service's receiver at once. That it is bound already is a Conflict of the field
// service.
func (d *Desk) Bind(ctx context.Context, by operation.Ask, a app.ID, of service.ID, name string) (b service.Binding, err error) {
	if err := service.CheckBindingName(name); err != nil {
		return b, err
	}
	drained := false
	err = d.Together(ctx, func(ctx context.Context) error {
		one, content, err := d.open(ctx, of)
		if err != nil {
			return err
		}
		to, err := d.App(ctx, a)
		if err != nil {
			return err
		}
		b, err = d.AddBinding(ctx, service.Binding{ID: service.BindingID(id.New()), Service: of, App: a, Name: name, By: by.Actor},
			event.Event{Kind: "service.bound", Actor: by.Actor, Subject: one.Name, Detail: map[string]any{"app": to.Name}})
		if err != nil {
			return err
		}
		if _, err := d.environment(ctx, a); err != nil {
			return err
		}
		drained = content.Drain != ""
		return d.drain(ctx, b, to.Name, one, content)
	})
	if err == nil && drained {
		d.drains.Wake()
	}
	return b, err
}

// BindNamed binds a service of the app's space by its name, for manifests: one that
// is bound already stays as it is, and made is false. A name that the space has no
// service of is a NotFound.
func (d *Desk) BindNamed(ctx context.Context, by operation.Ask, a app.ID, name, binding string) (b service.Binding, made bool, err error) {
	of, err := d.App(ctx, a)
	if err != nil {
		return b, false, err
	}
	one, err := d.ServiceNamed(ctx, of.Space, name)
	if err != nil {
		return b, false, err
	}
	have, err := d.Bindings(ctx, service.Find{Services: []service.ID{one.ID}, Apps: []app.ID{a}})
	if err != nil {
		return b, false, err
	}
	if len(have) > 0 {
		return have[0].Binding, false, nil
	}
	b, err = d.Bind(ctx, by, a, one.ID, binding)
	return b, err == nil, err
}

// Unbind takes a service from an app: instances that start do without, and the log
// drain that came with it ends.
func (d *Desk) Unbind(ctx context.Context, by operation.Ask, b service.Standing) error {
	err := d.DeleteBinding(ctx, b.ID, event.Event{
		Kind: "service.unbound", Actor: by.Actor, Subject: b.ServiceName, Detail: map[string]any{"app": b.AppName},
	})
	if err == nil {
		d.drains.Wake()
	}
	return err
}

// drain passes the log of a bound app on, where its service says so.
func (d *Desk) drain(ctx context.Context, b service.Binding, appName string, one service.Service, content service.Content) error {
	if content.Drain == "" {
		return nil
	}
	name := one.Name + "@" + appName
	have, err := d.Drains(ctx, one.Space, "")
	if err != nil {
		return err
	}
	taken := slices.ContainsFunc(have, func(h drain.Declared) bool { return h.Name == name })
	if taken || len([]rune(name)) > app.MaxName {
		name = string(b.ID)
	}
	_, err = d.drains.Add(ctx, drain.Declared{ID: drain.ID(b.ID), Space: one.Space, App: b.App, Name: name, By: b.By}, drain.Target{URL: content.Drain})
	return err
}

// Bound are the services of an app with what they hold, oldest binding first.
func (d *Desk) Bound(ctx context.Context, a app.ID) ([]service.Bound, error) {
	have, err := d.Bindings(ctx, service.Find{Apps: []app.ID{a}})
	if err != nil {
		return nil, err
	}
	out := make([]service.Bound, len(have))
	for i, b := range have {
		one, content, err := d.open(ctx, b.Service)
		if err != nil {
			return nil, err
		}
		out[i] = service.Bound{Binding: b.Binding, Of: one, Content: content}
	}
	return out, nil
}

// environment is what the app's instances are told of its services; that it is too
// much for them is an error here, not when they start.
func (d *Desk) environment(ctx context.Context, a app.ID) (string, error) {
	bound, err := d.Bound(ctx, a)
	if err != nil {
		return "", err
	}
	return vcap.Services(bound)
}

// Group names variables that the platform gives to all apps.
type Group string

// The groups there are, as Cloud Foundry has them.
const (
	Running Group = "running" // to instances
	Staging Group = "staging" // to builds
)

// maxVariables bounds a group in bytes of names and values.
const maxVariables = 64 << 10

// CheckGroup refuses what is no group.
func CheckGroup(g Group) error {
	if g != Running && g != Staging {
		return fault.New(fault.NotFound, "group", "there is no group of variables %q", string(g)).WithTry("running, or staging")
	}
	return nil
}

// Variables are those of a group. What an app sets itself comes before them.
func (d *Desk) Variables(ctx context.Context, g Group) (map[string]string, error) {
	return Variables(ctx, d.Store, g)
}

// Settings keeps what is the platform's.
type Settings interface {
	Setting(ctx context.Context, name string) (string, error)
}

// Variables are those of a group that a store keeps.
func Variables(ctx context.Context, s Settings, g Group) (map[string]string, error) {
	if err := CheckGroup(g); err != nil {
		return nil, err
	}
	text, err := s.Setting(ctx, "variables."+string(g))
	if fault.Is(err, fault.NotFound) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("read variables of %s: %w", g, err)
	}
	return out, nil
}

// SetVariables changes those of a group. Instances have the change when they next
// start, builds when they begin.
func (d *Desk) SetVariables(ctx context.Context, by operation.Ask, g Group, change app.EnvChange) (out map[string]string, err error) {
	if err := change.Check(); err != nil {
		return nil, err
	}
	err = d.Together(ctx, func(ctx context.Context) error {
		if out, err = d.Variables(ctx, g); err != nil {
			return err
		}
		for _, name := range change.Unset {
			delete(out, name)
		}
		maps.Copy(out, change.Set)
		n := 0
		for name, value := range out {
			n += len(name) + len(value)
		}
		if n > maxVariables {
			return fault.New(fault.TooLarge, "var", "the variables of %s have %d bytes, and %d are the most", g, n, maxVariables)
		}
		text, err := json.Marshal(out)
		if err != nil {
			return fmt.Errorf("write variables of %s: %w", g, err)
		}
		names := strings.Join(slices.Sorted(maps.Keys(change.Set)), ", ")
		return d.SetSetting(ctx, "variables."+string(g), string(text), event.Event{
			Kind: "variables.changed", Actor: by.Actor, Subject: string(g), Detail: map[string]any{"set": names, "unset": strings.Join(change.Unset, ", ")},
		})
	})
	return out, err
}
