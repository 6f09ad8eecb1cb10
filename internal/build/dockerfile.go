package build

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"naru/internal/app"
	"naru/internal/fault"
)

const dockerfileName = "Dockerfile"

// FoundationPrefix begins an image in a Dockerfile that means a foundation:
// FROM naru/node:22.
const FoundationPrefix = "naru/"

// dockerfile hands the tree to BuildKit's own reader of Dockerfiles.
type dockerfile struct{}

func (dockerfile) info() Info {
	return Info{
		Name:  "dockerfile",
		Looks: dockerfileName,
		Makes: "what the Dockerfile says, FROM any image or a foundation of naru",
	}
}

func (dockerfile) sees(t *tree) bool { return t.file(dockerfileName) }

func (b dockerfile) recipe(t *tree, set settings) (Recipe, error) {
	name := or(set.dockerfile, dockerfileName)
	if !t.file(name) {
		if set.dockerfile == "" {
			return Recipe{}, missing(b.info())
		}
		return Recipe{}, fault.New(fault.Invalid, "dockerfile", "%s is not in the source", name).
			WithTry("name it as a path below the directory that is pushed")
	}
	data, err := t.read(name)
	if err != nil {
		return Recipe{}, err
	}
	d, err := readDockerfile(name, data)
	if err != nil {
		return Recipe{}, err
	}
	r := Recipe{
		Builder:    b.info().Name,
		Found:      name + d.from(),
		Dockerfile: &Dockerfile{Path: name, Target: set.target, Args: set.args, Expose: d.expose, Stands: d.stands()},
		Processes:  []app.Process{{Type: app.Web, Port: d.port()}},
		Warnings:   d.warnings,
	}
	if set.target != "" {
		r.Found += ", target " + set.target
	}
	if t.file(procfileName) {
		r.Warnings = append(r.Warnings, Hint{
			Message: "the Procfile is not read: the Dockerfile's CMD starts web",
			Try:     "remove the Dockerfile to build from the Procfile, or name commands in manifest.yml",
		})
	}
	return r, nil
}

// dockerfileFacts are what can be said of a Dockerfile without building it.
type dockerfileFacts struct {
	images   []string // of FROM, without earlier stages
	expose   []int    // of the last stage
	warnings []Hint
}

func (d dockerfileFacts) from() string {
	if len(d.images) == 0 {
		return ""
	}
	return " from " + strings.Join(d.images, ", ")
}

// stands are the foundations of naru that the Dockerfile is built FROM.
func (d dockerfileFacts) stands() []string {
	var out []string
	for _, image := range d.images {
		if name, ok := strings.CutPrefix(image, FoundationPrefix); ok && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

func (d dockerfileFacts) port() int {
	if len(d.expose) == 1 {
		return d.expose[0]
	}
	return app.DefaultPort
}

func readDockerfile(name string, data []byte) (dockerfileFacts, error) {
	var d dockerfileFacts
	parsed, err := parser.Parse(bytes.NewReader(data))
	if err != nil {
		return d, fault.New(fault.Invalid, name, "%s", strings.TrimSpace(err.Error())).
			WithTry("the format is described at https://docs.docker.com/reference/dockerfile/")
	}
	if syntax, _, _, ok := parser.DetectSyntax(data); ok {
		d.warnings = append(d.warnings, Hint{Message: fmt.Sprintf("%s asks for the syntax image %s, which is not fetched: naru reads Dockerfiles itself", name, syntax)})
	}
	stages := map[string]bool{"scratch": true}
	root := false
	for _, node := range parsed.AST.Children {
		words := words(node.Next)
		switch strings.ToUpper(node.Value) {
		case "FROM":
			if len(words) == 0 {
				return d, fault.New(fault.Invalid, fmt.Sprintf("%s:%d", name, node.StartLine), "FROM names no image")
			}
			if !stages[strings.ToLower(words[0])] {
				d.images = append(d.images, words[0])
			}
			if len(words) == 3 && strings.EqualFold(words[1], "as") {
				stages[strings.ToLower(words[2])] = true
			}
			d.expose, root = nil, true
		case "EXPOSE":
			d.expose = append(d.expose, ports(words)...)
		case "USER":
			root = len(words) > 0 && (words[0] == "root" || words[0] == "0" || strings.HasPrefix(words[0], "0:"))
		}
	}
	if len(parsed.AST.Children) == 0 || len(d.images) == 0 && !hasFrom(parsed.AST) {
		return d, fault.New(fault.Invalid, name, "has no FROM line").WithTry("start with  FROM IMAGE")
	}
	if root {
		d.warnings = append(d.warnings, Hint{
			Message: name + " names no USER other than root for its last stage",
			Try:     "add  USER 1000  before CMD, else the image is refused unless its base sets a user or the space allows root",
		})
	}
	return d, nil
}

func hasFrom(root *parser.Node) bool {
	for _, n := range root.Children {
		if strings.EqualFold(n.Value, "from") {
			return true
		}
	}
	return false
}

func words(n *parser.Node) []string {
	var out []string
	for ; n != nil; n = n.Next {
		out = append(out, n.Value)
	}
	return out
}

// ports reads the TCP ports of an EXPOSE line; ranges and variables are left to
// the build.
func ports(words []string) []int {
	var out []int
	for _, w := range words {
		number, proto, _ := strings.Cut(w, "/")
		if n, err := strconv.Atoi(number); err == nil && n > 0 && n < 1<<16 && (proto == "" || strings.EqualFold(proto, "tcp")) {
			out = append(out, n)
		}
	}
	return out
}
