package main

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"naru/packaging"
)

// depends is what the units and the containerd driver need. buildkitd comes
// with the package.
const depends = "systemd, containerd (>= 1.6) | containerd.io, runc (>= 1.1) | containerd.io, containernetworking-plugins, nftables, iptables, ca-certificates"

// deb writes a Debian package: an ar archive of a version, a tar that says what
// it is, and a tar of files.
func (j job) deb(m machine, programs []string) (string, error) {
	data, err := j.files(programs)
	if err != nil {
		return "", err
	}
	control, err := j.control(m, data)
	if err != nil {
		return "", err
	}
	var controlTar, dataTar bytes.Buffer
	if err := writeTarGz(&controlTar, "./", j.date, control); err != nil {
		return "", err
	}
	if err := writeTarGz(&dataTar, "./", j.date, data); err != nil {
		return "", err
	}
	return j.write("naru_"+j.version+"_"+m.arch+".deb", func(w io.Writer) error {
		if _, err := io.WriteString(w, "!<arch>\n"); err != nil {
			return err
		}
		for _, part := range []struct {
			name string
			text []byte
		}{{"debian-binary", []byte("2.0\n")}, {"control.tar.gz", controlTar.Bytes()}, {"data.tar.gz", dataTar.Bytes()}} {
			if err := j.member(w, part.name, part.text); err != nil {
				return err
			}
		}
		return nil
	})
}

// member writes one file of an ar archive; each begins at an even offset.
func (j job) member(w io.Writer, name string, text []byte) error {
	if _, err := fmt.Fprintf(w, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", name, j.date.Unix(), 0, 0, 0o100644, len(text)); err != nil {
		return err
	}
	if len(text)%2 == 1 {
		text = append(text, '\n')
	}
	_, err := w.Write(text)
	return err
}

// files are what the package installs.
func (j job) files(programs []string) ([]entry, error) {
	files := j.docs("usr/share/doc/naru")
	for _, f := range files {
		if path.Base(f.name) == "LICENSE" {
			files = append(files, entry{name: "usr/share/doc/naru/copyright", mode: 0o644, from: f.from})
		}
	}
	for _, p := range programs {
		files = append(files, entry{name: "usr/" + installed(p), mode: 0o755, from: p})
	}
	units, err := embedded("systemd", "usr/lib/systemd/system")
	if err != nil {
		return nil, err
	}
	files = append(files, units...)
	for from, to := range map[string]string{
		"debian/sysusers.conf":   "usr/lib/sysusers.d/naru.conf",
		"debian/tmpfiles.conf":   "usr/lib/tmpfiles.d/naru.conf",
		"debian/containerd.toml": "usr/share/naru/containerd.toml",
		"debian/config.yaml":     "etc/naru/config.yaml",
	} {
		text, err := packaging.Files.ReadFile(from)
		if err != nil {
			return nil, err
		}
		files = append(files, entry{name: to, mode: 0o644, text: text})
	}
	return files, nil
}

// control says what the package is.
func (j job) control(m machine, data []entry) ([]entry, error) {
	var size int
	var sums []string
	for _, e := range data {
		text, err := e.read()
		if err != nil {
			return nil, err
		}
		size += len(text)
		sums = append(sums, fmt.Sprintf("%x  %s\n", md5.Sum(text), e.name)) // dpkg's own form
	}
	slices.SortFunc(sums, func(a, b string) int { return strings.Compare(a[34:], b[34:]) })
	control := fmt.Sprintf(`Package: naru
Version: %s
Architecture: %s
Maintainer: The naru project
Installed-Size: %d
Depends: %s
Recommends: git, libnss-myhostname
Section: admin
Priority: optional
Description: self-hosted application platform
 Push code, get a URL. naru builds, runs and routes applications on one
 machine, in containers.
`, j.version, m.arch, (size+1023)/1024, depends)
	entries := []entry{
		{name: "control", mode: 0o644, text: []byte(control)},
		{name: "md5sums", mode: 0o644, text: []byte(strings.Join(sums, ""))},
		{name: "conffiles", mode: 0o644, text: []byte("/etc/naru/config.yaml\n")},
	}
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		text, err := packaging.Files.ReadFile("debian/" + script)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{name: script, mode: 0o755, text: text})
	}
	return entries, nil
}

// embedded are the files of a folder of package packaging, placed in another.
func embedded(folder, to string) ([]entry, error) {
	list, err := packaging.Files.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var all []entry
	for _, e := range list {
		text, err := packaging.Files.ReadFile(folder + "/" + e.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, entry{name: path.Join(to, e.Name()), mode: 0o644, text: text})
	}
	return all, nil
}
