package build

import (
	"strconv"
	"strings"

	"naru/internal/app"
	"naru/internal/fault"
)

// javaVersion is the one that foundations hold; it runs what was compiled for
// older ones.
const javaVersion = 21

// javaCommand starts Java so that the heap follows the instance's memory limit
// and an app out of memory ends instead of limping on.
const javaCommand = "java -XX:MaxRAMPercentage=75 -XX:+ExitOnOutOfMemoryError"

// javaMemoryMiB is what a JVM with a web framework needs to start at all.
const javaMemoryMiB = 512

func javaProcess(args string) app.Process {
	p := process(app.Web, javaCommand+" "+args)
	p.MemoryMiB = javaMemoryMiB
	return p
}

// checkJava refuses a version that the foundation cannot run.
func checkJava(where, want string) error {
	number := strings.TrimPrefix(strings.TrimSpace(want), "1.")
	number, _, _ = strings.Cut(number, ".")
	n, err := strconv.Atoi(number)
	if err != nil || n <= javaVersion {
		return nil // an expression is left to the compiler
	}
	return fault.New(fault.Invalid, where, "Java %s cannot be had, only %d and what was written for older ones", want, javaVersion).
		WithTry("ask for %d, or use a Dockerfile or --foundation IMAGE with your own", javaVersion)
}

// gradle is recognised so that it can be refused with a way out.
type gradle struct{}

func (gradle) info() Info {
	return Info{
		Name:  "gradle",
		Looks: "build.gradle or build.gradle.kts",
		Makes: "nothing: it is refused with the commands that build a jar and push that",
	}
}

var gradleFiles = []string{"build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"}

func (gradle) sees(t *tree) bool { return t.first(gradleFiles...) != "" }

func (b gradle) recipe(t *tree, _ settings) (Recipe, error) {
	if !b.sees(t) {
		return Recipe{}, missing(b.info())
	}
	command := "gradle"
	if t.file("gradlew") {
		command = "./gradlew"
	}
	task := "jar"
	if data, err := t.read(t.first(gradleFiles...)); err == nil && strings.Contains(string(data), "org.springframework.boot") {
		task = "bootJar"
	}
	return Recipe{}, fault.New(fault.Unsupported, t.first(gradleFiles...), "naru does not run Gradle").
		WithTry("build the jar and push it:  %s %s && naru push APP --path build/libs", command, task)
}
