package storetest

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/store"
)

func places(t *testing.T, open Opener) {
	st := open(t, store.Options{})
	ctx := t.Context()
	org, space, err := st.Bootstrap(ctx)
	must(t, err)
	again, same, err := st.Bootstrap(ctx)
	must(t, err)
	if again != org || same != space || org.Name != "default" || space.Name != "dev" {
		t.Errorf("bootstrap twice: %+v %+v, then %+v %+v", org, space, again, same)
	}
	_, err = st.CreateOrg(ctx, "default")
	mustBe(t, err, fault.Conflict)
	_, err = st.CreateSpace(ctx, org.ID, "dev")
	mustBe(t, err, fault.Conflict)
	_, err = st.CreateSpace(ctx, "nowhere", "dev")
	mustBe(t, err, fault.NotFound)
	_, err = st.SpaceNamed(ctx, "default", "prod")
	if f := mustBe(t, err, fault.NotFound); f.Message != `space "default/prod" does not exist` {
		t.Errorf("message = %q", f.Message)
	}
	if name, err := st.SpaceName(ctx, space.ID); err != nil || name != "default/dev" {
		t.Errorf("SpaceName = %q, %v", name, err)
	}
	open2, err := st.UpdateSpace(ctx, space.ID, func(s *app.Space) error { s.AllowRoot, s.NoSSH = true, true; return nil })
	must(t, err)
	if got, err := st.Space(ctx, space.ID); err != nil || got != open2 || !got.AllowRoot || !got.NoSSH {
		t.Errorf("space = %+v, %v", got, err)
	}

	prod, err := st.CreateSpace(ctx, org.ID, "prod", happened("space.created", "default/prod"))
	must(t, err)
	spaces, err := st.Spaces(ctx, org.ID)
	must(t, err)
	if len(spaces) != 2 || spaces[0].Name != "dev" || spaces[1] != prod {
		t.Errorf("spaces = %+v", spaces)
	}
	_, err = st.RenameSpace(ctx, prod.ID, "dev")
	mustBe(t, err, fault.Conflict)
	if _, err = st.RenameSpace(ctx, prod.ID, "live", happened("space.renamed", "default/live")); err != nil {
		t.Fatal(err)
	}
	if prod, err = st.SpaceNamed(ctx, "default", "live"); err != nil || prod.ID != spaces[1].ID {
		t.Errorf("renamed: %+v, %v", prod, err)
	}
	other, err := st.CreateOrg(ctx, "other")
	must(t, err)
	_, err = st.RenameOrg(ctx, other.ID, "default")
	mustBe(t, err, fault.Conflict)
	renamed, err := st.RenameOrg(ctx, other.ID, "third", happened("org.renamed", "third"))
	must(t, err)
	if got, err := st.OrgNamed(ctx, "third"); err != nil || got != renamed || got.ID != other.ID {
		t.Errorf("renamed: %+v, %v", got, err)
	}
	must(t, st.DeleteOrg(ctx, other.ID))
	_, err = st.RenameOrg(ctx, other.ID, "fourth")
	mustBe(t, err, fault.NotFound)
	w := world{Store: st, org: org, space: prod}
	a := w.newApp(t, "shop")
	_, err = st.RenameSpace(ctx, prod.ID, "other") // images are kept below the name
	mustBe(t, err, fault.Conflict)
	_, err = st.RenameOrg(ctx, org.ID, "other")
	mustBe(t, err, fault.Conflict)
	mustBe(t, st.DeleteSpace(ctx, prod.ID), fault.Conflict)
	mustBe(t, st.DeleteOrg(ctx, org.ID), fault.Conflict)
	must(t, st.DeleteApp(ctx, a.ID))
	must(t, st.DeleteSpace(ctx, prod.ID, happened("space.deleted", "default/prod")))
	mustBe(t, st.DeleteSpace(ctx, prod.ID), fault.NotFound)
	must(t, st.DeleteSpace(ctx, space.ID))
	must(t, st.DeleteOrg(ctx, org.ID))
	if orgs, err := st.Orgs(ctx); err != nil || len(orgs) != 0 {
		t.Errorf("orgs = %v, %v", orgs, err)
	}
}

