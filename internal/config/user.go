package config

import (
	"fmt"
	"os/user"
	"strconv"
	"strings"

	"naru/internal/fault"
)

// gatewayAccount is the account that the package makes for the gateway.
const gatewayAccount = "naru-gateway"

// nobodys is a number without an account, in the range that Debian keeps
// reserved: it owns nothing, so whoever runs as it may do nothing.
const nobodys = 65198

// GatewayUser resolves gateway.user for a naru up that is root: the numbers
// that the gateway runs as, and that may dial the control socket. An error is a
// fault about the setting.
func (c Config) GatewayUser() (uid, gid int, err error) {
	name := c.Gateway.User
	if name == "" {
		if u, err := user.Lookup(gatewayAccount); err == nil {
			return ids(u.Uid, u.Gid)
		}
		return nobodys, nobodys, nil
	}
	if first, second, ok := strings.Cut(name, ":"); ok {
		return ids(first, second)
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, fault.New(fault.Invalid, "gateway.user", "there is no user %q on this machine", name).
			WithTry("useradd --system --no-create-home %s, or name another one", name).WithCause(err)
	}
	return ids(u.Uid, u.Gid)
}

func ids(user, group string) (uid, gid int, err error) {
	uid, uidErr := strconv.Atoi(user)
	gid, gidErr := strconv.Atoi(group)
	if uidErr != nil || gidErr != nil || uid < 0 || gid < 0 {
		return 0, 0, fault.New(fault.Invalid, "gateway.user", "must be a user's name or UID:GID (got %q)", user+":"+group)
	}
	return uid, gid, nil
}

// numbers writes a user as gateway.user takes it.
func numbers(uid, gid int) string { return fmt.Sprintf("%d:%d", uid, gid) }

// WithGatewayUser returns the configuration with gateway.user decided, for the
// children: all must agree on who the gateway is.
func (c Config) WithGatewayUser(uid, gid int) Config {
	c.Gateway.User = numbers(uid, gid)
	return c
}
