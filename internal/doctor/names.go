package doctor

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"strings"

	"naru/internal/config"
)

// namesUsed are the hosts of the mirrors, or those used without any.
func namesUsed(c config.Config) []string {
	var names []string
	add := func(mirror, fallback string) {
		if first, _, _ := strings.Cut(mirror, ","); first != "" {
			if u, err := url.Parse(first); err == nil && u.Hostname() != "" {
				names = append(names, u.Hostname())
				return
			}
		}
		names = append(names, fallback)
	}
	add(c.Mirrors.Debian, "deb.debian.org")
	add(c.Mirrors.NPM, "registry.npmjs.org")
	add(c.Mirrors.GoProxy, "proxy.golang.org")
	return names
}

func checkDNS(ctx context.Context, env Env) Finding {
	if env.Config.Proxy.HTTPS != "" {
		return ok("names are resolved by the proxy")
	}
	for _, name := range env.NamesUsed {
		if _, err := env.Resolver.LookupHost(ctx, name); err != nil {
			return fail("look at /etc/resolv.conf, then: getent hosts "+name, "%s cannot be resolved, so builds and bakes cannot download: %v", name, err)
		}
	}
	return ok("%s can be resolved", strings.Join(env.NamesUsed, ", "))
}

// hostBundles are where distributions keep their certificate authorities.
var hostBundles = []string{
	"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
}

func checkCA(_ context.Context, env Env) Finding {
	path := env.Config.CABundle
	if path == "" {
		for _, p := range hostBundles {
			if _, err := os.Stat(p); err == nil {
				path = p
				break
			}
		}
	}
	if path == "" {
		return fail("apt-get install ca-certificates", "this machine has no certificate authorities, so nothing can be downloaded over TLS")
	}
	n, err := countCertificates(path)
	if err != nil {
		return fail("name a readable PEM file with --ca-bundle", "the CA bundle %s: %v", path, err)
	}
	return ok("%d certificate authorities in %s", n, path)
}

func countCertificates(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n := 0
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err == nil {
			n++
		}
	}
	if n == 0 {
		return 0, fmt.Errorf("holds no certificate in PEM form")
	}
	return n, nil
}
