package auth

import (
	"slices"
	"time"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/feature"
)

// Action is something that somebody may or may not do, noun first.
type Action string

// The actions. Each names the place it happens in: the platform, an
// organisation, or a space.
const (
	PlatformRead    Action = "platform.read"    // version, health, foundations, builders
	PlatformAudit   Action = "platform.audit"   // events, operations, alerts, users and their roles, of all
	PlatformManage  Action = "platform.manage"  // settings, keys, garbage, backup, doctor
	UserManage      Action = "user.manage"      // users, and roles on the platform
	FoundationBake  Action = "foundation.bake"  // on the platform
	OrgCreate       Action = "org.create"       // on the platform
	OrgDelete       Action = "org.delete"       // an organisation with all that is in it
	OrgRead         Action = "org.read"         // in an organisation
	OrgAudit        Action = "org.audit"        // who has which role in it
	OrgManage       Action = "org.manage"       // its roles and spaces
	RouteRead       Action = "route.read"       // which routes there are, and where they lead
	EventRead       Action = "event.read"       // what happened
	SpaceRead       Action = "space.read"       // that it exists, its apps, routes, releases, events
	SpaceAudit      Action = "space.audit"      // who has which role in it
	SpaceManage     Action = "space.manage"     // its roles and what it allows
	AppWrite        Action = "app.write"        // make, push, rename, delete
	AppConfigure    Action = "app.configure"    // settings, environment, and releases of what was pushed
	AppOperate      Action = "app.operate"      // start, stop, restart, scale
	AppExec         Action = "app.exec"         // tasks, commands inside an instance
	EnvRead         Action = "env.read"         // plain settings
	CredentialRead  Action = "credential.read"  // what services hold
	LogRead         Action = "log.read"         //
	RouteWrite      Action = "route.write"      //
	CredentialWrite Action = "credential.write" // of private hosts
	SourceWrite     Action = "source.write"     // upload
	ImageRead       Action = "image.read"       // pull from naru's registry
	ImageWrite      Action = "image.write"      // push to it
)

// Rule says which roles may do something.
type Rule struct {
	Action Action
	Roles  []Role         // Admin may everything and is not listed
	Anyone bool           // who is logged in needs no role
	Takes  []feature.Name // features without which nobody may, but whom they spare
	Opens  feature.Name   // a feature with which nobody needs a role; "": none
}

// Rules is the whole table of permissions.
func Rules() []Rule {
	var (
		everywhere = []Role{AdminReadOnly, GlobalAuditor}
		seers      = append([]Role{OrgManager, SpaceDeveloper, SpaceManager, SpaceAuditor, SpaceSupporter}, everywhere...)
		devs       = []Role{SpaceDeveloper}
		hands      = []Role{SpaceDeveloper, SpaceSupporter}
	)
	return []Rule{
		{Action: PlatformRead, Anyone: true},
		{Action: PlatformAudit, Roles: everywhere},
		{Action: PlatformManage},
		{Action: UserManage},
		{Action: FoundationBake},
		{Action: OrgCreate, Opens: feature.UserOrgCreation},
		{Action: OrgDelete},
		{Action: OrgRead, Roles: append([]Role{OrgUser, OrgAuditor, OrgBillingManager}, seers...)},
		{Action: OrgAudit, Roles: append([]Role{OrgManager, OrgAuditor}, everywhere...)},
		{Action: OrgManage, Roles: []Role{OrgManager}},
		{Action: RouteRead, Roles: append([]Role{OrgAuditor}, seers...)},
		{Action: EventRead, Roles: append([]Role{OrgAuditor}, seers...)},
		{Action: SpaceRead, Roles: seers},
		{Action: SpaceAudit, Roles: append([]Role{OrgManager, SpaceManager}, everywhere...)},
		{Action: SpaceManage, Roles: []Role{OrgManager, SpaceManager}},
		{Action: AppWrite, Roles: devs},
		{Action: AppConfigure, Roles: hands},
		{Action: AppOperate, Roles: hands},
		{Action: AppExec, Roles: devs},
		{
			Action: EnvRead, Roles: []Role{SpaceDeveloper, SpaceSupporter, AdminReadOnly},
			Takes: []feature.Name{feature.EnvVarVisibility, feature.SpaceDeveloperEnv},
		},
		{Action: CredentialRead, Roles: []Role{SpaceDeveloper, AdminReadOnly}},
		{Action: LogRead, Roles: append([]Role{SpaceDeveloper, SpaceManager, SpaceAuditor, SpaceSupporter}, everywhere...)},
		{Action: RouteWrite, Roles: hands},
		{Action: CredentialWrite, Roles: devs},
		{Action: SourceWrite, Roles: devs, Takes: []feature.Name{feature.AppBitsUpload}},
		{Action: ImageRead, Roles: hands},
		{Action: ImageWrite, Roles: devs},
	}
}

