package cli_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"naru/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"naru": naru})
}

// naru is the program as cmd/naru makes it, without the roles of the server.
func naru() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(cli.Run(ctx, cli.World{Args: os.Args[1:], Getenv: os.Getenv, In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}

// The scripts are the command line as people use it, each on a platform of its
// own. What they print is compared where it does not change from run to run.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		UpdateScripts:       os.Getenv("NARU_UPDATE") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			p := newPlatform(env.T().(testing.TB))
			env.Values["platform"] = p
			env.Setenv("SERVER", p.url())
			env.Setenv("NARU_HOME", env.WorkDir+"/.naru")
			env.Setenv("PASSWORD", password)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"login":    login,
			"code":     code,
			"app-says": appSays,
			"dns":      setDNS,
		},
	})
}

// login: the script's commands are logged in as the admin.
func login(ts *testscript.TestScript, _ bool, _ []string) {
	p := ts.Value("platform").(*platform)
	out, err := inside(p, strings.NewReader(password), ts.Getenv("NARU_HOME"), "login", p.url(), "--user", "admin", "--password-stdin")
	if err != 0 {
		ts.Fatalf("login: %s", out)
	}
}

// code N NARU-ARGS...: the command ends with the exit code N.
func code(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: code N ARGS...")
	}
	err := ts.Exec("naru", args[1:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("naru %s ended with %s, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// app-says APP LINE: a line comes into the app's log.
func appSays(ts *testscript.TestScript, _ bool, args []string) {
	ts.Value("platform").(*platform).say(args[0], strings.Join(args[1:], " "))
}

// dns RECORDS...: DNS has these.
func setDNS(ts *testscript.TestScript, _ bool, args []string) {
	p := ts.Value("platform").(*platform)
	p.names.Set(p.t, args...)
}

// inside is one command in this process.
func inside(p *platform, in io.Reader, home string, args ...string) (string, int) {
	var out bytes.Buffer
	end := cli.Run(p.t.Context(), cli.World{Args: args, Dir: home, In: in, Out: &out, Err: &out, Getenv: func(name string) string {
		return map[string]string{"NARU_HOME": home}[name]
	}})
	return out.String(), end
}
