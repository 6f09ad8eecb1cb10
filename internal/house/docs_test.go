package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// documents returns the Markdown files of the project by their path from its root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || d.Name() == "dist") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		docs[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if docs["README.md"] == "" {
		t.Fatal("README.md was not found: the test looks in the wrong place")
	}
	return docs
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	notWord = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// anchors returns what "#..." may name in a document, as hosting sites make it.
func anchors(text string) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		out[strings.ReplaceAll(notWord.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return out
}

func TestLinksLeadSomewhere(t *testing.T) {
	docs := documents(t)
	for name, text := range docs {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, ":") {
				continue // another site's
			}
			file := name
			if target != "" {
				file = filepath.Join(filepath.Dir(name), filepath.FromSlash(target))
			}
			if _, err := os.Stat(filepath.Join(root, file)); err != nil {
				t.Errorf("%s links to %s, which does not exist", name, m[1])
			} else if doc, ok := docs[file]; ok && anchor != "" && !anchors(doc)[anchor] {
				t.Errorf("%s links to %s; %s has no such heading", name, m[1], file)
			}
		}
	}
}

var (
	mentioned = regexp.MustCompile("(?m)(?:`|^ {4}(?:\\$ )?(?:sudo )?)(?:bin/)?naru ([a-z][a-z-]+)")
	declared  = regexp.MustCompile(`(?:Use:\s+|c\.[a-z]+\()"([a-z][a-z-]*)`)
)

// TestCommandsInDocumentsExist reads the commands off the sources, because the
// roles of a platform are in package main, which no test can import.
func TestCommandsInDocumentsExist(t *testing.T) {
	known := map[string]bool{"help": true, "completion": true} // cobra's own
	for _, dir := range []string{"cmd/naru", "internal/cli"} {
		files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
				known[m[1]] = true
			}
		}
	}
	if !known["push"] || !known["up"] {
		t.Fatalf("push and up must be among the commands found: %v", known)
	}
	said := 0
	for name, text := range documents(t) {
		if strings.HasPrefix(name, "testdata") {
			continue
		}
		for _, m := range mentioned.FindAllStringSubmatch(text, -1) {
			said++
			if !known[m[1]] && m[1] != "is" { // "naru is up" is what it prints
				t.Errorf("%s speaks of naru %s, which is not a command", name, m[1])
			}
		}
	}
	if said < 20 {
		t.Errorf("only %d commands were found in the documents: the pattern looks for the wrong thing", said)
	}
}
