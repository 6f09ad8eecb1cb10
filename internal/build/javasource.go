package build

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"naru/internal/app"
	"naru/internal/fault"
)

// javaSource compiles a tree of Java files with javac.
type javaSource struct{}

func (javaSource) info() Info {
	return Info{
		Name:     "java",
		Looks:    "*.java files, in src/ or beside each other",
		Makes:    "compiles with javac, with the jars of lib/, starts the class that has a main method",
		Versions: []string{"21"},
		Settings: []Setting{{"main", "the class to start, e.g. main=com.example.Server, when several have a main method"}},
	}
}

var javaFolders = []string{"src/main/java", "src"}

func (javaSource) root(t *tree) string {
	for _, dir := range javaFolders {
		if t.dir(dir) && t.anyBelow(dir, ".java") {
			return dir
		}
	}
	if len(t.ending(".java")) > 0 {
		return "."
	}
	return ""
}

// anyBelow reports whether a file with the suffix is below dir.
func (t *tree) anyBelow(dir, suffix string) bool {
	found := false
	err := t.walk(dir, nil, func(name string) { found = found || strings.HasSuffix(name, suffix) })
	return err == nil && found
}

func (b javaSource) sees(t *tree) bool { return b.root(t) != "" }

func (b javaSource) recipe(t *tree, set settings) (Recipe, error) {
	root := b.root(t)
	if root == "" {
		return Recipe{}, missing(b.info())
	}
	main := set.get("main")
	if main == "" {
		var err error
		if main, err = b.main(t, root); err != nil {
			return Recipe{}, err
		}
	}
	classpath := "classes"
	if t.anyBelow("lib", ".jar") {
		classpath = "classes:lib/*"
	}
	found, processes := "java 21, javac", []app.Process(nil)
	if main != "" {
		found += ", main class " + main
		processes = []app.Process{javaProcess("-cp '" + classpath + "' " + main)}
	}
	return Recipe{
		Builder:     b.info().Name,
		Found:       found,
		Foundations: Names{Build: "java-build", Run: "java"},
		Steps: []Step{{
			ID: "compile", Title: "compile", Copy: []string{"."}, Exclude: []string{".git", "classes"},
			Command: "mkdir -p classes && javac -encoding UTF-8 -d classes -cp '" + classpath + "' $(find " + root + " -name '*.java' | sort)" + b.resources(t, root),
		}},
		Layers: []Layer{
			{Name: "files", From: ".", To: "/app", Exclude: []string{".git", "classes", "src", "**/*.java"}},
			{Name: "application", Step: "compile", From: "/app/classes", To: "/app/classes"},
		},
		Processes: processes,
	}, nil
}

// resources copies what the classes read beside them.
func (javaSource) resources(t *tree, root string) string {
	switch {
	case t.dir("src/main/resources"):
		return " && cp -R src/main/resources/. classes/"
	case root == "src":
		return " && (cd src && find . -type f ! -name '*.java' -exec cp --parents {} ../classes/ ';')"
	}
	return ""
}

var (
	mainMethod  = regexp.MustCompile(`(?m)^\s*(?:public\s+|final\s+)*static\s+(?:public\s+|final\s+)*void\s+main\s*\(`)
	javaPackage = regexp.MustCompile(`(?m)^\s*package\s+([\w.]+)\s*;`)
)

// main is the one class with a main method.
func (b javaSource) main(t *tree, root string) (string, error) {
	var found []string
	err := t.walk(root, []string{"test"}, func(name string) {
		if !strings.HasSuffix(name, ".java") {
			return
		}
		data, err := t.read(name)
		if err != nil || !mainMethod.Match(data) {
			return
		}
		class := strings.TrimSuffix(path.Base(name), ".java")
		if m := javaPackage.FindSubmatch(data); m != nil {
			class = string(m[1]) + "." + class
		}
		found = append(found, class)
	})
	if err != nil {
		return "", err
	}
	slices.Sort(found)
	switch {
	case len(found) == 1:
		return found[0], nil
	case t.file(procfileName):
		return "", nil
	case len(found) == 0:
		return "", fault.New(fault.Invalid, "source", "no class below %s has a main method", root).
			WithTry("add  public static void main(String[] args), or a Procfile")
	}
	return "", fault.New(fault.Invalid, "source", "several classes have a main method: %s", list(found)).
		WithTry("naru push -b java,main=%s, or a Procfile", found[0])
}
