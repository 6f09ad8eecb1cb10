package client

import (
	"context"
	"encoding/json"
)

// Source names what is built: exactly one of its members.
type Source struct {
	Snapshot string     `json:"snapshot,omitempty" maxLength:"128" doc:"id or digest of a snapshot"`
	Git      *GitSource `json:"git,omitempty" doc:"a repository that the server fetches"`
	Image    string     `json:"image,omitempty" maxLength:"512" doc:"an image reference; nothing is built"`
}

// GitSource is a commit of a repository.
type GitSource struct {
	URL string `json:"url" minLength:"1" maxLength:"2048" doc:"https, ssh or git URL; passwords belong into credentials"`
	Ref string `json:"ref,omitempty" maxLength:"1024" doc:"branch, tag or commit; absent: the repository's default branch"`
	Dir string `json:"dir,omitempty" maxLength:"1024" doc:"folder in the repository; absent: its root"`
}

// BuildSettings say how source becomes an image.
type BuildSettings struct {
	Builder    string            `json:"builder,omitempty" maxLength:"300" doc:"a builder, or an uploaded buildpack, which comes first; absent: found out by looking at the source"`
	Buildpacks []string          `json:"buildpacks,omitempty" maxItems:"16" doc:"classic buildpacks in their order, by the names of uploaded ones or the URLs of repositories (URL#REF for a branch, tag or commit); in place of a builder. Names that were not uploaded leave the choice to builder"`
	Stack      string            `json:"stack,omitempty" maxLength:"250" doc:"for which uploaded buildpacks are made; absent: cflinuxfs4"`
	Foundation string            `json:"foundation,omitempty" maxLength:"512" doc:"name with version (node:22), or any image reference, in place of the builder's choice"`
	Dockerfile string            `json:"dockerfile,omitempty" maxLength:"1024" doc:"path in the source; absent: Dockerfile where there is one"`
	Target     string            `json:"target,omitempty" maxLength:"128" doc:"stage of the Dockerfile; absent: the last"`
	Args       map[string]string `json:"args,omitempty" doc:"build arguments of the Dockerfile"`
	Env        map[string]string `json:"env,omitempty" doc:"seen by the commands of the build; stays out of the image"`
	Fresh      bool              `json:"fresh,omitempty" doc:"ignore what earlier builds left"`
}

// PlanRequest asks what a push would do.
type PlanRequest struct {
	Source
	Build     BuildSettings              `json:"build,omitzero"`
	Processes map[string]ProcessSettings `json:"processes,omitempty" doc:"by process type"`
}

// Plan says how source would become an image.
type Plan struct {
	Snapshot    Snapshot        `json:"snapshot" doc:"what was looked at"`
	Builder     string          `json:"builder"`
	Found       string          `json:"found" doc:"node 22, npm, package-lock.json"`
	Foundations Foundations     `json:"foundations,omitzero"`
	Processes   []PlanProcess   `json:"processes"`
	Warnings    []Hint          `json:"warnings,omitempty"`
	Text        string          `json:"text" doc:"the whole plan as people read it"`
	Recipe      json.RawMessage `json:"recipe" doc:"the recipe itself, for programs; its form may change"`
}

// Foundations are the images a build stands on.
type Foundations struct {
	Build string `json:"build,omitempty"`
	Run   string `json:"run,omitempty"`
}

// PlanProcess is a process type that a build would find.
type PlanProcess struct {
	Type    string   `json:"type"`
	Command []string `json:"command,omitempty" doc:"argv; absent: the image's own"`
	Port    int      `json:"port,omitempty"`
}

// Hint is something a person should know, and what to do about it.
type Hint struct {
	Message string `json:"message"`
	Try     string `json:"try,omitempty"`
}

// Push brings source or an image to a URL: the app is made where it is missing,
// its draft changed, an image built, a release cut, and what runs replaced.
type Push struct {
	App string `json:"app" minLength:"1" maxLength:"255" doc:"app name or id"`
	Source
	Build     BuildSettings            `json:"build,omitzero"`
	Strategy  *Strategy                `json:"strategy,omitempty" doc:"how what runs is replaced; absent: as the app says, else as the platform does"`
	NoStart   bool                     `json:"no_start,omitempty" doc:"build and keep the image; start nothing"`
	Processes map[string]PushedProcess `json:"processes,omitempty" doc:"by process type; changes the named settings of the draft"`
	Env       map[string]string        `json:"env,omitempty" doc:"plain values to set in the draft"`
	Routes    []NewRoute               `json:"routes,omitempty" doc:"to map beside those it has; absent and none yet: the default route"`
	NoRoute   bool                     `json:"no_route,omitempty" doc:"map no route by itself"`

	Promises *Promises `json:"promises,omitempty" doc:"objectives and probes of the manifest, in place of those that came from it; absent: as they are"`

	Metadata *LabelChange `json:"metadata,omitempty" doc:"labels and annotations to write on the app"`

	ReliabilityFix bool `json:"reliability_fix,omitempty" doc:"declared to bring an objective back: it passes where the error budget is spent, and is recorded"`
}

// PushedProcess is what a push says about a process type.
type PushedProcess struct {
	ProcessSettings
	Instances *int `json:"instances,omitempty" minimum:"0" doc:"absent: as it is, 1 for a new web, 0 for other new ones"`
}

// PushCheck asks whether a push would be taken.
type PushCheck struct {
	App            string    `json:"app" minLength:"1" maxLength:"255" doc:"app name or id"`
	Strategy       *Strategy `json:"strategy,omitempty"`
	NoStart        bool      `json:"no_start,omitempty"`
	ReliabilityFix bool      `json:"reliability_fix,omitempty"`
}

// PushPermit says that a push would be taken, and how.
type PushPermit struct {
	Tier     string   `json:"tier" enum:"free,warn,canary,freeze" doc:"of the app's error budgets"`
	Strategy string   `json:"strategy,omitempty" doc:"how what runs would be replaced"`
	Warnings []string `json:"warnings"`
}

// PushResult is the result of a push that was done.
type PushResult struct {
	App     string   `json:"app"`
	Release int      `json:"release,omitempty" doc:"number of the new release; absent with no_start"`
	Image   string   `json:"image" doc:"repository@digest"`
	Reused  bool     `json:"reused,omitempty" doc:"no build ran: this source was built before"`
	URLs    []string `json:"urls" doc:"where the app answers"`
	Took    Duration `json:"took"`
	Undo    string   `json:"undo,omitempty" doc:"the command that leads back: naru rollback shop"`
}

// Plan asks what a push of a source would do; nothing is kept but the snapshot.
func (s *InSpace) Plan(ctx context.Context, in PlanRequest) (p Plan, err error) {
	err = s.c.post(ctx, s.path+"/plans", in, &p)
	return p, err
}

// MayPush asks whether a push would be taken, before anything is sent for it.
func (s *InSpace) MayPush(ctx context.Context, in PushCheck) (p PushPermit, err error) {
	err = s.c.post(ctx, s.path+"/pushes/check", in, &p)
	return p, err
}

// Push starts a push. Follow tells how it goes; its result is a PushResult.
func (s *InSpace) Push(ctx context.Context, in Push) (o Operation, err error) {
	err = s.c.post(ctx, s.path+"/pushes", in, &o)
	return o, err
}
