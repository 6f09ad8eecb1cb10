package app

// Build says how the next image of an app is made, where whoever asks for it does
// not say so. What is zero is left to the source tree. It is replaced as a whole,
// never edited in place: copies share its maps.
type Build struct {
	Docker     bool              `json:"docker,omitempty"`     // nothing is built: images come from other registries
	Buildpacks []string          `json:"buildpacks,omitempty"` // names, or URLs of repositories, in their order; empty: the tree decides
	Stack      string            `json:"stack,omitempty"`      // as Cloud Foundry names it
	Builder    string            `json:"builder,omitempty"`    // these are as a push has them
	Foundation string            `json:"foundation,omitempty"`
	Dockerfile string            `json:"dockerfile,omitempty"`
	Target     string            `json:"target,omitempty"`
	Args       map[string]string `json:"args,omitempty"` // of the Dockerfile
	Env        map[string]string `json:"env,omitempty"`  // seen by the commands of the build

	// Cache names the caches of its builds since they were emptied last; "": those
	// of the space. It is no wish and outlives those above.
	Cache string `json:"cache,omitempty"`
}

// Wishing returns what is wanted of builds from now on, with the caches that they
// have.
func (b Build) Wishing(want Build) Build {
	want.Cache = b.Cache
	return want
}