func newUser(t testing.TB, st *store.Store, name string) auth.User {
	t.Helper()
	u, err := st.CreateUser(t.Context(), auth.User{ID: auth.UserID(id.New()), Name: name, Origin: auth.Origin, Password: "hash"})
	must(t, err)
	return u
}

func users(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	ada := newUser(t, w.Store, "ada")
	_, err := w.CreateUser(ctx, auth.User{ID: "x", Name: "ada", Origin: auth.Origin})
	mustBe(t, err, fault.Conflict)
	_, err = w.CreateUser(ctx, auth.User{ID: "y", Name: "ada", Origin: "ldap"})
	must(t, err)
	got, err := w.UserNamed(ctx, "ada", auth.Origin)
	must(t, err)
	if !reflect.DeepEqual(got, ada) {
		t.Errorf("read %+v, want %+v", got, ada)
	}
	changed, err := w.UpdateUser(ctx, ada.ID, func(u *auth.User) error { u.Disabled, u.Password = true, "other"; return nil })
	must(t, err)
	if got, err := w.User(ctx, ada.ID); err != nil || !reflect.DeepEqual(got, changed) || !got.Disabled {
		t.Errorf("read %+v, %v, want %+v", got, err, changed)
	}

	dev := auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID}
	for _, g := range []auth.Grant{dev, dev, {Role: auth.Admin}} { // giving twice is giving once
		must(t, w.Grant(ctx, ada.ID, g))
	}
	mustBe(t, w.Grant(ctx, "nobody", dev), fault.NotFound)
	mustBe(t, w.Grant(ctx, ada.ID, auth.Grant{Role: "king"}), fault.Invalid)
	grants, err := w.Grants(ctx, ada.ID)
	must(t, err)
	if want := []auth.Grant{{Role: auth.Admin}, dev}; !slices.Equal(grants, want) {
		t.Errorf("grants = %+v, want %+v", grants, want)
	}
	holdings, err := w.Holdings(ctx, w.org.ID, w.space.ID)
	must(t, err)
	if want := []auth.Holding{{User: ada.ID, Grant: dev}}; !slices.Equal(holdings, want) {
		t.Errorf("holdings = %+v, want %+v", holdings, want)
	}
	must(t, w.Ungrant(ctx, ada.ID, dev))
	mustBe(t, w.Ungrant(ctx, ada.ID, dev), fault.NotFound)

	must(t, w.DeleteUser(ctx, ada.ID))
	mustBe(t, w.DeleteUser(ctx, ada.ID), fault.NotFound)
	if grants, err := w.Grants(ctx, ada.ID); err != nil || len(grants) != 0 {
		t.Errorf("grants of a deleted user = %v, %v", grants, err)
	}
	if all, err := w.Users(ctx); err != nil || len(all) != 1 {
		t.Errorf("users = %v, %v, want the one of another origin", all, err)
	}
}

