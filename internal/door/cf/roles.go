package cf

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/event"
	"naru/internal/fault"
)

func roleRoutes() []endpoint {
	return []endpoint{
		{pattern: "GET /v3/roles", do: (*Door).listRoles},
		{pattern: "POST /v3/roles", do: (*Door).giveRole},
		{pattern: "GET /v3/roles/{guid}", do: (*Door).getRole},
		{pattern: "DELETE /v3/roles/{guid}", do: (*Door).takeRole},
	}
}

// held is a role that a user holds in a place. naru's roles have no ids: theirs
// is made of what they are.
type held struct {
	auth.Holding
	user auth.User
}

func (h held) place() string { return cmp.Or(string(h.Space), string(h.Org)) }

func (h held) guid() string { return fmt.Sprintf("%s-%s-%s", h.Role, h.User, h.place()) }

var roleList = list[held]{
	filters: map[string]func(held) []string{
		"types":              single(func(h held) string { return string(h.Role) }),
		"user_guids":         single(func(h held) string { return string(h.User) }),
		"space_guids":        single(func(h held) string { return string(h.Space) }),
		"organization_guids": single(func(h held) string { return string(ofOrg(h)) }),
	},
	times: func(h held) (time.Time, time.Time) { return h.user.Created, h.user.Created },
	guid:  held.guid,

	includes:   []string{"user", "organization", "space"},
	unlabelled: true,
}

// ofOrg is the organisation of a role in one; a role in a space is none of it.
func ofOrg(h held) app.OrgID {
	if h.Space != "" {
		return ""
	}
	return h.Org
}

type roleResource struct {
	resource
	Type          string           `json:"type"`
	Relationships map[string]toOne `json:"relationships"`
	Included      map[string]any   `json:"included,omitempty"`
}

func (c *call) roleResource(h held) roleResource {
	r := c.thing(h.guid(), h.user.Created, h.user.Created, "/v3/roles/"+h.guid()).with(c, "user", "/v3/users/"+string(h.User))
	rel := map[string]toOne{"user": one(string(h.User)), "organization": none(), "space": none()}
	if h.Space != "" {
		rel["space"] = one(string(h.Space))
		r = r.with(c, "space", "/v3/spaces/"+string(h.Space))
	} else {
		rel["organization"] = one(string(h.Org))
		r = r.with(c, "organization", "/v3/organizations/"+string(h.Org))
	}
	return roleResource{resource: r, Type: string(h.Role), Relationships: rel}
}

// roles are those that who asks may see. What administrators are is no role here.
func (d *Door) roles(c *call) ([]held, error) {
	all, err := d.People.Holdings(c.ctx(), "", "")
	if err != nil {
		return nil, err
	}
	users, err := d.People.Users(c.ctx())
	if err != nil {
		return nil, err
	}
	byID := map[auth.UserID]auth.User{}
	for _, u := range users {
		byID[u.ID] = u
	}
	var out []held
	for _, h := range all {
		if h.Org != "" && auth.Sees(c.who, h.Org, h.Space) {
			out = append(out, held{h, byID[h.User]})
		}
	}
	return out, nil
}

func (d *Door) listRoles(c *call) error {
	all, err := d.roles(c)
	if err != nil {
		return err
	}
	return showing(c, roleList, all, c.roleResource, func(some []held) (map[string]any, error) {
		return d.aroundRoles(c, some)
	})
}

// aroundRoles are whom roles belong to and where they hold, where the query wants it.
func (d *Door) aroundRoles(c *call, some []held) (map[string]any, error) {
	out := map[string]any{}
	if c.wants("user") {
		users := each(some, func(h held) auth.User { return h.user })
		slices.SortFunc(users, func(a, b auth.User) int { return cmp.Compare(a.ID, b.ID) })
		users = slices.CompactFunc(users, func(a, b auth.User) bool { return a.ID == b.ID })
		out["users"] = each(users, c.userResource)
	}
	if c.wants("organization") {
		orgs, err := d.orgsOf(c, each(some, ofOrg))
		if err != nil {
			return nil, err
		}
		out["organizations"] = orgs
	}
	if c.wants("space") {
		all, err := d.Places.Spaces(c.ctx(), "")
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(s app.Space) bool {
			return !slices.ContainsFunc(some, func(h held) bool { return h.Space == s.ID })
		})
		out["spaces"] = each(all, c.spaceResource)
	}
	return out, nil
}

