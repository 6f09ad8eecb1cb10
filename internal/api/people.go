package api

import (
	"context"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/secret"
)

type loginInput struct{ Body client.Login }

func (s *server) login(ctx context.Context, in *loginInput) (client.Tokens, error) {
	t, err := s.Sessions.Login(ctx, in.Body.User, secret.New(in.Body.Password))
	return tokensOf(t), err
}

type redeemInput struct{ Body client.Redeem }

func (s *server) redeem(ctx context.Context, in *redeemInput) (client.Tokens, error) {
	t, err := s.Sessions.LoginWithCode(ctx, secret.New(in.Body.Code))
	return tokensOf(t), err
}

type refreshInput struct{ Body client.Refresh }

func (s *server) refresh(ctx context.Context, in *refreshInput) (client.Tokens, error) {
	t, err := s.Sessions.Refresh(ctx, secret.New(in.Body.RefreshToken))
	return tokensOf(t), err
}

func (s *server) logout(ctx context.Context, _ *nothing) error {
	return s.Sessions.Logout(ctx, requestOf(ctx).who)
}

func (s *server) me(ctx context.Context, _ *nothing) (client.Me, error) {
	who := requestOf(ctx).who
	u, err := s.People.User(ctx, who.UserID)
	if err != nil {
		return client.Me{}, err
	}
	me := client.Me{User: userOf(u), ExpiresAt: who.Expires, Grants: []client.Grant{}}
	for _, g := range who.Grants {
		wire, err := s.grantOf(ctx, auth.Holding{User: u.ID, Grant: g}, u.Name)
		if err != nil {
			return client.Me{}, err
		}
		me.Grants = append(me.Grants, wire)
	}
	return me, nil
}

type passwordInput struct{ Body client.Password }

func (s *server) changePassword(ctx context.Context, in *passwordInput) error {
	return s.Sessions.ChangePassword(ctx, requestOf(ctx).who, secret.New(in.Body.Old), secret.New(in.Body.New))
}

func (s *server) listTokens(ctx context.Context, _ *nothing) (client.List[client.APIToken], error) {
	all, err := s.Sessions.APITokens(ctx, requestOf(ctx).who)
	return whole(all, apiTokenOf), err
}

type tokenInput struct{ Body client.NewAPIToken }

func (s *server) createToken(ctx context.Context, in *tokenInput) (client.APIToken, error) {
	token, t, err := s.Sessions.NewAPIToken(ctx, requestOf(ctx).who, in.Body.Name, time.Duration(in.Body.Lifetime))
	out := apiTokenOf(t)
	out.Token = token.Reveal()
	return out, err
}

type tokenPath struct {
	Token string `path:"token" doc:"name or id of an API token"`
}

func (s *server) deleteToken(ctx context.Context, in *tokenPath) error {
	return s.Sessions.RevokeAPIToken(ctx, requestOf(ctx).who, in.Token)
}

func (s *server) listUsers(ctx context.Context, in *PageInput) (client.List[client.User], error) {
	all, err := s.People.Users(ctx)
	if err != nil {
		return client.List[client.User]{}, err
	}
	return pageOf(s, *in, all, userOf, func(u auth.User) string { return u.Name })
}

type newUserInput struct{ Body client.NewUser }

func (s *server) createUser(ctx context.Context, in *newUserInput) (client.User, error) {
	if err := app.CheckName("name", in.Body.Name); err != nil {
		return client.User{}, err
	}
	var roles []auth.Grant
	if in.Body.Admin {
		roles = append(roles, auth.Grant{Role: auth.Admin})
	}
	u, err := s.Sessions.CreateUser(ctx, requestOf(ctx).who.Name, in.Body.Name, secret.New(in.Body.Password), roles...)
	return userOf(u), err
}

// UserPath names a user; exported because huma looks into exported fields only.
type UserPath struct {
	User string `path:"user" doc:"user, by name or id"`
}

func (s *server) deleteUser(ctx context.Context, in *UserPath) error {
	u, err := s.findUser(ctx, in.User)
	if err != nil {
		return err
	}
	if u.ID == requestOf(ctx).who.UserID {
		return fault.New(fault.Conflict, "user", "nobody can delete the user they are logged in as").
			WithTry("log in as another admin first")
	}
	return s.People.DeleteUser(ctx, u.ID, event.Event{Kind: "user.deleted", Actor: requestOf(ctx).who.Name, Subject: u.Name})
}

type userPasswordInput struct {
	UserPath
	Body client.Password
}

func (s *server) setPassword(ctx context.Context, in *userPasswordInput) error {
	u, err := s.findUser(ctx, in.User)
	if err != nil {
		return err
	}
	return s.Sessions.SetPassword(ctx, requestOf(ctx).who.Name, u.ID, secret.New(in.Body.New))
}

// listGrants lists the roles held in the place of the path: on the platform, in
// an organisation without its spaces, or in a space.
func (s *server) listGrants(ctx context.Context, _ *nothing) (client.List[client.Grant], error) {
	p, out := at(ctx), client.List[client.Grant]{Items: []client.Grant{}}
	all, err := s.People.Holdings(ctx, p.org.ID, p.space.ID)
	if err != nil {
		return out, err
	}
	for _, h := range all {
		if h.Org != p.org.ID || h.Space != p.space.ID {
			continue
		}
		u, err := s.People.User(ctx, h.User)
		if err != nil {
			return out, err
		}
		out.Items = append(out.Items, client.Grant{User: u.Name, Role: string(h.Role), Org: p.org.Name, Space: p.space.Name})
	}
	return out, nil
}

// grantOf gives the places of a grant their names.
func (s *server) grantOf(ctx context.Context, h auth.Holding, user string) (client.Grant, error) {
	g := client.Grant{User: user, Role: string(h.Role)}
	if h.Org != "" {
		org, err := s.Places.Org(ctx, h.Org)
		if err != nil {
			return g, err
		}
		g.Org = org.Name
	}
	if h.Space != "" {
		space, err := s.Places.Space(ctx, h.Space)
		if err != nil {
			return g, err
		}
		g.Space = space.Name
	}
	return g, nil
}

type grantPath struct {
	Role string `path:"role" doc:"role that holds in such a place"`
	User string `path:"user" doc:"user, by name or id"`
}

func (s *server) giveRole(ctx context.Context, in *grantPath) error {
	u, g, ev, err := s.grant(ctx, in, "role.given")
	if err != nil {
		return err
	}
	return s.People.Grant(ctx, u.ID, g, ev)
}

func (s *server) takeRole(ctx context.Context, in *grantPath) error {
	u, g, ev, err := s.grant(ctx, in, "role.taken")
	if err != nil {
		return err
	}
	if err := s.People.Ungrant(ctx, u.ID, g, ev); !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil // taking what is not there is no error
}

func (s *server) grant(ctx context.Context, in *grantPath, kind event.Kind) (auth.User, auth.Grant, event.Event, error) {
	p := at(ctx)
	g := auth.Grant{Role: auth.Role(in.Role), Org: p.org.ID, Space: p.space.ID}
	if err := g.Check(); err != nil {
		return auth.User{}, g, event.Event{}, err
	}
	u, err := s.findUser(ctx, in.User)
	return u, g, event.Event{
		Kind: kind, Actor: requestOf(ctx).who.Name, Space: string(p.space.ID), Subject: u.Name, Detail: map[string]any{"role": in.Role},
	}, err
}
