package cf

import (
	"context"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
)

// place is where something is.
type place struct {
	org   app.Org
	space app.Space
}

// gone turns naru's "does not exist" into that of a thing as clients know it, and
// leaves other errors.
func gone(err error, thing string) error {
	if err == nil || fault.Is(err, fault.NotFound) {
		return missing(thing)
	}
	return err
}

// allowed lets through who may do something in a place: what may not be seen is
// missing, what may be seen and not done is refused.
func (c *call) allowed(do auth.Action, p place, thing string) error {
	switch {
	case c.can(do, p):
		return nil
	case auth.Sees(c.who, p.org.ID, p.space.ID):
		if err := auth.Withheld(c.who, do, p.org.ID, p.space.ID); err != nil {
			return err
		}
		return notAuthorized
	}
	return missing(thing)
}

// org finds an organisation in which who asks may do something.
func (d *Door) org(c *call, guid string, do auth.Action) (place, error) {
	org, err := d.Places.Org(c.ctx(), app.OrgID(guid))
	if err != nil {
		return place{}, gone(err, "Organization")
	}
	p := place{org: org}
	return p, c.allowed(do, p, "Organization")
}

// space finds a space in which who asks may do something.
func (d *Door) space(c *call, guid string, do auth.Action) (place, error) {
	space, err := d.Places.Space(c.ctx(), app.SpaceID(guid))
	if err != nil {
		return place{}, gone(err, "Space")
	}
	org, err := d.Places.Org(c.ctx(), space.Org)
	if err != nil {
		return place{}, gone(err, "Space")
	}
	p := place{org, space}
	return p, c.allowed(do, p, "Space")
}

// app finds an app with which who asks may do something.
func (d *Door) app(c *call, guid string, do auth.Action) (app.App, error) {
	a, err := d.Apps.App(c.ctx(), app.ID(guid))
	if err != nil {
		return a, gone(err, "App")
	}
	p, err := d.placeOf(c.ctx(), a.Space)
	if err != nil {
		return a, gone(err, "App")
	}
	return a, c.allowed(do, p, "App")
}

func (d *Door) placeOf(ctx context.Context, id app.SpaceID) (place, error) {
	space, err := d.Places.Space(ctx, id)
	if err != nil {
		return place{}, err
	}
	org, err := d.Places.Org(ctx, space.Org)
	return place{org, space}, err
}

// orgs are the organisations that who asks may see, by id.
func (d *Door) orgs(c *call) (map[app.OrgID]app.Org, error) {
	all, err := d.Places.Orgs(c.ctx())
	if err != nil {
		return nil, err
	}
	out := map[app.OrgID]app.Org{}
	for _, o := range all {
		if auth.Sees(c.who, o.ID, "") {
			out[o.ID] = o
		}
	}
	return out, nil
}

// spaces are the spaces that who asks may do something in, by id.
func (d *Door) spaces(c *call, do auth.Action) (map[app.SpaceID]app.Space, error) {
	all, err := d.Places.Spaces(c.ctx(), "")
	if err != nil {
		return nil, err
	}
	out := map[app.SpaceID]app.Space{}
	for _, s := range all {
		if auth.Can(c.who, do, s.Org, s.ID) {
			out[s.ID] = s
		}
	}
	return out, nil
}
