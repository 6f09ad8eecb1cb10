package settle

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the formats below prescribe it; nothing is protected by it
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"path"
	"strings"
	"unicode/utf16"

	"naru/internal/build/bake/layer"
)

const caFolder = "usr/share/ca-certificates"

// authority is one certificate of the ca-certificates package.
type authority struct {
	file string // below caFolder
	name string // as /etc/ssl/certs calls it, without .pem
	pem  []byte
	cert *x509.Certificate
}

func authorities(in Input) ([]authority, error) {
	var all []authority
	for _, file := range in.Tree.KeptBelow(caFolder) {
		body, _ := in.Tree.Kept(file)
		block, _ := pem.Decode(body)
		if block == nil {
			return nil, fmt.Errorf("%s: no PEM certificate", file)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			// Go is stricter than OpenSSL about old roots; the bundle carries them all the same.
			cert = nil
		}
		name := strings.NewReplacer(" ", "_", "(", "=", ")", "=", ",", "_").Replace(strings.TrimSuffix(path.Base(file), ".crt"))
		all = append(all, authority{file: file, name: name, pem: body, cert: cert})
	}
	return all, nil
}

func caBundle(in Input) ([]layer.File, error) {
	all, err := authorities(in)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	var b bytes.Buffer
	for _, a := range all {
		b.Write(bytes.TrimRight(a.pem, "\n"))
		b.WriteByte('\n')
	}
	return []layer.File{file("etc/ssl/certs/ca-certificates.crt", 0o644, b.Bytes())}, nil
}

// caLinks are how OpenSSL finds a certificate without reading all of them.
func caLinks(in Input) ([]layer.File, error) {
	all, err := authorities(in)
	if err != nil {
		return nil, err
	}
	var files []layer.File
	taken := map[uint32]int{}
	for _, a := range all {
		files = append(files, link("etc/ssl/certs/"+a.name+".pem", "/"+a.file))
		if a.cert == nil {
			continue
		}
		h, err := subjectHash(a.cert.RawSubject)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.file, err)
		}
		files = append(files, link(fmt.Sprintf("etc/ssl/certs/%08x.%d", h, taken[h]), a.name+".pem"))
		taken[h]++
	}
	return files, nil
}

type attributeSET []struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// subjectHash is OpenSSL's X509_NAME_hash: SHA-1 over a canonical form of the
// name in which text is UTF-8, lower case, with single spaces.
func subjectHash(subject []byte) (uint32, error) {
	var name []attributeSET
	if _, err := asn1.Unmarshal(subject, &name); err != nil {
		return 0, fmt.Errorf("read subject: %w", err)
	}
	var canonical []byte
	for _, set := range name {
		for i := range set {
			if text, ok := decodeText(set[i].Value); ok {
				set[i].Value = asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: canonicalText(text)}
			}
		}
		raw, err := asn1.Marshal(set)
		if err != nil {
			return 0, fmt.Errorf("write subject: %w", err)
		}
		canonical = append(canonical, raw...)
	}
	sum := sha1.Sum(canonical)
	return binary.LittleEndian.Uint32(sum[:4]), nil
}

func decodeText(v asn1.RawValue) (string, bool) {
	switch v.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, 26: // 26 is VisibleString
		return string(v.Bytes), true
	case asn1.TagT61String:
		runes := make([]rune, len(v.Bytes))
		for i, b := range v.Bytes {
			runes[i] = rune(b)
		}
		return string(runes), true
	case asn1.TagBMPString:
		units := make([]uint16, len(v.Bytes)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(v.Bytes[2*i:])
		}
		return string(utf16.Decode(units)), true
	}
	return "", false
}

// canonicalText lowers ASCII letters only, as OpenSSL does.
func canonicalText(s string) []byte {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return r == ' ' || r == '\t' || r == '\n' || r == '\v' || r == '\f' || r == '\r'
	}), " ")
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}
