package build

import (
	"bytes"
	"fmt"
	"path"

	"gopkg.in/yaml.v3"

	"naru/internal/app"
	"naru/internal/fault"
)

// staticSite serves a folder of files.
type staticSite struct{}

func (staticSite) info() Info {
	return Info{
		Name:  "static",
		Looks: "index.html, in the root or in public/, dist/, build/ or _site/",
		Makes: "serves the files with naru's own small server: ranges, compression, ETags; never dot files",
		Settings: []Setting{
			{"root", "folder with the files"},
			{"spa", "yes: unknown paths answer with index.html"},
		},
	}
}

var siteFolders = []string{".", "public", "dist", "build", "_site"}

func (staticSite) root(t *tree) string {
	for _, dir := range siteFolders {
		if t.file(path.Join(dir, "index.html")) {
			return dir
		}
	}
	return ""
}

func (b staticSite) sees(t *tree) bool { return b.root(t) != "" || t.file("Staticfile") }

func (b staticSite) recipe(t *tree, set settings) (Recipe, error) {
	file, err := readStaticfile(t)
	if err != nil {
		return Recipe{}, err
	}
	root := or(or(set.get("root"), file.Root), b.root(t))
	switch {
	case root == "":
		return Recipe{}, missing(b.info())
	case !t.dir(root):
		return Recipe{}, fault.New(fault.Invalid, "builder", "the folder %s is not in the source", root)
	}
	spa := set.get("spa") == "yes" || file.Pushstate == "enabled"
	found := "static site"
	if root != "." {
		found += " in " + root
	}
	if spa {
		found += ", one page for all paths"
	}
	return Recipe{
		Builder:     b.info().Name,
		Found:       found,
		Foundations: Names{Run: "base"},
		Layers:      siteLayers("", root),
		Processes:   []app.Process{siteProcess(spa)},
	}, nil
}

const (
	siteServer = "/app/.naru/naru-static"
	siteRoot   = "/app/public"
)

func siteLayers(step, from string) []Layer {
	return []Layer{
		{Name: "server", Static: true, To: siteServer},
		{Name: "application", Step: step, From: from, To: siteRoot, Exclude: []string{".git", procfileName, "Staticfile", "manifest.yml"}},
	}
}

func siteProcess(spa bool) app.Process {
	argv := []string{siteServer, "-root", siteRoot}
	if spa {
		argv = append(argv, "-spa")
	}
	return app.Process{Type: app.Web, Command: argv, Port: app.DefaultPort}
}

// staticfile is what is read of Cloud Foundry's file of that name.
type staticfile struct {
	Root      string `yaml:"root"`
	Pushstate string `yaml:"pushstate"`
}

func readStaticfile(t *tree) (staticfile, error) {
	var f staticfile
	if !t.file("Staticfile") {
		return f, nil
	}
	data, err := t.read("Staticfile")
	if err != nil {
		return f, err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return f, nil
	}
	if err := yaml.Unmarshal(data, &f); err != nil {
		return f, fault.New(fault.Invalid, "Staticfile", "%s", firstLine(fmt.Sprint(err)))
	}
	return f, nil
}
