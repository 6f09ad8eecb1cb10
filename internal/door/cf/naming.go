package cf

import (
	"strings"

	"naru/internal/id"
	"naru/internal/run/vcap"
)

// named is the id of what has a name and nothing else: the same at every start.
func named(kind, name string) string {
	return id.Named(kind, name)
}

// guidLength is that of all ids of naru's.
const guidLength = 36

// processGUID is the id of a process type of an app. That of web is the app's own,
// as in Cloud Foundry; that of another type tells which.
func processGUID(a, process string) string { return vcap.ProcessID(a, process) }

// processOf takes a processGUID apart.
func processOf(guid string) (a, process string) {
	if len(guid) > guidLength+1 && guid[guidLength] == '-' {
		return guid[:guidLength], guid[guidLength+1:]
	}
	return guid, "web"
}

// hostOf takes a host of a route apart as Cloud Foundry has it: a name in a domain
// of the platform, or of one of those that are known, or a domain of its own.
func (cfg Config) hostOf(host string, known ...string) (label, domain string) {
	for _, name := range append([]string{cfg.AppsDomain}, known...) {
		if len(name) > len(domain) && name == host {
			label, domain = "", name
		}
		if below, ok := strings.CutSuffix(host, "."+name); ok && len(name) > len(domain) {
			label, domain = below, name
		}
	}
	if domain != "" && host != cfg.AppsDomain {
		return label, domain
	}
	if below, ok := strings.CutSuffix(host, "."+cfg.AppsDomain); ok {
		return below, cfg.AppsDomain
	}
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		return "*", rest
	}
	return "", host
}
