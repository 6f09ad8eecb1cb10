package doctor

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"naru/internal/route/certificate"
)

// expiryWarning is how long before its end a certificate is spoken of. What naru
// renews by itself is renewed earlier.
const expiryWarning = 21 * 24 * time.Hour

// checkCertificates looks at what the gateway serves.
func checkCertificates(_ context.Context, env Env) Finding {
	if env.Config.Listen.AppsTLS == "" {
		return skipped("no HTTPS is served")
	}
	path := filepath.Join(env.Config.GatewayDir(), "certificates.json")
	all, err := certificate.Kept(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ok("will be made at the first start")
	case err != nil:
		return warn("naru gateway reload, and read "+env.Config.LogDir()+"/gateway.log", "the gateway's certificates cannot be read: %v", err)
	}
	var ended, ending []string
	for _, f := range all {
		name := strings.Join(f.Names, ", ")
		switch left := f.Until.Sub(env.Now()); {
		case left <= 0:
			ended = append(ended, name+" since "+f.Until.Format(time.DateOnly))
		case left < expiryWarning:
			ending = append(ending, name+" on "+f.Until.Format(time.DateOnly))
		}
	}
	const out = "naru certificates says where they come from; naru certificate add HOST --cert FILE --key FILE replaces one"
	switch {
	case len(ended) > 0:
		return fail(out, "certificates have expired: %s", strings.Join(ended, "; "))
	case len(ending) > 0:
		return warn(out, "certificates expire: %s", strings.Join(ending, "; "))
	}
	return ok("%d certificates, all good for three weeks", len(all))
}
