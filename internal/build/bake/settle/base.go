package settle

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"naru/internal/build/bake/layer"
)

// The unprivileged user of every foundation. Images name it by number, so that
// a runtime can tell it is not root without reading /etc/passwd.
const (
	AppUser = "app"
	AppID   = 1000
	AppHome = "/home/app"
	AppDir  = "/app"
)

func baseFolders(in Input) ([]layer.File, error) {
	if !in.Tree.Has("usr/share/base-files") {
		return nil, nil
	}
	files := []layer.File{
		dir("mnt", 0o755), dir("srv", 0o755), dir("opt", 0o755), dir("media", 0o755), dir("etc/opt", 0o755), dir("var/opt", 0o755),
		{Path: "var/mail", Type: '5', Mode: 0o775, GID: 8},
		link("var/spool/mail", "../mail"),
		link("etc/dpkg/origins/default", "debian"),
	}
	for _, name := range []string{"", "/bin", "/etc", "/games", "/include", "/lib", "/libexec", "/sbin", "/share", "/share/man", "/src"} {
		files = append(files, dir("usr/local"+name, 0o755))
	}
	for from, to := range map[string]string{"profile": "etc/profile", "dot.profile": "root/.profile", "dot.bashrc": "root/.bashrc"} {
		if body, ok := in.Tree.Kept("usr/share/base-files/" + from); ok {
			files = append(files, file(to, 0o644, body))
		}
	}
	slices.SortStableFunc(files, func(a, b layer.File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// users copies the master files and adds the one user that apps run as.
func users(in Input) ([]layer.File, error) {
	passwd, ok := in.Tree.Kept("usr/share/base-passwd/passwd.master")
	group, ok2 := in.Tree.Kept("usr/share/base-passwd/group.master")
	if !ok || !ok2 {
		return nil, nil
	}
	passwd = fmt.Appendf(bytes.Clone(passwd), "%s:*:%d:%d:app:%s:/bin/sh\n", AppUser, AppID, AppID, AppHome)
	group = fmt.Appendf(bytes.Clone(group), "%s:*:%d:\n", AppUser, AppID)
	return []layer.File{
		{Path: AppDir[1:], Type: '5', Mode: 0o755, UID: AppID, GID: AppID},
		file("etc/group", 0o644, group),
		file("etc/passwd", 0o644, passwd),
		{Path: AppHome[1:], Type: '5', Mode: 0o755, UID: AppID, GID: AppID},
	}, nil
}

func nameService(in Input) ([]layer.File, error) {
	for _, from := range []string{"usr/share/libc-bin/nsswitch.conf", "usr/share/base-files/nsswitch.conf"} {
		if body, ok := in.Tree.Kept(from); ok && !in.Tree.Foreign("etc/nsswitch.conf") {
			return []layer.File{file("etc/nsswitch.conf", 0o644, body)}, nil
		}
	}
	return nil, nil
}

func shells(in Input) ([]layer.File, error) {
	body, ok := in.Tree.Kept("usr/share/debianutils/shells")
	if !ok {
		return nil, nil
	}
	body = bytes.Clone(body)
	for _, name := range in.Tree.KeptBelow("usr/share/debianutils/shells.d") {
		more, _ := in.Tree.Kept(name)
		body = append(body, more...)
	}
	return []layer.File{file("etc/shells", 0o644, body)}, nil
}

// machineID is empty on purpose: a number in an image would be shared by all
// its instances.
func machineID(in Input) ([]layer.File, error) {
	if !in.Tree.Has("etc") {
		return nil, nil
	}
	return []layer.File{file("etc/machine-id", 0o444, nil)}, nil
}

func timeZone(in Input) ([]layer.File, error) {
	if !in.Tree.Has("usr/share/zoneinfo/Etc/UTC") {
		return nil, nil
	}
	return []layer.File{
		link("etc/localtime", "/usr/share/zoneinfo/Etc/UTC"),
		file("etc/timezone", 0o644, []byte("Etc/UTC\n")),
	}, nil
}

// packageDatabase lets scanners and people with dpkg-query see what is inside.
func packageDatabase(in Input) ([]layer.File, error) {
	var b bytes.Buffer
	for _, s := range in.Packages {
		for field, value := range s.Fields() {
			fmt.Fprintf(&b, "%s: %s\n", field, value)
			if field == "Package" {
				b.WriteString("Status: install ok installed\n")
			}
		}
		b.WriteByte('\n')
	}
	return []layer.File{dir("var/lib/dpkg/info", 0o755), file("var/lib/dpkg/status", 0o644, b.Bytes())}, nil
}
