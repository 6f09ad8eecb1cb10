package bake

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"

	"naru/internal/build/bake/npm"
)

// sbom lists every package with where it is from, its hash and its licences.
// It names no time but that of the image, so equal images have equal ones.
func (m *making) sbom(digest string, created time.Time) ([]byte, error) {
	bom := cyclonedx.NewBOM()
	bom.SerialNumber = "urn:uuid:" + uuid.NewSHA1(uuid.NameSpaceURL, []byte(digest)).String()
	bom.Metadata = &cyclonedx.Metadata{
		Timestamp: created.UTC().Format(time.RFC3339),
		Tools: &cyclonedx.ToolsChoice{Components: &[]cyclonedx.Component{
			{Type: cyclonedx.ComponentTypeApplication, Name: "naru bake", Version: version},
		}},
		Component: &cyclonedx.Component{
			BOMRef: digest, Type: cyclonedx.ComponentTypeContainer, Name: m.spec.Foundation, Version: digest,
			Description: m.spec.Description,
		},
	}
	components := []cyclonedx.Component{{
		BOMRef: "os", Type: cyclonedx.ComponentTypeOS, Name: "debian", Version: m.spec.From.Distribution,
	}}
	for _, p := range m.lock.Packages {
		components = append(components, m.debComponent(p))
	}
	for _, pin := range m.lock.Npm {
		c, err := npmComponent(pin)
		if err != nil {
			return nil, err
		}
		components = append(components, c)
	}
	bom.Components = &components
	var b bytes.Buffer
	enc := cyclonedx.NewBOMEncoder(&b, cyclonedx.BOMFileFormatJSON)
	enc.SetPretty(true)
	if err := enc.EncodeVersion(bom, cyclonedx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("write the bill of materials: %w", err)
	}
	return b.Bytes(), nil
}

func (m *making) debComponent(p LockedPackage) cyclonedx.Component {
	control := m.controls[p.Name]
	source, sourceVersion := control.Source()
	query := url.Values{"arch": {p.Architecture}, "distro": {"debian-" + m.spec.From.Distribution}}
	if source != p.Name || sourceVersion != p.Version {
		query.Set("upstream", source+"@"+sourceVersion)
	}
	purl := "pkg:deb/debian/" + url.PathEscape(p.Name) + "@" + url.QueryEscape(p.Version) + "?" + query.Encode()
	c := cyclonedx.Component{
		BOMRef: purl, Type: cyclonedx.ComponentTypeLibrary, Name: p.Name, Version: p.Version, PackageURL: purl,
		Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: p.SHA256}},
	}
	c.Description, _, _ = strings.Cut(control.Get("Description"), "\n")
	if maintainer := control.Get("Maintainer"); maintainer != "" {
		c.Supplier = &cyclonedx.OrganizationalEntity{Name: maintainer}
	}
	if home := control.Get("Homepage"); strings.HasPrefix(home, "http") {
		c.ExternalReferences = &[]cyclonedx.ExternalReference{{Type: cyclonedx.ERTypeWebsite, URL: home}}
	}
	if notice, ok := m.tree.Kept("usr/share/doc/" + p.Name + "/copyright"); ok {
		c.Licenses = licences(string(notice))
	}
	return c
}

func npmComponent(pin npm.Pin) (cyclonedx.Component, error) {
	blob, err := pin.Blob(1)
	if err != nil {
		return cyclonedx.Component{}, err
	}
	purl := "pkg:npm/" + strings.Replace(url.PathEscape(pin.Name), "%2F", "/", 1) + "@" + url.QueryEscape(pin.Version)
	c := cyclonedx.Component{
		BOMRef: purl, Type: cyclonedx.ComponentTypeLibrary, Name: pin.Name, Version: pin.Version, PackageURL: purl,
		Hashes:             &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA512, Value: blob.Hex}},
		ExternalReferences: &[]cyclonedx.ExternalReference{{Type: cyclonedx.ERTypeDistribution, URL: pin.URL}},
	}
	if pin.License != "" {
		c.Licenses = &cyclonedx.Licenses{{License: &cyclonedx.License{Name: pin.License}}}
	}
	return c, nil
}

// licences reads the short names out of a machine-readable copyright file; they
// are Debian's names, which are mostly but not always SPDX's, so they are given
// as names and not as ids. Other notices are free text and say nothing here.
func licences(notice string) *cyclonedx.Licenses {
	head, _, _ := strings.Cut(notice, "\n")
	if !strings.HasPrefix(head, "Format:") && !strings.HasPrefix(head, "Format-Specification:") {
		return nil
	}
	var names []string
	for line := range strings.Lines(notice) {
		name, ok := strings.CutPrefix(line, "License:")
		if name = strings.TrimSpace(name); ok && name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	all := cyclonedx.Licenses{}
	for _, n := range names {
		all = append(all, cyclonedx.LicenseChoice{License: &cyclonedx.License{Name: n}})
	}
	return &all
}
