package cf

import (
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
)

func userRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/users", do: (*Door).listUsers},
		{pattern: "POST /v3/users", do: (*Door).welcomeUser},
		{pattern: "GET /v3/users/{guid}", do: (*Door).getUser},
		{pattern: "DELETE /v3/users/{guid}", do: (*Door).dropUser},
	}
}

var userList = list[auth.User]{
	filters: map[string]func(auth.User) []string{
		"usernames": single(func(u auth.User) string { return u.Name }),
		"origins": func(u auth.User) []string {
			if u.Origin == auth.Origin {
				return []string{u.Origin, "uaa"} // as clients call it that know only UAAs
			}
			return []string{u.Origin}
		},
	},
	times: func(u auth.User) (time.Time, time.Time) { return u.Created, u.Updated },
	guid:  func(u auth.User) string { return string(u.ID) },
	also:  []string{"partial_usernames"},
}

type userResource struct {
	resource
	Username         string `json:"username"`
	PresentationName string `json:"presentation_name"`
	Origin           string `json:"origin"`
}

func (c *call) userResource(u auth.User) userResource {
	return userResource{c.thing(string(u.ID), u.Created, u.Updated, "/v3/users/"+string(u.ID)), u.Name, u.Name, u.Origin}
}

// users are the users that who asks may see: all, or those with a role in an
// organisation that they see, and they themselves.
func (d *Door) users(c *call) ([]auth.User, error) {
	all, err := d.People.Users(c.ctx())
	if err != nil || c.can(auth.PlatformAudit, place{}) {
		return all, err
	}
	held, err := d.People.Holdings(c.ctx(), "", "")
	if err != nil {
		return nil, err
	}
	near := map[auth.UserID]bool{c.who.UserID: true}
	for _, h := range held {
		if h.Org != "" && auth.Sees(c.who, h.Org, "") {
			near[h.User] = true
		}
	}
	return slices.DeleteFunc(all, func(u auth.User) bool { return !near[u.ID] }), nil
}

func (d *Door) listUsers(c *call) error {
	all, err := d.users(c)
	if err != nil {
		return err
	}
	q := c.r.URL.Query()
	if q.Has("partial_usernames") {
		parts := values(q, "partial_usernames")
		all = slices.DeleteFunc(all, func(u auth.User) bool {
			return !slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(strings.ToLower(u.Name), strings.ToLower(p)) })
		})
	}
	return show(c, userList, all, c.userResource)
}

// welcomeUser answers a client that made a user at the UAA, and now makes it known
// here: it is known.
func (d *Door) welcomeUser(c *call) error {
	if !c.can(auth.UserManage, place{}) {
		return notAuthorized
	}
	var in struct {
		GUID     string `json:"guid"`
		Username string `json:"username"`
		Origin   string `json:"origin"`
	}
	if err := c.decode(&in); err != nil {
		return err
	}
	var wrong []string
	say := func(is bool, text string) {
		if is {
			wrong = append(wrong, text)
		}
	}
	switch {
	case in.GUID != "":
		say(in.Username != "", "Username cannot be provided with 'guid'")
		say(in.Origin != "", "Origin cannot be provided with 'guid'")
	case in.Username != "" || in.Origin != "":
		say(in.Username == "", "Origin can only be provided together with 'username'")
		say(in.Origin == "", "Username can only be provided together with 'origin'")
		say(in.Origin == "uaa", "Origin cannot be 'uaa' when creating a user by username")
	default:
		say(true, "Guid or 'username' and 'origin' must be provided")
	}
	if err := allWrong(wrong); err != nil {
		return err
	}
	u, err := d.findUser(c, in.GUID, in.Username, in.Origin)
	if fault.Is(err, fault.NotFound) {
		return unprocessable.saying("No user exists with that guid, or that name and origin: cf create-user makes one; people of an identity provider come with their first login")
	}
	if err != nil {
		return err
	}
	return c.made(c.userResource(u))
}

// findUser finds a user by id, else by name and origin.
func (d *Door) findUser(c *call, guid, name, origin string) (auth.User, error) {
	if guid != "" {
		return d.People.User(c.ctx(), auth.UserID(guid))
	}
	if local(origin) {
		origin = auth.Origin
	}
	return d.People.UserNamed(c.ctx(), name, origin)
}

func (d *Door) getUser(c *call) error {
	all, err := d.users(c)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(u auth.User) bool { return string(u.ID) == c.guid() })
	if i < 0 {
		return missing("User")
	}
	return c.ok(c.userResource(all[i]))
}

// dropUser takes all roles of a user away. The user itself is deleted at the UAA,
// which clients ask afterwards.
func (d *Door) dropUser(c *call) error {
	if !c.can(auth.UserManage, place{}) {
		return notAuthorized
	}
	u, err := d.People.User(c.ctx(), auth.UserID(c.guid()))
	if err != nil {
		return gone(err, "User")
	}
	if u.ID == c.who.UserID {
		return unprocessable.saying("nobody can delete the user they are logged in as")
	}
	held, err := d.People.Holdings(c.ctx(), "", "")
	if err != nil {
		return err
	}
	for _, h := range held {
		if h.User != u.ID {
			continue
		}
		if err := d.People.Ungrant(c.ctx(), u.ID, h.Grant, c.event("role.taken", u.Name)); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return c.job(done("user.delete", string(u.ID)))
}

func (d *Door) orgUsers(c *call) error {
	p, err := d.org(c, c.guid(), auth.OrgRead)
	if err != nil {
		return err
	}
	return d.usersIn(c, p.org.ID, "")
}

func (d *Door) spaceUsers(c *call) error {
	p, err := d.space(c, c.guid(), auth.SpaceRead)
	if err != nil {
		return err
	}
	return d.usersIn(c, p.org.ID, p.space.ID)
}

func (d *Door) usersIn(c *call, org app.OrgID, space app.SpaceID) error {
	held, err := d.People.Holdings(c.ctx(), org, space)
	if err != nil {
		return err
	}
	all, err := d.People.Users(c.ctx())
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(u auth.User) bool {
		return !slices.ContainsFunc(held, func(h auth.Holding) bool { return h.User == u.ID && h.Org == org })
	})
	return show(c, userList, all, c.userResource)
}
