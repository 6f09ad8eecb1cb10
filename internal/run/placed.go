package run

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"

	"naru/internal/secret"
)

// Placed is what the environment of an instance says about its place, which a
// driver knows: the address it has, and the port it must listen on, of which there
// is none where at has none. What apps made for Cloud Foundry read is there too;
// the gateway reaches instances where they listen, so outside is as inside.
func (s Spec) Placed(at netip.AddrPort) Env {
	env := Env{}
	set := func(name, value string) { env[name] = secret.New(value) }
	set("NARU_APP", s.AppName)
	set("NARU_PROCESS", s.Process)
	set("NARU_INSTANCE", string(s.ID))
	set("NARU_INDEX", strconv.Itoa(s.Index))
	set("NARU_RELEASE", string(s.Release))
	set("CF_INSTANCE_GUID", string(s.ID))
	set("INSTANCE_GUID", string(s.ID))
	if !s.Task {
		set("CF_INSTANCE_INDEX", strconv.Itoa(s.Index))
		set("INSTANCE_INDEX", strconv.Itoa(s.Index))
	}
	ip := ""
	if at.Addr().IsValid() {
		ip = at.Addr().String()
	}
	set("CF_INSTANCE_IP", ip)
	set("CF_INSTANCE_INTERNAL_IP", ip)
	if at.Port() == 0 {
		set("CF_INSTANCE_ADDR", "")
		set("CF_INSTANCE_PORT", "")
		set("CF_INSTANCE_PORTS", "[]")
		return env
	}
	port := strconv.Itoa(int(at.Port()))
	set("PORT", port)
	set("CF_INSTANCE_ADDR", at.String())
	set("CF_INSTANCE_PORT", port)
	set("CF_INSTANCE_PORTS", fmt.Sprintf(`[{"external":%s,"internal":%s}]`, port, port))
	set("VCAP_APP_HOST", "0.0.0.0")
	set("VCAP_APP_PORT", port)
	if text, ok := s.Env["VCAP_APPLICATION"]; ok {
		env["VCAP_APPLICATION"] = listening(text, int(at.Port()))
	}
	return env
}

// listening says in a VCAP_APPLICATION which port it is, where a driver chose
// another one than the app's.
func listening(text secret.Secret, port int) secret.Secret {
	var all map[string]json.RawMessage
	if json.Unmarshal([]byte(text.Reveal()), &all) != nil || string(all["port"]) == strconv.Itoa(port) {
		return text
	}
	all["port"] = json.RawMessage(strconv.Itoa(port))
	changed, err := json.Marshal(all)
	if err != nil {
		return text
	}
	return secret.New(string(changed))
}