// Identity is who asks, as a token proved it.
type Identity struct {
	UserID  UserID
	Name    string
	Origin  string
	Admin   bool // holds the role Admin
	Grants  []Grant
	Session string    // of the login it comes from; "" for an API token
	Token   string    // id of the token
	Client  string    // id of the client that it was given to, for the user; "": to a person
	Expires time.Time // of the token; zero: never

	Features feature.Set // what is switched while they ask
}

// asker is who asks, as features know them.
func (who Identity) asker() feature.Asker {
	return feature.Asker{
		Admin: who.Admin, ReadOnly: slices.ContainsFunc(who.Grants, func(g Grant) bool { return g.Role == AdminReadOnly }), Features: who.Features,
	}
}

// Can reports whether somebody may do something in a place. A place without
// space is the organisation, one without organisation the platform.
func Can(who Identity, do Action, org app.OrgID, space app.SpaceID) bool {
	rule, may := permitted(who, do, org, space)
	return may && lacking(who, rule) == nil
}

// permitted finds the rule about an action and whether it lets somebody, features
// aside.
func permitted(who Identity, do Action, org app.OrgID, space app.SpaceID) (Rule, bool) {
	if who.UserID == "" {
		return Rule{}, false
	}
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.Action == do })
	if i < 0 {
		return Rule{}, false // what no rule names, nobody may
	}
	rule := rules[i]
	if rule.Anyone || who.Admin || rule.Opens != "" && who.asker().Refusal(rule.Opens) == nil {
		return rule, true
	}
	return rule, slices.ContainsFunc(who.Grants, func(g Grant) bool {
		if !slices.Contains(rule.Roles, g.Role) {
			return false
		}
		// A role in a space shows the organisation around it, and nothing more of it.
		return g.covers(org, space) || do == OrgRead && space == "" && org != "" && g.Org == org
	})
}

// lacking is the refusal of a feature that a rule takes; nil: there is none.
func lacking(who Identity, rule Rule) error {
	for _, n := range rule.Takes {
		if err := who.asker().Refusal(n); err != nil {
			return err
		}
	}
	return nil
}

// Withheld is why somebody may not do something that their roles let them: it takes
// a feature that is switched off. It is nil where that is not the reason.
func Withheld(who Identity, do Action, org app.OrgID, space app.SpaceID) error {
	rule, may := permitted(who, do, org, space)
	if !may {
		return nil
	}
	return lacking(who, rule)
}

// rules is the table, made once; nobody changes it.
var rules = Rules()

// Sees reports whether a place exists for somebody. The platform does for all.
func Sees(who Identity, org app.OrgID, space app.SpaceID) bool {
	switch {
	case space != "":
		return Can(who, SpaceRead, org, space)
	case org != "":
		return Can(who, OrgRead, org, "")
	}
	return who.UserID != ""
}

// Check returns nil when somebody may do something in a place. In a place that
// is not seen it is NotFound about what ("app \"shop\""), worded as if it did
// not exist; in one that is seen it is Denied, by a feature that is switched off
// where the role is there. Without an identity it is Unauthenticated.
func Check(who Identity, do Action, org app.OrgID, space app.SpaceID, what string) error {
	switch {
	case Can(who, do, org, space):
		return nil
	case who.UserID == "":
		return fault.New(fault.Unauthenticated, "", "a login is needed").WithTry("naru login")
	case !Sees(who, org, space):
		return Hidden(what)
	}
	if err := Withheld(who, do, org, space); err != nil {
		return err
	}
	return fault.New(fault.Denied, "", "%s may not do this to %s: it takes the permission %s", who.Name, what, do).
		WithTry("ask an admin for one of the roles: %s", join(mayDo(do)))
}

// Hidden is the answer about what may not be seen: the same as for what does
// not exist.
func Hidden(what string) error { return fault.New(fault.NotFound, "", "%s does not exist", what) }

// mayDo lists the roles that a rule names, and Admin.
func mayDo(do Action) []Role {
	for _, r := range rules {
		if r.Action == do {
			return append(slices.Clone(r.Roles), Admin)
		}
	}
	return []Role{Admin}
}
