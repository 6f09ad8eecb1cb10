package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
)

// place is what the path of a request names.
type place struct {
	org       app.Org
	space     app.Space
	app       app.App
	operation operation.Operation
}

// The actions of routes that ask for less than a permission.
const (
	public   auth.Action = "public"   // no login
	loggedIn auth.Action = "loggedin" // whoever is asking, about themselves
)

// guard lets a request through to its handler when who asks may do what the
// route needs, in the place that its path names.
func (s *server) guard(r Route) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		rq := requestOf(ctx.Context())
		rq.route = r.Method + " " + r.Path
		if err := s.admit(ctx, r, rq); err != nil {
			s.refuse(ctx, err)
			return
		}
		if rq.who.UserID != "" {
			ctx = huma.WithContext(ctx, auth.As(ctx.Context(), rq.who))
		}
		next(ctx)
	}
}

// refuse answers in place of a handler.
func (s *server) refuse(ctx huma.Context, err error) {
	p := s.problemOf(ctx.Context(), err)
	for name, values := range p.headers {
		ctx.SetHeader(name, values[0])
	}
	ctx.SetHeader("Content-Type", problemType)
	ctx.SetStatus(p.Status)
	encodeJSON(ctx.BodyWriter(), p.Problem)
}

func (s *server) admit(ctx huma.Context, r Route, rq *request) error {
	if r.Action == public {
		if r.Method == http.MethodPost && !s.logins.allow(rq.remote, time.Now()) {
			return tooMany(ctx.Context())
		}
		return nil
	}
	token, ok := bearer(ctx.Header("Authorization"))
	if !ok {
		return fault.New(fault.Unauthenticated, "", "a login is needed").WithTry("naru login")
	}
	who, err := s.Sessions.Verify(ctx.Context(), token)
	if err != nil {
		return err
	}
	rq.who = who
	if !s.requests.allow(string(who.UserID), time.Now()) {
		return tooMany(ctx.Context())
	}
	return s.locate(ctx, r, rq)
}

func bearer(header string) (string, bool) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// locate finds what the path names, from the outside in, and checks at each
// border that it may be seen: what may not be seen is answered like what does
// not exist.
func (s *server) locate(ctx huma.Context, r Route, rq *request) (err error) {
	c, p, what := ctx.Context(), &rq.place, "the platform"
	if name := ctx.Param("org"); name != "" {
		what = quoted("organisation", name)
		if p.org, err = s.findOrg(c, name); err != nil || !auth.Sees(rq.who, p.org.ID, "") {
			return hidden(err, "org", what, "naru orgs")
		}
	}
	if name := ctx.Param("space"); name != "" {
		what = quoted("space", name)
		if p.space, err = s.findSpace(c, p.org, name); err != nil || !auth.Sees(rq.who, p.org.ID, p.space.ID) {
			return hidden(err, "space", what, "naru spaces")
		}
	}
	if name := ctx.Param("operation"); name != "" {
		return s.locateOperation(c, r, rq, name)
	}
	if name := ctx.Param("app"); name != "" {
		what = quoted("app", name)
		if p.app, err = s.findApp(c, p.space.ID, name); err != nil {
			return hidden(err, "app", what, "naru apps")
		}
	}
	if r.Action == loggedIn {
		return nil
	}
	return auth.Check(rq.who, r.Action, p.org.ID, p.space.ID, what)
}

// locateOperation finds an operation and its space. One of the platform is seen
// by whoever asked for it and by who manages the platform.
func (s *server) locateOperation(c context.Context, r Route, rq *request, name string) error {
	p, what := &rq.place, quoted("operation", name)
	op, err := s.Operations.Operation(c, operation.ID(name))
	if err != nil {
		return hidden(err, "operation", what, "naru operations")
	}
	p.operation = op
	if op.Space == "" {
		if op.Actor == rq.who.Name || auth.Can(rq.who, auth.PlatformAudit, "", "") {
			return nil
		}
		return hidden(nil, "operation", what, "naru operations")
	}
	p.space, err = s.Places.Space(c, op.Space)
	switch {
	case fault.Is(err, fault.NotFound) && op.Actor == rq.who.Name:
		return nil // the space is gone, what was done to it may be looked at
	case err != nil || !auth.Sees(rq.who, p.space.Org, p.space.ID):
		return hidden(err, "operation", what, "naru operations")
	}
	return auth.Check(rq.who, r.Action, p.space.Org, p.space.ID, what)
}

// hidden is the answer about what is not there or may not be seen; other errors
// stay what they are.
func hidden(err error, field, what, try string) error {
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return fault.New(fault.NotFound, field, "%s does not exist", what).WithTry("%s", try)
}

func quoted(noun, name string) string { return noun + ` "` + name + `"` }

// find returns what has an id, or else a name: names are what people type, and
// one may look like an id.
func find[K ~string, T any](ctx context.Context, name string, byID func(context.Context, K) (T, error), byName func() (T, error)) (T, error) {
	if id.Valid(name) {
		v, err := byID(ctx, K(name))
		if !fault.Is(err, fault.NotFound) {
			return v, err
		}
	}
	return byName()
}

func (s *server) findOrg(ctx context.Context, name string) (app.Org, error) {
	return find(ctx, name, s.Places.Org, func() (app.Org, error) { return s.Places.OrgNamed(ctx, name) })
}

func (s *server) findSpace(ctx context.Context, org app.Org, name string) (app.Space, error) {
	space, err := find(ctx, name, s.Places.Space, func() (app.Space, error) { return s.Places.SpaceNamed(ctx, org.Name, name) })
	if err == nil && space.Org != org.ID {
		return app.Space{}, fault.New(fault.NotFound, "space", "no such space")
	}
	return space, err
}

func (s *server) findApp(ctx context.Context, space app.SpaceID, name string) (app.App, error) {
	a, err := find(ctx, name, s.Apps.App, func() (app.App, error) { return s.Apps.AppNamed(ctx, space, name) })
	if err == nil && a.Space != space {
		return app.App{}, fault.New(fault.NotFound, "app", "no such app")
	}
	return a, err
}

func (s *server) findUser(ctx context.Context, name string) (auth.User, error) {
	return find(ctx, name, s.People.User, func() (auth.User, error) { return s.People.UserNamed(ctx, name, auth.Origin) })
}
