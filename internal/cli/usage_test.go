package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// leaves are all commands that do something.
func leaves(cc *cobra.Command) (all []*cobra.Command) {
	for _, one := range cc.Commands() {
		all = append(all, leaves(one)...)
	}
	if cc.Runnable() && cc.HasParent() && cc.Annotations[isFamily] == "" {
		all = append(all, cc)
	}
	return all
}

// used runs a command line on no server and returns the exit code and what it
// says.
func used(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	home := t.TempDir()
	code := Run(t.Context(), World{Args: args, In: strings.NewReader(""), Out: &out, Err: &out, Dir: home, Getenv: func(name string) string {
		return map[string]string{"NARU_HOME": home}[name]
	}})
	return code, out.String()
}

// Every command, used wrongly in each way there is, says so in our words and
// ends with what to try.
func TestEveryUsageErrorHasAWayOut(t *testing.T) {
	root := (&cmd{world: World{Getenv: func(string) string { return "" }}}).root()
	for _, one := range leaves(root) {
		path := strings.Fields(one.CommandPath())[1:]
		t.Run(strings.Join(path, " "), func(t *testing.T) {
			wrong := map[string][]string{"an unknown flag": append(path, "--frobnicate")}
			words := strings.Fields(one.Use)[1:]
			if len(words) > 0 && !strings.HasPrefix(words[0], "[") {
				wrong["too little"] = path
			}
			if len(words) == 0 {
				wrong["too much"] = append(path, "too-much")
			}
			for name, args := range wrong {
				code, said := used(t, args...)
				if code != 2 || !strings.HasPrefix(said, "error: ") || !strings.Contains(said, "\ntry:   ") || strings.Contains(said, "[flags]") {
					t.Errorf("%s: exit code %d:\n%s", name, code, said)
				}
			}
		})
	}
}

// Every command without a login says how to get one.
func TestEveryCommandNeedsALogin(t *testing.T) {
	for _, line := range []string{
		"apps", "app x", "logs x", "stats x", "scale x 1", "start x", "stop x", "restart x", "delete x --yes", "env x", "set-env x A=1",
		"unset-env x A", "routes", "map-route x y", "unmap-route x y", "route x", "route set x https=on", "route unset x https", "run x -- y", "exec x", "tasks x", "task cancel x 1", "releases x",
		"rollback x", "operations", "operations cancel 1", "events", "builders", "foundations", "foundations show x", "target", "orgs",
		"orgs create x", "spaces", "space allow-root x", "users", "users create x", "credentials", "credentials delete x", "logout", "whoami",
		"passwd", "tokens", "tokens create x", "info", "gc", "key rotate", "push x --image y",
	} {
		code, said := used(t, strings.Fields(line)...)
		if code != 1 || said != "error: not logged in to a server\ntry:   naru login http://HOST:PORT (naru up prints the whole line)\n" {
			t.Errorf("naru %s: exit code %d:\n%s", line, code, said)
		}
	}
}
