package ssh

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"

	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/fault"
	"naru/internal/id"
)

// login is how one client is let in.
type login struct {
	*Server
	ctx    context.Context //nolint:containedctx // the protocol's callback has none
	remote string
	who    auth.Identity
	into   Instance
}

func (l *login) config() *ssh.ServerConfig {
	c := &ssh.ServerConfig{MaxAuthTries: l.limits.Tries, ServerVersion: banner(), PasswordCallback: l.password}
	c.AddHostKey(l.key)
	return c
}

// errCode is all that a client is told about a code that does not work.
var errCode = errors.New("the code is wrong, was used, or has ended; cf ssh-code makes another")

// password uses a code up, whatever comes of it.
func (l *login) password(meta ssh.ConnMetadata, code []byte) (*ssh.Permissions, error) {
	user, ok := l.codes.redeem(string(code))
	into, err := parseUser(meta.User())
	switch {
	case err != nil:
	case !ok:
		err = errCode
	default:
		l.who, err = l.access.Admit(l.ctx, user, into)
	}
	if err != nil {
		l.access.Refused(l.ctx, user, into, l.remote, err)
		return nil, told(err)
	}
	l.into = into
	return &ssh.Permissions{}, nil
}

// told makes a refusal readable for clients that show it.
func told(err error) error {
	if f := fault.Of(err); f.Kind != fault.Internal {
		return &ssh.BannerError{Err: err, Message: f.Message + "\r\n"}
	}
	return err
}

// parseUser reads cf:PROCESS/INDEX; a process is an app's id, behind it a dash and
// the type of a process that is not web.
func parseUser(user string) (Instance, error) {
	bad := fault.New(fault.Invalid, "user", "a user is cf:PROCESS-GUID/INDEX").WithTry("cf app NAME --guid")
	rest, ok := strings.CutPrefix(user, "cf:")
	guid, number, found := strings.Cut(rest, "/")
	index, err := strconv.ParseUint(number, 10, 31)
	if !ok || !found || err != nil {
		return Instance{}, bad
	}
	const idLength = 36
	into := Instance{Process: app.Web, Index: int(index)}
	if len(guid) > idLength+1 && guid[idLength] == '-' {
		guid, into.Process = guid[:idLength], guid[idLength+1:]
	}
	if !id.Valid(guid) {
		return Instance{}, bad
	}
	into.App = app.ID(guid)
	return into, nil
}
