package buildkit

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	gatewaypb "github.com/moby/buildkit/frontend/gateway/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"naru/internal/build"
	"naru/internal/fault"
)

// explain makes of a failed solve what a person can act on: the command, its
// exit code, its last lines, and a hint where the output is known to us.
func explain(ctx context.Context, err error, req build.Request, limit time.Duration, follow *follower) error {
	var already *fault.Error
	if errors.As(err, &already) {
		return already
	}
	switch {
	case errors.Is(context.Cause(ctx), errTimeout):
		return timedOut(err, limit, follow)
	case ctx.Err() != nil:
		return fmt.Errorf("build %s: %w", req.Target.Repository, context.Cause(ctx))
	case status.Code(errors.Unwrap(err)) == codes.Unavailable, strings.Contains(err.Error(), "error reading from server: EOF"):
		return fault.New(fault.Unavailable, "", "the build daemon went away during the build").
			WithTry("push again; the steps that had finished are remembered").WithCause(err)
	}
	step := follow.failed()
	var exit *gatewaypb.ExitError
	if step == nil || !errors.As(err, &exit) {
		return withoutExit(err, req, step)
	}
	f := fault.New(fault.Failed, "build", "%s: exit %d%s", step.name, exit.ExitCode, lastLines(step))
	if hint := hintFor(strings.Join(step.tail, "\n"), int(exit.ExitCode)); hint != "" {
		return f.WithTry("%s", hint)
	}
	return f.WithTry("run the command in a clean checkout; naru logs APP --source STG shows the whole log")
}

func timedOut(err error, limit time.Duration, follow *follower) error {
	what := "the build"
	if s := follow.running(); s != nil {
		what = s.name + " (last lines below)" + lastLines(s)
	}
	return fault.New(fault.Failed, "build", "stopped after %s: %s", limit, what).
		WithTry("find what it waits for, or raise build.timeout").WithCause(err)
}

// withoutExit explains failures that no command of the user's ended with an
// exit code.
func withoutExit(err error, req build.Request, step *stepState) error {
	text := err.Error()
	if hint := hintFor(text, 0); hint != "" {
		return fault.New(fault.Failed, "build", "%s", shorten(text)).WithTry("%s", hint).WithCause(err)
	}
	field := "build"
	if d := req.Recipe.Dockerfile; d != nil {
		field = d.Path
		if m := dockerfileLine.FindStringSubmatch(text); m != nil {
			field += ":" + m[1]
		}
		return fault.New(fault.Failed, field, "%s", shorten(text)).WithCause(err)
	}
	if step != nil {
		return fault.New(fault.Failed, field, "%s: %s%s", step.name, shorten(text), lastLines(step)).WithCause(err)
	}
	return fmt.Errorf("build %s: %w", req.Target.Repository, err)
}

var (
	dockerfileLine = regexp.MustCompile(`(?:parse error on|on|:) ?line (\d+)`)
	noise          = regexp.MustCompile(`^(?:failed to solve|rpc error|failed to run Build function)[^:]*: (?:code = \w+ desc = )?`)
)

// shorten takes the wrapping off a daemon's error.
func shorten(text string) string {
	for {
		next := noise.ReplaceAllString(text, "")
		if next == text {
			return clean([]byte(strings.ReplaceAll(text, "\n", "; ")))
		}
		text = next
	}
}

func lastLines(s *stepState) string {
	if len(s.tail) == 0 {
		return ""
	}
	return "\n  " + strings.Join(s.tail, "\n  ")
}

