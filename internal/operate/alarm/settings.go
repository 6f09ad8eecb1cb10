package alarm

import (
	"context"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/operate/notify"
)

// groupBy are the labels by which alerts are told together: those of an app.
var groupBy = []string{notify.LabelOrg, notify.LabelSpace, notify.LabelApp}

// settings are what is kept, as the courier wants it. A receiver that cannot be
// opened stays, so that what it is to be told is not forgotten.
func (d *Desk) settings(ctx context.Context) (notify.Settings, error) {
	set := notify.Settings{Receivers: map[string]notify.Sender{}, Timing: d.Timing, Base: d.Base}
	within, err := d.within(ctx)
	if err != nil {
		return set, err
	}
	all, sealed, err := d.Files.AllReceivers(ctx)
	if err != nil {
		return set, err
	}
	for i, r := range all {
		place, there := within[r.Place]
		if !there {
			continue
		}
		var to notify.Sender = closed{errClosed}
		if k, err := d.Sealer.OpenKeys(r.ID, sealed[i]); err != nil {
			d.Log.ErrorContext(ctx, "open keys of receiver", "receiver", r.Name, "error", err)
		} else if way, err := d.Open(r, k); err != nil {
			to = closed{err}
		} else {
			to = way
		}
		set.Receivers[r.ID] = named{to, r.Name}
		set.Routes = append(set.Routes, notify.Route{Matchers: append(place, severities(r)...), Receivers: []string{r.ID}, By: groupBy})
	}
	silences, err := d.Files.Silences(ctx, nil, time.Now())
	if err != nil {
		return set, err
	}
	for _, x := range silences {
		if place, there := within[x.Place]; there {
			x.Matchers = append(place, x.Matchers...)
			set.Silences = append(set.Silences, x.Silence)
		}
	}
	return set, nil
}

// within says which labels alerts of a place have.
func (d *Desk) within(ctx context.Context) (map[Place][]notify.Matcher, error) {
	orgs, err := d.Files.Orgs(ctx)
	if err != nil {
		return nil, err
	}
	spaces, err := d.Files.Spaces(ctx, "")
	if err != nil {
		return nil, err
	}
	is := func(label, value string) notify.Matcher { return notify.Matcher{Label: label, Op: "=", Value: value} }
	out := map[Place][]notify.Matcher{{}: nil}
	names := map[app.OrgID]string{}
	for _, o := range orgs {
		names[o.ID] = o.Name
		out[Place{Org: o.ID}] = []notify.Matcher{is(notify.LabelOrg, o.Name)}
	}
	for _, s := range spaces {
		out[Place{Space: s.ID}] = []notify.Matcher{is(notify.LabelOrg, names[s.Org]), is(notify.LabelSpace, s.Name)}
	}
	for p, m := range out {
		out[p] = m[:len(m):len(m)] // they are appended to
	}
	return out, nil
}

func severities(r Receiver) []notify.Matcher {
	words := make([]string, len(r.Severities))
	for i, s := range r.Severities {
		words[i] = string(s)
	}
	return []notify.Matcher{{Label: notify.LabelSeverity, Op: "=~", Value: strings.Join(words, "|")}}
}

// named is a receiver under the name that people gave it: the courier knows it by
// its id.
type named struct {
	notify.Sender
	name string
}

// Send is that of the receiver.
func (n named) Send(ctx context.Context, m notify.Message) error {
	m.Receiver = n.name
	return n.Sender.Send(ctx, m)
}
