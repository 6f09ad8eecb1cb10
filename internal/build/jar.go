package build

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"

	"naru/internal/app"
	"naru/internal/fault"
)

const maxJar = 1 << 30 // bytes of a jar that is opened to find its main class

// javaArchive starts a jar that was built elsewhere.
type javaArchive struct{}

func (javaArchive) info() Info {
	return Info{
		Name:     "jar",
		Looks:    "one .jar file, or what was in it",
		Makes:    "starts the jar as it is",
		Versions: []string{"21"},
		Settings: []Setting{{"jar", "the jar to start, when there are several"}},
	}
}

func (javaArchive) sees(t *tree) bool {
	return len(t.ending(".jar", ".war", ".ear")) > 0 || isUnpackedJar(t)
}

func (b javaArchive) recipe(t *tree, set settings) (Recipe, error) {
	if set.get("jar") == "" && isUnpackedJar(t) {
		return b.unpacked(t)
	}
	name, err := b.pick(t, set.get("jar"))
	if err != nil {
		return Recipe{}, err
	}
	if err := checkManifest(t, name); err != nil {
		return Recipe{}, err
	}
	return Recipe{
		Builder:     b.info().Name,
		Found:       "java 21, " + name,
		Foundations: Names{Run: "java"},
		Layers:      []Layer{wholeTree()},
		Processes:   []app.Process{javaProcess("-jar " + quote(name))},
	}, nil
}

func (b javaArchive) pick(t *tree, want string) (string, error) {
	jars := t.ending(".jar")
	switch {
	case want != "" && !t.file(want):
		return "", fault.New(fault.Invalid, "builder", "%s is not in the source; it has %s", want, list(jars))
	case want != "":
		return want, nil
	case len(jars) == 1:
		return jars[0], nil
	case len(jars) > 1:
		return "", fault.New(fault.Invalid, "source", "there are several jars: %s", list(jars)).WithTry("naru push -b jar,jar=%s", jars[0])
	}
	if wars := t.ending(".war", ".ear"); len(wars) > 0 {
		return "", fault.New(fault.Unsupported, wars[0], "it needs an application server, which naru does not bring").
			WithTry("build an executable jar, or use a Dockerfile; a war with a main class of its own can be pushed with -b jar,jar=%s", wars[0])
	}
	return "", missing(b.info())
}

// checkManifest refuses a jar that java -jar could not start.
func checkManifest(t *tree, name string) error {
	manifest, err := readManifest(t, name)
	if err != nil {
		return err
	}
	if !strings.Contains("\n"+manifest, "\nMain-Class:") {
		return fault.New(fault.Invalid, name, "its manifest names no Main-Class, so it cannot be started").
			WithTry("build it with a main class (jar --main-class), or write a Procfile:  web: java -cp %s PACKAGE.CLASS", name)
	}
	return nil
}

func readManifest(t *tree, name string) (string, error) {
	broken := fault.New(fault.Invalid, name, "it is not a readable jar")
	f, err := t.fsys.Open(name)
	if err != nil {
		return "", broken.WithCause(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() > maxJar {
		return "", broken
	}
	at, ok := f.(io.ReaderAt)
	if !ok {
		data, err := io.ReadAll(io.LimitReader(f, maxJar))
		if err != nil {
			return "", broken.WithCause(err)
		}
		at = bytes.NewReader(data)
	}
	z, err := zip.NewReader(at, info.Size())
	if err != nil {
		return "", broken
	}
	m, err := z.Open(jarManifest)
	if err != nil {
		return "", nil
	}
	defer m.Close()
	data, err := io.ReadAll(io.LimitReader(m, 1<<20))
	if err != nil {
		return "", broken.WithCause(err)
	}
	return strings.ReplaceAll(string(data), "\r\n", "\n"), nil
}

// quote makes a file's name one word of a shell line.
func quote(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+/") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
