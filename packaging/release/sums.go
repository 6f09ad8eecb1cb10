package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// sums writes SHA256SUMS in the form that sha256sum -c reads.
func (j job) sums(made []string) (string, error) {
	var lines []string
	for _, name := range made {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return "", err
		}
		lines = append(lines, fmt.Sprintf("%x  %s\n", h.Sum(nil), filepath.Base(name)))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[66:], b[66:]) })
	return j.write("SHA256SUMS", func(w io.Writer) error {
		_, err := io.WriteString(w, strings.Join(lines, ""))
		return err
	})
}

// sbom lists the modules that the programs were linked from, read from the
// programs themselves, so that it cannot say anything else than what is shipped.
func (j job) sbom(programs []string) (string, error) {
	parts := map[string]cdx.Component{}
	for _, p := range programs {
		info, err := buildinfo.ReadFile(p)
		if err != nil {
			return "", fmt.Errorf("read modules of %s: %w", p, err)
		}
		std := "pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go")
		parts[std] = cdx.Component{BOMRef: std, Type: cdx.ComponentTypeLibrary, Name: "std", Version: info.GoVersion, PackageURL: std}
		for _, dep := range info.Deps {
			if dep.Replace != nil {
				dep = dep.Replace
			}
			ref := "pkg:golang/" + dep.Path + "@" + dep.Version
			c := cdx.Component{BOMRef: ref, Type: cdx.ComponentTypeLibrary, Name: dep.Path, Version: dep.Version, PackageURL: ref}
			if dep.Sum != "" { // Go's own hash of the module, which is no hash of a file
				c.Properties = &[]cdx.Property{{Name: "go:sum", Value: dep.Sum}}
			}
			parts[ref] = c
		}
	}
	bom := cdx.NewBOM()
	self := "pkg:generic/naru@" + j.version
	bom.Metadata = &cdx.Metadata{
		Timestamp: j.date.Format("2006-01-02T15:04:05Z"),
		Component: &cdx.Component{BOMRef: self, Type: cdx.ComponentTypeApplication, Name: "naru", Version: j.version, PackageURL: self},
	}
	refs := slices.Sorted(maps.Keys(parts))
	components := make([]cdx.Component, 0, len(refs))
	for _, ref := range refs {
		components = append(components, parts[ref])
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: self, Dependencies: &refs}}
	return j.write("naru-"+j.version+".cdx.json", func(w io.Writer) error {
		return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom)
	})
}
