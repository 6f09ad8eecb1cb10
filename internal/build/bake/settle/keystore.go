package settle

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the JKS format prescribes it; nothing is protected by it
	"encoding/binary"
	"strings"
	"time"

	"naru/internal/build/bake/layer"
)

// javaKeystore writes the certificates as Java's own store, with the password
// that Debian gives it, since a JVM does not read the PEM bundle.
func javaKeystore(in Input) ([]layer.File, error) {
	if !in.Tree.Has("usr/share/ca-certificates-java") {
		return nil, nil
	}
	all, err := authorities(in)
	if err != nil {
		return nil, err
	}
	return []layer.File{file("etc/ssl/certs/java/cacerts", 0o644, keystore(all, in.Date))}, nil
}

const (
	jksMagic       = 0xFEEDFEED
	jksVersion     = 2
	jksTrustedCert = 2
	jksPassword    = "changeit"
)

// keystore encodes trusted certificates in the JKS format.
func keystore(all []authority, date time.Time) []byte {
	var b bytes.Buffer
	put := func(v any) { _ = binary.Write(&b, binary.BigEndian, v) } // a Buffer cannot fail
	text := func(s string) { put(uint16(len(s))); b.WriteString(s) }

	var usable []authority
	for _, a := range all {
		if a.cert != nil {
			usable = append(usable, a)
		}
	}
	put(uint32(jksMagic))
	put(uint32(jksVersion))
	put(uint32(len(usable)))
	for _, a := range usable {
		put(uint32(jksTrustedCert))
		text("debian:" + strings.ToLower(a.name) + ".pem")
		put(uint64(date.UnixMilli()))
		text("X.509")
		put(uint32(len(a.cert.Raw)))
		b.Write(a.cert.Raw)
	}
	h := sha1.New()
	for _, c := range jksPassword {
		h.Write([]byte{0, byte(c)}) // UTF-16, big end first
	}
	h.Write([]byte("Mighty Aphrodite"))
	h.Write(b.Bytes())
	return h.Sum(b.Bytes())
}