// hints are read from the top; the first whose words are all in the output wins.
var hints = []struct {
	pattern *regexp.Regexp
	try     string
}{
	{regexp.MustCompile(`(?i)no space left on device|ENOSPC|disk quota exceeded`), "the disk of the build machine is full: free space, or lower build.cache"},
	{regexp.MustCompile(`(?i)self.signed certificate|unable to get (local )?issuer certificate|certificate signed by unknown authority|CERTIFICATE_VERIFY_FAILED|PKIX path building failed|SELF_SIGNED_CERT|UNABLE_TO_VERIFY`), "the network's certificate is not trusted: give naru the CA bundle with ca_bundle"},
	{regexp.MustCompile(`(?i)heap out of memory|java\.lang\.OutOfMemoryError|Cannot allocate memory|signal: killed|ENOMEM`), "the build ran out of memory: raise build.memory, or make the build smaller (NODE_OPTIONS=--max-old-space-size, GOFLAGS=-p=1)"},
	{regexp.MustCompile(`npm ci.*can only install|npm error.*package-lock\.json.*(not in sync|are in sync)|package\.json and package-lock\.json`), "package-lock.json does not match package.json: run  npm install  and push both"},
	{regexp.MustCompile(`ERR_PNPM_OUTDATED_LOCKFILE|lockfile needs to be updated`), "the lock file does not match package.json: install once on your machine and push both"},
	{regexp.MustCompile(`(?i)EBADENGINE|Unsupported engine|engine .* is incompatible`), "a package wants another version of Node: set engines.node in package.json"},
	{regexp.MustCompile(`(?i)ENOTFOUND|EAI_AGAIN|Temporary failure in name resolution|no such host|UnknownHostException|Could not resolve host|Name or service not known`), "a host name could not be looked up: check the network of the machine, or name mirrors with mirrors.npm, mirrors.goproxy, mirrors.pip, mirrors.maven"},
	{regexp.MustCompile(`(?i)ECONNREFUSED|connection refused|ETIMEDOUT|i/o timeout|Connection timed out|network is unreachable`), "a host did not answer: check the network and the proxy settings of the machine (proxy.http), or name a mirror"},
	{regexp.MustCompile(`npm error code E404|ETARGET|No matching version found`), "a package or version does not exist in the npm registry: check its name in package.json"},
	{regexp.MustCompile(`npm error code E40[13]|401 Unauthorized|403 Forbidden`), "the registry wants a login: give the build its token as a secret and name it in .npmrc or pip.conf"},
	{regexp.MustCompile(`Missing script: "?build|Missing script`), "package.json has no such script"},
	{regexp.MustCompile(`(?i)Cannot find module|Module not found|ERR_MODULE_NOT_FOUND|Cannot find package`), "a module is missing: add it to dependencies (devDependencies are there for the build script only)"},
	{regexp.MustCompile(`no required module provides package|missing go\.sum entry|updates to go\.(mod|sum) needed|is not in std`), "go.mod or go.sum is not complete: run  go mod tidy  and push both"},
	{regexp.MustCompile(`go: (errors parsing|download) go1|toolchain not available|requires go >= `), "this version of Go could not be fetched: check the go and toolchain lines of go.mod"},
	{regexp.MustCompile(`build constraints exclude all Go files|undefined: C\.|cgo: C compiler`), "the program needs cgo, which this builder leaves off: use a Dockerfile"},
	{regexp.MustCompile(`No matching distribution found|Could not find a version that satisfies`), "a requirement does not exist for this Python: check its name and version"},
	{regexp.MustCompile(`(?i)error: command '?(gcc|cc|x86_64-linux-gnu-gcc)|Python\.h: No such file|pg_config executable not found`), "a package wants to be compiled: choose one with a wheel (psycopg2-binary), or use a Dockerfile"},
	{regexp.MustCompile(`ModuleNotFoundError`), "a Python module is missing: add it to requirements.txt"},
	{regexp.MustCompile(`Could not (find|transfer|resolve).*artifact|Could not resolve dependencies|was not found in`), "Maven could not get an artifact: check its coordinates, or name a mirror with mirrors.maven"},
	{regexp.MustCompile(`COMPILATION ERROR|error: cannot find symbol|release version \d+ not supported|invalid target release`), "the Java source does not compile: see the lines above"},
	{regexp.MustCompile(`no jar with a Main-Class`), "say in pom.xml which class starts the program (maven-jar-plugin: archive/manifest/mainClass)"},
	{regexp.MustCompile(`several jars can be started`), "naru push -b maven,jar=PATH"},
	{regexp.MustCompile(`(?i)pull access denied|manifest unknown|insufficient_scope|failed to resolve source metadata`), "an image could not be had: check its name, naru credentials set HOST for private ones, mirrors.registries for unreachable ones"},
	{regexp.MustCompile(`(?i)permission denied|EACCES`), "builds run as user 1000 and may write in /app, /home/app and /tmp only"},
	{regexp.MustCompile(`sh: \d+: .*: not found|command not found|executable file not found`), "the foundation has no such program: use a package of your language's manager, or a Dockerfile"},
}

// exitKilled is what a shell says of a command that the kernel killed.
const exitKilled = 137

func hintFor(output string, exit int) string {
	for _, h := range hints {
		if h.pattern.MatchString(output) {
			return h.try
		}
	}
	if exit == exitKilled {
		return "the command was killed, most likely for its memory: raise build.memory"
	}
	return ""
}
