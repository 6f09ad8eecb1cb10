package source_test

import (
	"strings"
	"testing"

	"naru/internal/fault"
	"naru/internal/source"
)

func file(path string) source.File {
	return source.File{Path: path, Mode: source.Plain, Size: 1, SHA256: strings.Repeat("a", 64)}
}

func link(path, target string) source.File { return source.File{Path: path, Link: target} }

func TestCheckRefusesHostileTrees(t *testing.T) {
	with := func(f source.File, change func(*source.File)) source.File { change(&f); return f }
	deep := source.Manifest{file("end")}
	for i := range 60 {
		target := "end"
		if i > 0 {
			target = "l" + strings.Repeat("x", i-1)
		}
		deep = append(deep, link("l"+strings.Repeat("x", i), target))
	}
	for name, tc := range map[string]struct {
		tree source.Manifest
		says string
	}{
		"nothing":                     {source.Manifest{}, "no file"},
		"empty path":                  {source.Manifest{file("")}, "empty path"},
		"absolute":                    {source.Manifest{file("/etc/passwd")}, "absolute"},
		"parent":                      {source.Manifest{file("../x")}, "leaves"},
		"parent inside":               {source.Manifest{file("a/../../x")}, "leaves"},
		"parent at the end":           {source.Manifest{file("a/..")}, "leaves"},
		"only dots":                   {source.Manifest{file("..")}, "leaves"},
		"not clean":                   {source.Manifest{file("a//b")}, "not clean"},
		"dot inside":                  {source.Manifest{file("a/./b")}, "not clean"},
		"slash at the end":            {source.Manifest{file("a/")}, "not clean"},
		"NUL":                         {source.Manifest{file("a\x00b")}, "control character"},
		"newline":                     {source.Manifest{file("a\nb")}, "control character"},
		"backslash":                   {source.Manifest{file(`..\x`)}, "backslash"},
		"not UTF-8":                   {source.Manifest{file("a\xff")}, "UTF-8"},
		"long path":                   {source.Manifest{file(strings.Repeat("a/", 600) + "b")}, "1201 bytes"},
		"long name":                   {source.Manifest{file(strings.Repeat("a", 256))}, "256 bytes"},
		"twice":                       {source.Manifest{file("a"), file("a")}, "twice"},
		"file as a folder":            {source.Manifest{file("a"), file("a-b"), file("a/b/c")}, "a is a file"},
		"link as a folder":            {source.Manifest{file("d/x"), link("a", "d"), file("a/b")}, "a is a file or symlink"},
		"set-uid":                     {source.Manifest{with(file("a"), func(f *source.File) { f.Mode = 0o4755 })}, "mode"},
		"negative size":               {source.Manifest{with(file("a"), func(f *source.File) { f.Size = -1 })}, "below zero"},
		"no hash":                     {source.Manifest{with(file("a"), func(f *source.File) { f.SHA256 = "" })}, "sha256"},
		"hash with a path":            {source.Manifest{with(file("a"), func(f *source.File) { f.SHA256 = "../../" + f.SHA256[6:] })}, "sha256"},
		"bad sha1":                    {source.Manifest{with(file("a"), func(f *source.File) { f.SHA1 = "x" })}, "sha1"},
		"absolute link":               {source.Manifest{link("a", "/etc/passwd")}, "leaves"},
		"link out":                    {source.Manifest{link("a", "..")}, "leaves"},
		"link out from below":         {source.Manifest{link("d/a", "../../x")}, "leaves"},
		"link out and back":           {source.Manifest{link("d/a", "../../tree/x")}, "leaves"},
		"link out through a link":     {source.Manifest{file("d/e/x"), link("in", "d/e"), link("a", "in/../../../x")}, "leaves"},
		"link out through two":        {source.Manifest{link("d/up", ".."), link("a", "d/up/../x")}, "leaves"},
		"link to itself":              {source.Manifest{link("a", "a")}, "circle"},
		"links in a circle":           {source.Manifest{link("a", "b"), link("b", "a")}, "circle"},
		"many hops":                   {deep, "circle"},
		"link with a backslash":       {source.Manifest{link("a", `..\..`)}, "backslash"},
		"link with a mode":            {source.Manifest{with(link("a", "b"), func(f *source.File) { f.Mode = source.Plain })}, "no size"},
		"link with a hash of content": {source.Manifest{with(link("a", "b"), func(f *source.File) { f.SHA256 = strings.Repeat("a", 64) })}, "no size"},
	} {
		t.Run(name, func(t *testing.T) {
			wantFault(t, tc.tree.Check(source.Limits{}), fault.Invalid, tc.says)
		})
	}
}

func TestCheckTakesHonestTrees(t *testing.T) {
	for name, tree := range map[string]source.Manifest{
		"plain":                     {file("a"), file("b/c"), file("b-c")},
		"dots in names":             {file("..a"), file("a.."), file("...")},
		"spaces and umlauts":        {file("Käse brot/ä.txt")},
		"link to a sibling":         {file("a"), link("b", "a")},
		"link up inside":            {file("a"), link("d/e/b", "../../a")},
		"link to the top":           {file("a"), link("d/top", "..")},
		"link to nothing":           {file("a"), link("b", "not/there")},
		"link through a link":       {file("d/e/x"), file("d/y"), link("in", "d/e"), link("a", "in/../y")},
		"link to a folder by slash": {file("d/x"), link("a", "./d/")},
	} {
		t.Run(name, func(t *testing.T) { must(t, tree.Check(source.Limits{})) })
	}
}

func TestCheckKeepsLimits(t *testing.T) {
	tree := source.Manifest{file("a"), file("b"), file("c")}
	for name, tc := range map[string]struct {
		limits source.Limits
		says   string
	}{
		"files":    {source.Limits{MaxFiles: 2}, "more than 2 files"},
		"bytes":    {source.Limits{MaxBytes: 2}, "limit of 2 bytes"},
		"one file": {source.Limits{MaxFile: -1}, "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			wantFault(t, tree.Check(tc.limits), fault.TooLarge, tc.says)
		})
	}
	must(t, tree.Check(source.Limits{MaxFiles: 3, MaxBytes: 3, MaxFile: 1}))
}

func TestDigestIsOfTheTreeAlone(t *testing.T) {
	a := source.Manifest{file("a"), file("b")}
	b := source.Manifest{file("b"), file("a")}
	b[0].SHA1 = strings.Repeat("b", 40)
	if a.Digest() != b.Digest() {
		t.Error("order or SHA-1 changed the digest")
	}
	for name, change := range map[string]func(*source.File){
		"path":    func(f *source.File) { f.Path = "c" },
		"mode":    func(f *source.File) { f.Mode = source.Executable },
		"content": func(f *source.File) { f.SHA256 = strings.Repeat("b", 64) },
	} {
		c := source.Manifest{file("a"), file("b")}
		change(&c[0])
		if c.Digest() == a.Digest() {
			t.Errorf("the %s changed, the digest did not", name)
		}
	}
	back, err := source.Decode(a.Encode())
	must(t, err)
	if back.Digest() != a.Digest() {
		t.Error("encoding and decoding changed the tree")
	}
}

func FuzzDecodeAndCheck(f *testing.F) {
	f.Add([]byte(`{"version":1,"files":[{"path":"a","link":"b/../c"},{"path":"b","link":".."}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := source.Decode(data)
		if err != nil || m.Check(source.Limits{}) != nil {
			return
		}
		back, err := source.Decode(m.Encode())
		if err != nil || back.Digest() != m.Digest() {
			t.Errorf("a tree that passed Check does not survive encoding: %v", err)
		}
	})
}
