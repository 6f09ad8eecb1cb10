package settle

import (
	"path"
	"slices"
	"strings"

	"naru/internal/build/bake/deb"
	"naru/internal/build/bake/layer"
)

// choices are the alternatives that servers and builds miss when nobody runs
// update-alternatives: the link, and what it may lead to, best first.
var choices = []struct {
	link string
	to   []string
}{
	{"usr/bin/awk", []string{"usr/bin/gawk", "usr/bin/mawk", "usr/bin/original-awk"}},
	{"usr/bin/which", []string{"usr/bin/which.gnu", "usr/bin/which.debianutils"}},
	{"usr/bin/cc", []string{"usr/bin/gcc", "usr/bin/clang"}},
	{"usr/bin/c++", []string{"usr/bin/g++", "usr/bin/clang++"}},
	{"usr/bin/c89", []string{"usr/bin/c89-gcc"}},
	{"usr/bin/c99", []string{"usr/bin/c99-gcc"}},
	{"usr/bin/pager", []string{"usr/bin/less", "usr/bin/more"}},
	{"usr/bin/editor", []string{"usr/bin/nano", "usr/bin/vim.basic", "usr/bin/vim.tiny"}},
	{"usr/bin/vi", []string{"usr/bin/vim.basic", "usr/bin/vim.tiny"}},
	{"usr/bin/emacs", []string{"usr/bin/emacs-gtk", "usr/bin/emacs-nox"}},
	{"usr/bin/nc", []string{"usr/bin/nc.openbsd", "usr/bin/nc.traditional"}},
	{"usr/bin/mvn", []string{"usr/share/maven/bin/mvn"}},
	{"usr/bin/mvnDebug", []string{"usr/share/maven/bin/mvnDebug"}},
	{"usr/bin/ant", []string{"usr/share/ant/bin/ant"}},
	{"usr/bin/php", []string{"usr/bin/php8.4"}},
	{"usr/bin/fakeroot", []string{"usr/bin/fakeroot-sysv", "usr/bin/fakeroot-tcp"}},
	{"usr/bin/lzma", []string{"usr/bin/xz"}},
	{"usr/bin/unlzma", []string{"usr/bin/unxz"}},
	{"usr/bin/lzcat", []string{"usr/bin/xzcat"}},
}

// libraries are chosen the same way: the name, and the folders below
// /usr/lib/TRIPLET that may have it, best first.
var libraries = []struct {
	name    string
	folders []string
}{
	{"libblas.so.3", []string{"openblas-pthread", "atlas", "blas"}},
	{"liblapack.so.3", []string{"openblas-pthread", "atlas", "lapack"}},
}

func libraryAlternatives(in Input) []layer.File {
	var files []layer.File
	for _, l := range libraries {
		for _, folder := range l.folders {
			found := in.Tree.Match("usr/lib/*-linux-gnu*/" + folder + "/" + l.name)
			if len(found) == 0 {
				continue
			}
			triplet := path.Dir(path.Dir(found[0]))
			name := l.name + "-" + path.Base(triplet)
			files = append(files, link("etc/alternatives/"+name, "/"+found[0]), link(triplet+"/"+l.name, "/etc/alternatives/"+name))
			break
		}
	}
	return files
}

func alternatives(in Input) ([]layer.File, error) {
	files := libraryAlternatives(in)
	for _, c := range choices {
		for _, to := range c.to {
			if in.Tree.Has(to) {
				files = append(files, alternative(in, c.link, to)...)
				break
			}
		}
	}
	return files, nil
}

// alternative is Debian's chain of two links; a file that a package itself put
// where the link belongs is left alone.
func alternative(in Input, at, to string) []layer.File {
	if in.Tree.Foreign(at) {
		return nil
	}
	name := path.Base(at)
	return []layer.File{link("etc/alternatives/"+name, "/"+to), link(at, "/etc/alternatives/"+name)}
}

// javaAlternatives puts the newest Java on the path, and under a name that does
// not change with its version.
func javaAlternatives(in Input) ([]layer.File, error) {
	homes := in.Tree.Match("usr/lib/jvm/java-*-openjdk-*")
	homes = slices.DeleteFunc(homes, func(home string) bool { return !in.Tree.Has(home + "/bin/java") })
	if len(homes) == 0 {
		return nil, nil
	}
	home := slices.MaxFunc(homes, deb.Compare)
	var files []layer.File
	if !in.Tree.Foreign("usr/lib/jvm/default-java") {
		files = append(files, link("usr/lib/jvm/default-java", path.Base(home)))
	}
	for _, tool := range in.Tree.Match(home + "/bin/*") {
		files = append(files, alternative(in, "usr/bin/"+path.Base(tool), tool)...)
	}
	if in.Tree.Has(home + "/lib/jexec") {
		files = append(files, alternative(in, "usr/bin/jexec", strings.TrimPrefix(home, "/")+"/lib/jexec")...)
	}
	return files, nil
}