func (d *Door) findRole(c *call, guid string) (held, error) {
	all, err := d.roles(c)
	if err != nil {
		return held{}, err
	}
	i := slices.IndexFunc(all, func(h held) bool { return h.guid() == guid })
	if i < 0 {
		return held{}, missing("Role")
	}
	return all[i], nil
}

func (d *Door) getRole(c *call) error {
	h, err := d.findRole(c, c.guid())
	if err != nil {
		return err
	}
	if err := checkIncludes(c.r.URL.Query(), roleList.includes); err != nil {
		return err
	}
	out := c.roleResource(h)
	if out.Included, err = d.aroundRoles(c, []held{h}); err != nil {
		return err
	}
	return c.ok(out)
}

type roleInput struct {
	Type          auth.Role `json:"type"`
	Relationships struct {
		User struct {
			Data *struct {
				GUID     *string `json:"guid"`
				Username *string `json:"username"`
				Origin   *string `json:"origin"`
			} `json:"data"`
		} `json:"user"`
		Organization toOne `json:"organization"`
		Space        toOne `json:"space"`
	} `json:"relationships"`
}

// roleTypes are those of places, in Cloud Foundry's order.
var roleTypes = []auth.Role{
	auth.OrgAuditor, auth.OrgManager, auth.OrgBillingManager, auth.OrgUser,
	auth.SpaceAuditor, auth.SpaceManager, auth.SpaceDeveloper, auth.SpaceSupporter,
}

// check says what is wrong with a request for a role.
func (in roleInput) check() error {
	var wrong []string
	say := func(is bool, text string) {
		if is {
			wrong = append(wrong, text)
		}
	}
	user, space, org, scope := in.Relationships.User.Data, in.Relationships.Space.Data, in.Relationships.Organization.Data, in.Type.Scope()
	known := slices.Contains(roleTypes, in.Type)
	say(!known, fmt.Sprintf("Type must be one of the allowed types [\"%s\"]", strings.Join(each(roleTypes, func(r auth.Role) string { return string(r) }), `", "`)))
	switch {
	case user == nil:
		say(true, "Relationships User can't be blank")
	default:
		say(user.GUID != nil && user.Username != nil, "Relationships Username cannot be specified when identifying user by guid")
		say(user.GUID != nil && user.Origin != nil, "Relationships User origin cannot be specified when identifying user by guid")
		say(user.Username == nil && user.Origin != nil, "Relationships User origin cannot be specified without specifying the username")
		say(user.Username == nil && user.GUID == nil, "Relationships User must have a username or guid specified")
	}
	say(space == nil && org == nil, "Relationships must specify either a space or an organization.")
	say(known && space != nil && scope == auth.InOrg, fmt.Sprintf("Relationships Space cannot be provided with the organization role type: '%s'.", in.Type))
	say(known && org != nil && scope == auth.InSpace, fmt.Sprintf("Relationships Organization cannot be provided with the space role type: '%s'.", in.Type))
	say(space != nil && org != nil, "Relationships cannot specify both an organization and a space.")
	return allWrong(wrong)
}

