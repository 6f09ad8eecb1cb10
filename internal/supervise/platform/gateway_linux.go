package platform

import (
	"os"
	"path/filepath"
	"syscall"

	"naru/internal/config"
	"naru/internal/supervise"
)

// gatewayUser decides whom the gateway runs as, and writes it into the
// configuration, because the server must let that user dial it. Where the
// program or the data folder is out of an unprivileged user's reach (a home of
// mode 0700), the gateway runs as naru up itself does; that is said.
func (p Parts) gatewayUser() (config.Config, *supervise.User, error) {
	if os.Geteuid() != 0 {
		return p.Config, nil, nil
	}
	uid, gid, err := p.Config.GatewayUser()
	if err != nil {
		return config.Config{}, nil, err
	}
	if uid == 0 {
		return p.Config.WithGatewayUser(0, 0), nil, nil
	}
	for _, path := range []string{p.Naru, filepath.Dir(p.Config.DataDir), filepath.Dir(p.Config.RunDir)} {
		if blocked, ok := outOfReach(path, uid, gid); ok {
			p.Log.Warn("the gateway runs as root: its own user could not pass this folder", "path", blocked, "user", uid)
			return p.Config.WithGatewayUser(0, 0), nil, nil
		}
	}
	return p.Config.WithGatewayUser(uid, gid), &supervise.User{UID: uid, GID: gid}, nil
}

// outOfReach returns the first folder on the way to path, path included, that
// the user may not pass. What does not exist yet is made by us, passable.
func outOfReach(path string, uid, gid int) (blocked string, found bool) {
	for at := path; ; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err == nil && !mayPass(info, uid, gid) {
			blocked, found = at, true
		}
		if at == filepath.Dir(at) {
			return blocked, found
		}
	}
}

func mayPass(info os.FileInfo, uid, gid int) bool {
	bit := os.FileMode(0o001)
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		switch {
		case int(st.Uid) == uid:
			bit = 0o100
		case int(st.Gid) == gid:
			bit = 0o010
		}
	}
	return info.Mode().Perm()&bit != 0
}

// gatewayFolder makes the one folder that the gateway owns. Its files go along:
// the user may have been changed.
func gatewayFolder(dir string, user *supervise.User) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	uid, gid := os.Geteuid(), os.Getegid()
	if user != nil {
		uid, gid = user.UID, user.GID
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// Lchown: a gateway that was taken over must not have us give it files
		// elsewhere through a link.
		return os.Lchown(path, uid, gid)
	})
}
