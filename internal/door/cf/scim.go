package cf

import (
	"net/http"
	"regexp"
	"slices"

	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/secret"
)

// equals is one comparison of a SCIM filter.
var equals = regexp.MustCompile(`(?i)\b(userName|origin|id)\s+eq\s+"((?:[^"\\]|\\.)*)"`)

// local reports whether an origin is that of users with passwords: clients of
// Cloud Foundry call it uaa.
func local(origin string) bool { return origin == "" || origin == "uaa" || origin == auth.Origin }

// scim is a user as a UAA shows it.
func scim(u auth.User) map[string]any {
	return map[string]any{
		"id": u.ID, "userName": u.Name, "origin": u.Origin, "active": !u.Disabled, "verified": true, "zoneId": "uaa",
		"emails": []any{map[string]any{"value": u.Name, "primary": true}}, "meta": map[string]any{"created": stamp(u.Created)},
	}
}

// findUsers looks users up by name, origin or id.
func (d *Door) findUsers(c *call) error {
	if err := auth.Check(c.who, auth.PlatformAudit, "", "", "the platform"); err != nil {
		return err
	}
	all, err := d.People.Users(c.ctx())
	if err != nil {
		return err
	}
	for _, m := range equals.FindAllStringSubmatch(c.r.URL.Query().Get("filter"), -1) {
		want := unquoted(m[2])
		all = slices.DeleteFunc(all, func(u auth.User) bool {
			switch m[1][0] | 0x20 { // as people write it: userName, username
			case 'u':
				return u.Name != want
			case 'o':
				return u.Origin != want && !(local(u.Origin) && local(want))
			}
			return string(u.ID) != want
		})
	}
	return c.ok(map[string]any{
		"resources": each(all, scim), "startIndex": 1, "itemsPerPage": len(all), "totalResults": len(all), "schemas": []string{"urn:scim:schemas:core:1.0"},
	})
}

func unquoted(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out = append(out, s[i])
	}
	return string(out)
}

func (d *Door) createUser(c *call) error {
	if err := auth.Check(c.who, auth.UserManage, "", "", "the platform"); err != nil {
		return err
	}
	var in struct {
		UserName string `json:"userName"`
		Password string `json:"password"`
		Origin   string `json:"origin"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	if !local(in.Origin) {
		return fault.New(fault.Unsupported, "origin", "naru keeps users of its own only")
	}
	u, err := d.Sessions.CreateUser(c.ctx(), c.who.Name, in.UserName, secret.New(in.Password))
	if err != nil {
		return err
	}
	return c.made(scim(u))
}

func (d *Door) deleteUser(c *call) error {
	if err := auth.Check(c.who, auth.UserManage, "", "", "the platform"); err != nil {
		return err
	}
	u, err := d.People.User(c.ctx(), auth.UserID(c.guid()))
	if err != nil {
		return err
	}
	if u.ID == c.who.UserID {
		return fault.New(fault.Invalid, "", "nobody can delete the user they are logged in as")
	}
	if err := d.People.DeleteUser(c.ctx(), u.ID, c.event("user.deleted", u.Name)); err != nil {
		return err
	}
	return c.ok(scim(u))
}

// changePassword changes one's own password, which one must know, or as an
// administrator somebody else's.
func (d *Door) changePassword(c *call) error {
	var in struct {
		Old string `json:"oldPassword"`
		New string `json:"password"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	var err error
	switch user := auth.UserID(c.guid()); {
	case user == c.who.UserID:
		err = d.Sessions.ChangePassword(c.ctx(), c.who, secret.New(in.Old), secret.New(in.New))
		if fault.Is(err, fault.Denied) {
			return oauthError{http.StatusUnauthorized, "unauthorized", "the present password is wrong"}
		}
	case auth.Can(c.who, auth.UserManage, "", ""):
		err = d.Sessions.SetPassword(c.ctx(), c.who.Name, user, secret.New(in.New))
	default:
		err = fault.New(fault.Denied, "", "only administrators set the passwords of others")
	}
	if err != nil {
		return err
	}
	return c.ok(map[string]string{"status": "ok", "message": "password updated"})
}