// where finds the place of a role and whether who asks may give it there.
func (d *Door) where(c *call, in roleInput) (p place, noun string, err error) {
	if in.Type.Scope() == auth.InOrg {
		p, err = d.org(c, in.Relationships.Organization.guid(), auth.OrgManage)
		if err == error(missing("Organization")) {
			err = unprocessable.saying("Invalid organization. Ensure that the organization exists and you have access to it.")
		}
		return p, "organization '" + p.org.Name + "'", err
	}
	p, err = d.space(c, in.Relationships.Space.guid(), auth.SpaceManage)
	if err == error(missing("Space")) {
		err = unprocessable.saying("Invalid space. Ensure that the space exists and you have access to it.")
	}
	return p, "space '" + p.space.Name + "'", err
}

// meant finds the user that a request for a role is about.
func (d *Door) meant(c *call, in roleInput) (auth.User, error) {
	asked := in.Relationships.User.Data
	if asked.GUID != nil {
		id := auth.UserID(*asked.GUID)
		if c.who.Client != "" && *asked.GUID == c.who.Client { // a role of the program's is its user's
			id = c.who.UserID
		}
		u, err := d.People.User(c.ctx(), id)
		if fault.Is(err, fault.NotFound) {
			err = unprocessable.saying("Invalid user. Ensure that the user exists and you have access to it.")
		}
		return u, err
	}
	if asked.Origin != nil {
		u, err := d.findUser(c, "", *asked.Username, *asked.Origin)
		if fault.Is(err, fault.NotFound) {
			err = unprocessable.saying(fmt.Sprintf("No user exists with the username '%s' and origin '%s'.", *asked.Username, *asked.Origin))
		}
		return u, err
	}
	all, err := d.People.Users(c.ctx())
	if err != nil {
		return auth.User{}, err
	}
	all = slices.DeleteFunc(all, func(u auth.User) bool { return u.Name != *asked.Username })
	switch len(all) {
	case 0:
		return auth.User{}, unprocessable.saying(fmt.Sprintf("No user exists with the username '%s'.", *asked.Username))
	case 1:
		return all[0], nil
	}
	origins := slices.Sorted(slices.Values(each(all, func(u auth.User) string { return u.Origin })))
	return auth.User{}, unprocessable.saying(fmt.Sprintf("Ambiguous user. User with username '%s' exists in the following origins: %s. Specify an origin to disambiguate.",
		*asked.Username, strings.Join(origins, ", ")))
}

func (d *Door) giveRole(c *call) error {
	var in roleInput
	if err := c.decode(&in); err != nil {
		return err
	}
	p, noun, err := d.where(c, in)
	if err != nil {
		return err
	}
	u, err := d.meant(c, in)
	if err != nil {
		return err
	}
	g := auth.Grant{Role: in.Type, Org: p.org.ID, Space: p.space.ID}
	have, err := d.People.Holdings(c.ctx(), p.org.ID, p.space.ID)
	if err != nil {
		return err
	}
	if slices.Contains(have, auth.Holding{User: u.ID, Grant: g}) {
		return unprocessable.saying(fmt.Sprintf("User '%s' already has '%s' role in %s.", u.Name, in.Type, noun))
	}
	if err := d.People.Grant(c.ctx(), u.ID, g, d.roleEvent(c, "role.given", u, g)); err != nil {
		return err
	}
	return c.made(c.roleResource(held{auth.Holding{User: u.ID, Grant: g}, u}))
}

func (d *Door) roleEvent(c *call, kind string, u auth.User, g auth.Grant) event.Event {
	ev := c.event(event.Kind(kind), u.Name)
	ev.Space, ev.Detail = string(g.Space), map[string]any{"role": string(g.Role)}
	return ev
}

func (d *Door) takeRole(c *call) error {
	h, err := d.findRole(c, c.guid())
	if err != nil {
		return err
	}
	do := auth.OrgManage
	if h.Space != "" {
		do = auth.SpaceManage
	}
	if !auth.Can(c.who, do, h.Org, h.Space) {
		return notAuthorized
	}
	err = d.People.Ungrant(c.ctx(), h.User, h.Grant, d.roleEvent(c, "role.taken", h.user, h.Grant))
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return c.job(done("role.delete", h.guid()))
}
