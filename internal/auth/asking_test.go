package auth_test

import (
	"testing"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/feature"
)

// switched is a set in which features are other than they come.
func switched(names ...feature.Name) feature.Set {
	out := feature.Set{}
	for _, n := range names {
		f, _ := feature.Set(nil).Feature(n)
		out[n] = feature.State{Name: n, On: !f.On}
	}
	return out
}

func TestFeaturesGiveAndTake(t *testing.T) {
	for name, tc := range map[string]struct {
		role     auth.Role
		do       auth.Action
		switched []feature.Name
		want     bool
		withheld bool
	}{
		"nobody's role makes organisations":               {role: auth.OrgManager, do: auth.OrgCreate},
		"all make organisations":                          {role: auth.SpaceAuditor, do: auth.OrgCreate, switched: []feature.Name{feature.UserOrgCreation}, want: true},
		"all delete none":                                 {role: auth.OrgManager, do: auth.OrgDelete, switched: []feature.Name{feature.UserOrgCreation}},
		"admin deletes organisations":                     {role: auth.Admin, do: auth.OrgDelete, want: true},
		"developer reads the environment":                 {role: auth.SpaceDeveloper, do: auth.EnvRead, want: true},
		"developer reads it no more":                      {role: auth.SpaceDeveloper, do: auth.EnvRead, switched: []feature.Name{feature.SpaceDeveloperEnv}, withheld: true},
		"supporter reads it no more":                      {role: auth.SpaceSupporter, do: auth.EnvRead, switched: []feature.Name{feature.SpaceDeveloperEnv}, withheld: true},
		"who only reads the platform still does":          {role: auth.AdminReadOnly, do: auth.EnvRead, switched: []feature.Name{feature.SpaceDeveloperEnv}, want: true},
		"admin still does":                                {role: auth.Admin, do: auth.EnvRead, switched: []feature.Name{feature.SpaceDeveloperEnv}, want: true},
		"admin does not where nobody does":                {role: auth.Admin, do: auth.EnvRead, switched: []feature.Name{feature.EnvVarVisibility}, withheld: true},
		"auditor never did, and that is why":              {role: auth.SpaceAuditor, do: auth.EnvRead, switched: []feature.Name{feature.EnvVarVisibility}},
		"developer uploads no more":                       {role: auth.SpaceDeveloper, do: auth.SourceWrite, switched: []feature.Name{feature.AppBitsUpload}, withheld: true},
		"admin uploads":                                   {role: auth.Admin, do: auth.SourceWrite, switched: []feature.Name{feature.AppBitsUpload}, want: true},
		"developer pushes what needs no upload all along": {role: auth.SpaceDeveloper, do: auth.AppWrite, switched: []feature.Name{feature.AppBitsUpload}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			id := who(in(tc.role))
			id.Features = switched(tc.switched...)
			if got := auth.Can(id, tc.do, "o", "s"); got != tc.want {
				t.Errorf("Can = %v, want %v", got, tc.want)
			}
			if err := auth.Withheld(id, tc.do, "o", "s"); (err != nil) != tc.withheld {
				t.Errorf("Withheld = %v, want one: %v", err, tc.withheld)
			}
			if err := auth.Check(id, tc.do, "o", "s", "it"); (err == nil) != tc.want || err != nil && !fault.Is(err, fault.Denied) {
				t.Errorf("Check = %v", err)
			}
		})
	}
}

func TestStrangersFindNothingBehindAFeature(t *testing.T) {
	id := who(auth.Grant{Role: auth.SpaceDeveloper, Org: "p", Space: "q"})
	id.Features = switched(feature.EnvVarVisibility)
	if err := auth.Check(id, auth.EnvRead, "o", "s", "it"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a stranger is told %v", err)
	}
	if auth.Can(auth.Identity{Features: switched(feature.UserOrgCreation)}, auth.OrgCreate, "", app.SpaceID("")) {
		t.Error("nobody makes organisations")
	}
}