func tokens(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	u := newUser(t, w.Store, "ada")
	later := time.Now().Add(time.Hour).UTC()
	link := func(hash, session string) auth.RefreshToken {
		return auth.RefreshToken{Hash: hash, Session: session, User: u.ID, Created: later.Add(-time.Hour), Expires: later}
	}

	t.Run("refresh tokens rotate", func(t *testing.T) {
		must(t, w.AddRefreshToken(ctx, link("1", "s")))
		var seen []auth.RefreshToken
		next := func(hash string) func(auth.RefreshToken, time.Time) (auth.RefreshToken, error) {
			return func(old auth.RefreshToken, _ time.Time) (auth.RefreshToken, error) {
				seen = append(seen, old)
				return link(hash, "s"), nil
			}
		}
		must(t, w.RotateRefreshToken(ctx, "1", next("2")))
		must(t, w.RotateRefreshToken(ctx, "1", next("3")))
		if !seen[0].Used.IsZero() || seen[1].Used.IsZero() || !seen[1].Expires.Equal(later) {
			t.Errorf("seen %+v", seen)
		}
		refused := errors.New("refused")
		err := w.RotateRefreshToken(ctx, "2", func(auth.RefreshToken, time.Time) (auth.RefreshToken, error) {
			return auth.RefreshToken{}, refused
		})
		if !errors.Is(err, refused) {
			t.Errorf("err = %v", err)
		}
		mustBe(t, w.RotateRefreshToken(ctx, "unknown", next("4")), fault.NotFound)
	})

	t.Run("one that follows itself stays", func(t *testing.T) {
		must(t, w.AddRefreshToken(ctx, link("same", "stays")))
		for n := range 3 {
			must(t, w.RotateRefreshToken(ctx, "same", func(old auth.RefreshToken, _ time.Time) (auth.RefreshToken, error) {
				if !old.Used.IsZero() || !old.Expires.Equal(later.Add(time.Duration(n)*time.Hour)) {
					t.Errorf("before use %d: %+v", n+1, old)
				}
				old.Expires = old.Expires.Add(time.Hour)
				return old, nil
			}))
		}
	})

	t.Run("sessions end", func(t *testing.T) {
		must(t, w.AddRefreshToken(ctx, link("a", "one")))
		must(t, w.AddRefreshToken(ctx, link("b", "two")))
		must(t, w.EndSession(ctx, "one", later))
		must(t, w.EndSession(ctx, "one", later))
		for id, want := range map[string]bool{"one": true, "two": false} {
			if got, err := w.Revoked(ctx, "x", id); err != nil || got != want {
				t.Errorf("Revoked(%s) = %v, %v, want %v", id, got, err, want)
			}
		}
		must(t, w.EndSessions(ctx, u.ID, later))
		if got, err := w.Revoked(ctx, "two"); err != nil || !got {
			t.Errorf("Revoked(two) = %v, %v", got, err)
		}
		if got, err := w.Revoked(ctx); err != nil || got {
			t.Errorf("Revoked() = %v, %v", got, err)
		}
	})

	t.Run("a login code is taken once", func(t *testing.T) {
		must(t, w.AddLoginCode(ctx, auth.LoginCode{Hash: "h", User: u.ID, Expires: later}))
		code, err := w.TakeLoginCode(ctx, "h")
		must(t, err)
		if code.User != u.ID || !code.Expires.Equal(later) {
			t.Errorf("code = %+v", code)
		}
		_, err = w.TakeLoginCode(ctx, "h")
		mustBe(t, err, fault.NotFound)
	})

	t.Run("API tokens", func(t *testing.T) {
		kept, err := w.AddAPIToken(ctx, auth.APIToken{ID: id.New(), Hash: "t", User: u.ID, Name: "ci"})
		must(t, err)
		_, err = w.AddAPIToken(ctx, auth.APIToken{ID: id.New(), Hash: "t2", User: u.ID, Name: "ci"})
		mustBe(t, err, fault.Conflict)
		got, err := w.APIToken(ctx, "t")
		must(t, err)
		if !reflect.DeepEqual(got, kept) || !got.Expires.IsZero() {
			t.Errorf("read %+v, want %+v", got, kept)
		}
		must(t, w.TouchAPIToken(ctx, kept.ID))
		have, err := w.APITokens(ctx, u.ID)
		must(t, err)
		if len(have) != 1 || have[0].LastUsed.IsZero() {
			t.Errorf("tokens = %+v", have)
		}
		must(t, w.DeleteAPIToken(ctx, u.ID, "ci"))
		mustBe(t, w.DeleteAPIToken(ctx, u.ID, "ci"), fault.NotFound)
		_, err = w.APIToken(ctx, "t")
		mustBe(t, err, fault.NotFound)
	})
}
