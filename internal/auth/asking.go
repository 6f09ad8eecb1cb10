package auth

import (
	"context"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/feature"
)

// identityKey is where As keeps who asks.
type identityKey struct{}

// As notes in a context who asks for what is done with it, and so which features
// they have.
func As(ctx context.Context, who Identity) context.Context {
	return feature.As(context.WithValue(ctx, identityKey{}, who), who.asker())
}

// Asking is who asks; the zero Identity where nobody does.
func Asking(ctx context.Context) Identity {
	who, _ := ctx.Value(identityKey{}).(Identity)
	return who
}

// Grant gives a user a role, where who asks may give any.
func (s *Service) Grant(ctx context.Context, user UserID, g Grant, evs ...event.Event) error {
	if err := feature.Ask(ctx, feature.SetRolesByUsername); err != nil {
		return err
	}
	return s.store.Grant(ctx, user, g, evs...)
}

// Ungrant takes a role from a user, where who asks may take any.
func (s *Service) Ungrant(ctx context.Context, user UserID, g Grant, evs ...event.Event) error {
	if err := feature.Ask(ctx, feature.UnsetRolesByUsername); err != nil {
		return err
	}
	return s.store.Ungrant(ctx, user, g, evs...)
}

// Found makes an organisation, with create, for who asks. Who is no administrator
// manages it from then on: nobody else would.
func (s *Service) Found(ctx context.Context, create func(ctx context.Context) (app.Org, error)) (org app.Org, err error) {
	who := Asking(ctx)
	err = s.store.Together(ctx, func(ctx context.Context) error {
		if org, err = create(ctx); err != nil || who.UserID == "" || who.Admin {
			return err
		}
		for _, r := range []Role{OrgUser, OrgManager} {
			ev := event.Event{Kind: "role.given", Actor: who.Name, Subject: who.Name, Detail: map[string]any{"role": string(r)}}
			if err := s.store.Grant(ctx, who.UserID, Grant{Role: r, Org: org.ID}, ev); err != nil {
				return err
			}
		}
		return nil
	})
	return org, err
}
