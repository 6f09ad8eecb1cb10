package build

import (
	"path"
	"strings"

	"naru/internal/app"
	"naru/internal/fault"
)

// jarManifest is where a jar says how it is started.
const jarManifest = "META-INF/MANIFEST.MF"

// isUnpackedJar tells what was in a jar from sources that are to become one.
func isUnpackedJar(t *tree) bool { return t.file(jarManifest) && !t.dir("src") }

// unpacked starts what was in a jar: the client of Cloud Foundry unpacks a jar
// before it sends it.
func (b javaArchive) unpacked(t *tree) (Recipe, error) {
	data, err := t.read(jarManifest)
	if err != nil {
		return Recipe{}, err
	}
	head := manifestHead(string(data))
	main := head["Main-Class"]
	if main == "" {
		return Recipe{}, fault.New(fault.Invalid, jarManifest, "the manifest names no Main-Class, so the jar cannot be started").
			WithTry("build it with a main class (jar --main-class); a war needs an application server: use a Dockerfile")
	}
	classes := []string{"."}
	for _, entry := range strings.Fields(head["Class-Path"]) {
		if name := path.Clean(entry); !strings.HasPrefix(name, "../") && !strings.HasPrefix(name, "/") && !strings.Contains(name, ":") {
			classes = append(classes, name)
		}
	}
	return Recipe{
		Builder:     b.info().Name,
		Found:       "java 21, an unpacked jar",
		Foundations: Names{Run: "java"},
		Layers:      []Layer{wholeTree()},
		Processes:   []app.Process{javaProcess("-cp " + quote(strings.Join(classes, ":")) + " " + quote(main))},
	}, nil
}

// manifestHead are the attributes of a jar's main section. A line that starts with
// a space goes on with the one before.
func manifestHead(text string) map[string]string {
	out, last := map[string]string{}, ""
	for line := range strings.Lines(strings.ReplaceAll(text, "\r\n", "\n")) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			break
		}
		if rest, more := strings.CutPrefix(line, " "); more {
			if last != "" {
				out[last] += rest
			}
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		last = key
		out[key] = strings.TrimLeft(value, " ")
	}
	return out
}
