package config

import "fmt"

func (d ACMEDNS) complaints() []error {
	if d.Server == "" {
		return nil
	}
	list := []error{
		serverAddress("acme.dns.server", d.Server), domain("acme.dns.zone", d.Zone), domain("acme.dns.key_name", d.KeyName),
		oneOf("acme.dns.algorithm", d.Algorithm, "hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1"),
	}
	if d.SecretFile == "" {
		list = append(list, fmt.Errorf("acme.dns.secret_file: is needed with acme.dns.server"))
	}
	for _, server := range d.Servers {
		list = append(list, serverAddress("acme.dns.servers", server))
	}
	return list
}
