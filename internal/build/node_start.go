package build

import (
	"regexp"
	"strings"

	"naru/internal/fault"
)

var runsScript = regexp.MustCompile(`^(?:npm|yarn|pnpm)(?: run)? ([A-Za-z0-9:_-]+)$`)

// command is how the app starts: scripts.start with the scripts it names put in
// their place, else server.js, else main. "" leaves it to the Procfile.
func (p nodePlan) command() (string, error) {
	if start := p.pkg.Scripts["start"]; start != "" {
		return p.expand("start", 0)
	}
	for _, name := range []string{"server.js", "server.mjs", "server.cjs"} {
		if p.tree.file(name) {
			return "node " + name, nil
		}
	}
	if main := p.pkg.Main; main != "" && !strings.ContainsAny(main, " '\"$`\\;&|") {
		for _, name := range []string{main, main + ".js", strings.TrimSuffix(main, "/") + "/index.js"} {
			if p.tree.file(strings.TrimPrefix(name, "./")) {
				return "node " + name, nil
			}
		}
	}
	if p.tree.file(procfileName) {
		return "", nil
	}
	f := fault.New(fault.Invalid, "package.json", "it has no start script, there is no server.js, and main names no file")
	if p.pkg.Scripts["build"] != "" {
		return "", f.WithTry("add scripts.start or a Procfile; for a site that the build script makes: -b node,static=dist")
	}
	return "", f.WithTry("add  \"scripts\": {\"start\": \"node FILE\"}  or a Procfile")
}

// expand writes a script out with what runs before it, so that the image needs
// no package manager and signals reach the program itself.
func (p nodePlan) expand(name string, depth int) (string, error) {
	text := strings.TrimSpace(p.pkg.Scripts[name])
	if depth > 5 {
		return "", fault.New(fault.Invalid, "package.json", "scripts.%s runs itself", name)
	}
	if m := runsScript.FindStringSubmatch(text); m != nil && p.pkg.Scripts[m[1]] != "" {
		inner, err := p.expand(m[1], depth+1)
		if err != nil {
			return "", err
		}
		text = inner
	}
	if p.pkg.Scripts["pre"+name] != "" {
		before, err := p.expand("pre"+name, depth+1)
		if err != nil {
			return "", err
		}
		text = before + " && " + text
	}
	return text, nil
}

var callsManager = regexp.MustCompile(`\b(npm|npx|yarn|pnpm)\b`)

// startsWithNPM reports whether a process runs under a package manager.
func (p nodePlan) startsWithNPM(command string) bool {
	if callsManager.MatchString(command) {
		return true
	}
	procs, err := p.tree.procfile()
	if err != nil {
		return false // reported where the Procfile is read for good
	}
	for _, proc := range procs {
		if callsManager.MatchString(commandLine(proc.Command)) {
			return true
		}
	}
	return false
}
