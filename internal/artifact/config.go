package artifact

import (
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"naru/internal/app"
)

// Config is what an image says about how it is started.
type Config struct {
	Entrypoint   []string
	Cmd          []string
	Env          map[string]string
	WorkingDir   string
	ExposedPorts []int // TCP, ascending
	User         string
	Labels       map[string]string
	StopSignal   string // "SIGTERM", "15", or "" for the default
}

func configOf(file *v1.ConfigFile) Config {
	c := file.Config
	out := Config{
		Entrypoint: c.Entrypoint, Cmd: c.Cmd, WorkingDir: c.WorkingDir, User: c.User, Labels: c.Labels,
		StopSignal: c.StopSignal, Env: map[string]string{},
	}
	for _, e := range c.Env {
		name, value, _ := strings.Cut(e, "=")
		out.Env[name] = value
	}
	for p := range c.ExposedPorts {
		number, protocol, _ := strings.Cut(p, "/")
		n, err := strconv.Atoi(number)
		if err == nil && n > 0 && n < 1<<16 && (protocol == "" || strings.EqualFold(protocol, "tcp")) {
			out.ExposedPorts = append(out.ExposedPorts, n)
		}
	}
	slices.Sort(out.ExposedPorts)
	out.ExposedPorts = slices.Compact(out.ExposedPorts)
	return out
}

// ProcessesOf makes the process types of an image that was not built here: web
// with the image's own command, on the one port it exposes, or 8080 where it
// exposes none or several.
func ProcessesOf(c Config) []app.Process {
	port := app.DefaultPort
	if len(c.ExposedPorts) == 1 {
		port = c.ExposedPorts[0]
	}
	return []app.Process{{Type: app.Web, Port: port}}
}
