package build

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path"
	"regexp"
	"strings"

	"naru/internal/app"
	"naru/internal/fault"
)

// javaMaven builds trees with a pom.xml.
type javaMaven struct{}

func (javaMaven) info() Info {
	return Info{
		Name:     "maven",
		Looks:    "pom.xml",
		Makes:    "packages with Maven without running tests, starts the jar that has a main class",
		Versions: []string{"21"},
		Settings: []Setting{
			{"jar", "the jar to start, e.g. jar=server/target/server.jar, when there are several"},
			{"wrapper", "yes: run ./mvnw, which fetches the Maven it names, in place of the foundation's"},
			{"profile", "Maven profile"},
		},
	}
}

func (javaMaven) sees(t *tree) bool { return t.file("pom.xml") }

func (b javaMaven) recipe(t *tree, set settings) (Recipe, error) {
	if !b.sees(t) {
		return Recipe{}, missing(b.info())
	}
	pom, err := readPOM(t)
	if err != nil {
		return Recipe{}, err
	}
	mvn, warnings, err := mavenCommand(t, set)
	if err != nil {
		return Recipe{}, err
	}
	if profile := set.get("profile"); profile != "" {
		mvn += " -P" + profile
	}
	return Recipe{
		Builder:     b.info().Name,
		Found:       strings.TrimSuffix("java 21, maven, "+pom.name(), ", "),
		Foundations: Names{Build: "java-build", Run: "java"},
		Steps: []Step{{
			ID: "package", Title: "package with Maven", Copy: []string{"."}, Exclude: []string{".git", "target"},
			Command: mvn + " package",
			Then:    pickJar(set.get("jar")),
			Env:     map[string]string{"MAVEN_OPTS": "-Dmaven.repo.local=/home/app/.m2/repository", "MAVEN_ARGS": "-B -ntp -DskipTests"},
			Caches:  []Cache{{"maven", "/home/app/.m2/repository"}},
		}},
		Layers: []Layer{
			{Name: "files", From: ".", To: "/app", Exclude: []string{".git", ".mvn", "mvnw", "mvnw.cmd", "lib", "**/src", "**/target"}},
			{Name: "dependencies", Step: "package", From: "/app/.naru/lib", To: "/app/lib"},
			{Name: "application", Step: "package", From: "/app/.naru/app", To: "/app"},
		},
		Processes: []app.Process{javaProcess("-jar app.jar")},
		Warnings:  warnings,
	}, nil
}

// mavenCommand is the program that reads the pom. The wrapper is not the rule,
// since it fetches another Maven from the network first.
func mavenCommand(t *tree, set settings) (string, []Hint, error) {
	has := t.file("mvnw")
	switch {
	case set.get("wrapper") == "yes" && !has:
		return "", nil, fault.New(fault.Invalid, "builder", "wrapper=yes, but mvnw is not in the source")
	case set.get("wrapper") == "yes":
		return "sh ./mvnw $MAVEN_ARGS", nil, nil
	case has:
		return "mvn", []Hint{{Message: "mvnw is there; the Maven of the foundation is used", Try: "-b maven,wrapper=yes to run ./mvnw"}}, nil
	}
	return "mvn", nil, nil
}

// pickJar is the shell that lays the jar to start and the libraries beside it
// where the layers take them. A jar without a main class cannot be started, so
// the ones that have one are counted.
func pickJar(jar string) string {
	if jar != "" {
		return "jar='" + strings.ReplaceAll(path.Clean(jar), "'", "") + "' && " + takeJar
	}
	return `n=0; for j in $(find . -path '*/target/*.jar' ! -path './.naru/*' ! -path '*/classes/*' ! -path '*/lib/*' ! -path '*/dependency/*' ` +
		`! -name '*-sources.jar' ! -name '*-javadoc.jar' ! -name '*-tests.jar' ! -name 'original-*' | sort); do ` +
		`rm -rf /tmp/m && mkdir /tmp/m && (cd /tmp/m && jar xf "/app/$j" META-INF/MANIFEST.MF); ` +
		`if grep -q '^Main-Class:' /tmp/m/META-INF/MANIFEST.MF 2>/dev/null; then n=$((n+1)); jar=$j; all="$all $j"; fi; done; ` +
		`if [ $n = 0 ]; then echo "no jar with a Main-Class in target/: configure maven-jar-plugin, maven-shade-plugin or spring-boot-maven-plugin" >&2; exit 65; fi; ` +
		`if [ $n -gt 1 ]; then echo "several jars can be started:$all; choose with -b maven,jar=PATH" >&2; exit 65; fi; ` + takeJar
}

// takeJar keeps the jar where Maven put it, for Procfiles that name it there, and
// as app.jar; libraries are looked for beside either.
const takeJar = `d=$(dirname "$jar") && mkdir -p ".naru/app/$d" .naru/lib && cp "$jar" ".naru/app/$jar" && ln -s "$jar" .naru/app/app.jar && ` +
	`for l in lib dependency; do if [ -d "$d/$l" ]; then cp -R "$d/$l/." .naru/lib/; ln -s /app/lib ".naru/app/$d/$l"; ` +
	`[ $l = lib ] || ln -s /app/lib .naru/app/$l; fi; done`

// pomFile is what a build reads of a pom.xml.
type pomFile struct {
	XMLName    xml.Name `xml:"project"`
	ArtifactID string   `xml:"artifactId"`
	Version    string   `xml:"version"`
	Packaging  string   `xml:"packaging"`
	Modules    []string `xml:"modules>module"`
	Properties struct {
		Release string `xml:"maven.compiler.release"`
		Source  string `xml:"maven.compiler.source"`
		Java    string `xml:"java.version"`
	} `xml:"properties"`
}

func (p pomFile) name() string { return strings.TrimSpace(p.ArtifactID + " " + p.Version) }

var xmlLine = regexp.MustCompile(`line (\d+)`)

func readPOM(t *tree) (pomFile, error) {
	var pom pomFile
	data, err := t.read("pom.xml")
	if err != nil {
		return pom, err
	}
	dec := xml.NewDecoder(bytes.NewReader(data))
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // names are ASCII in any case
	if err := dec.Decode(&pom); err != nil {
		field := "pom.xml"
		var syntax *xml.SyntaxError
		if errors.As(err, &syntax) {
			if m := xmlLine.FindStringSubmatch(syntax.Error()); m != nil {
				field += ":" + m[1]
			}
		}
		return pom, fault.New(fault.Invalid, field, "%s", err)
	}
	if pom.Packaging == "war" || pom.Packaging == "ear" {
		return pom, fault.New(fault.Unsupported, "pom.xml: packaging", "a %s needs an application server, which naru does not bring", pom.Packaging).
			WithTry("set <packaging>jar</packaging> (Spring Boot: leave SpringBootServletInitializer out), or use a Dockerfile")
	}
	p := pom.Properties
	for where, want := range map[string]string{"maven.compiler.release": p.Release, "java.version": p.Java, "maven.compiler.source": p.Source} {
		if err := checkJava("pom.xml: "+where, want); err != nil {
			return pom, err
		}
	}
	return pom, nil
}
