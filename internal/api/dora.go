package api

import (
	"context"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/judge/dora"
	"naru/internal/pipeline/account"
)

// Deliveries tells how often and how well apps are delivered.
type Deliveries interface {
	Delivered(ctx context.Context, scope dora.Scope, apps []app.App, since time.Duration) (account.Delivered, error)
	// AppsOf lists all apps of a space.
	AppsOf(ctx context.Context, space app.SpaceID) ([]app.App, error)
}

// usualDora is the time of the reports: three months.
const usualDora = 90 * 24 * time.Hour

func (s *server) appDora(ctx context.Context, in *sinceInput) (client.Delivered, error) {
	here := at(ctx)
	return s.delivered(ctx, in, here.app.Name, dora.Scope{Org: string(here.org.ID), Space: string(here.space.ID), App: string(here.app.ID)}, here.app)
}

func (s *server) spaceDora(ctx context.Context, in *sinceInput) (client.Delivered, error) {
	here := at(ctx)
	apps, err := s.Deliveries.AppsOf(ctx, here.space.ID)
	if err != nil {
		return client.Delivered{}, err
	}
	return s.delivered(ctx, in, here.org.Name+"/"+here.space.Name, dora.Scope{Org: string(here.org.ID), Space: string(here.space.ID)}, apps...)
}

// orgDora is of the spaces that who asks may see.
func (s *server) orgDora(ctx context.Context, in *sinceInput) (client.Delivered, error) {
	here := at(ctx)
	spaces, err := s.Places.Spaces(ctx, here.org.ID)
	if err != nil {
		return client.Delivered{}, err
	}
	var all []app.App
	for _, space := range spaces {
		if !auth.Sees(requestOf(ctx).who, here.org.ID, space.ID) {
			continue
		}
		apps, err := s.Deliveries.AppsOf(ctx, space.ID)
		if err != nil {
			return client.Delivered{}, err
		}
		all = append(all, apps...)
	}
	return s.delivered(ctx, in, here.org.Name, dora.Scope{Org: string(here.org.ID)}, all...)
}

func (s *server) delivered(ctx context.Context, in *sinceInput, name string, scope dora.Scope, apps ...app.App) (client.Delivered, error) {
	since, err := in.since(usualDora)
	if err != nil {
		return client.Delivered{}, err
	}
	d, err := s.Deliveries.Delivered(ctx, scope, apps, since)
	if err != nil {
		return client.Delivered{}, err
	}
	span := func(s dora.Span) client.DoraSpan {
		return client.DoraSpan{N: s.N, Median: client.Duration(s.Median), P90: client.Duration(s.P90), Band: string(s.Band)}
	}
	rate := func(r dora.Rate) client.DoraRate {
		return client.DoraRate{N: r.N, Of: r.Of, Share: r.Share(), Band: string(r.Band)}
	}
	return client.Delivered{
		Of: name, From: d.From, To: d.To, Apps: d.Apps, Weekly: d.Weekly,
		Frequency: client.DoraFrequency{N: d.Frequency.N, Weeks: d.Frequency.Weeks, DaysPerWeek: d.Frequency.DaysPerWeek, PerMonth: d.Frequency.PerMonth, Band: string(d.Frequency.Band)},
		LeadTime:  span(d.LeadTime), LeftOut: d.LeftOut, Failures: rate(d.Failures), Restore: span(d.Restore), Recovery: span(d.Recovery),
		Rework: rate(d.Rework), Open: d.Open,
		Incidents: client.DoraIncidents{
			N: d.N, Downtime: client.Duration(d.Downtime), Availability: d.Availability, MTTR: client.Duration(d.MTTR), MTBF: client.Duration(d.MTBF),
		},
	}, nil
}
