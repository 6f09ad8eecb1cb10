package server

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"golang.org/x/net/http/httpproxy"

	"naru/internal/build"
	"naru/internal/config"
	"naru/internal/fault"
)

// trust is how naru reaches the outside: whose certificates it believes, and
// through which proxy.
type trust struct {
	transport http.RoundTripper
	bundle    []byte // PEM beside the system's certificates; nil for none
	proxy     func(*http.Request) (*url.URL, error)
}

func newTrust(c config.Config) (trust, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	settings := httpproxy.Config{HTTPProxy: c.Proxy.HTTP, HTTPSProxy: c.Proxy.HTTPS, NoProxy: c.Proxy.No}
	byURL := settings.ProxyFunc()
	out := trust{proxy: func(r *http.Request) (*url.URL, error) { return byURL(r.URL) }}
	t.Proxy = out.proxy
	if c.CABundle != "" {
		pem, err := os.ReadFile(c.CABundle)
		if err != nil {
			return out, fault.New(fault.Invalid, "ca_bundle", "cannot be read: %s", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			return out, fmt.Errorf("read system certificates: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return out, fault.New(fault.Invalid, "ca_bundle", "%s holds no certificate", c.CABundle)
		}
		out.bundle = pem
		t.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	out.transport = t
	return out, nil
}

// hostBundle is where Debian and others keep the machine's certificates.
const hostBundle = "/etc/ssl/certs/ca-certificates.crt"

// mirrors are what builds are told about the network around the machine. Where
// nothing is configured they trust whom the machine trusts.
func mirrors(c config.Config) build.Mirrors {
	bundle := c.CABundle
	if bundle == "" {
		if _, err := os.Stat(hostBundle); err == nil {
			bundle = hostBundle
		}
	}
	return build.Mirrors{
		CABundle: bundle, NPM: c.Mirrors.NPM, GoProxy: c.Mirrors.GoProxy, PyPI: c.Mirrors.Pip, Maven: c.Mirrors.Maven,
		HTTPProxy: c.Proxy.HTTP, HTTPSProxy: c.Proxy.HTTPS, NoProxy: c.Proxy.No,
	}
}
