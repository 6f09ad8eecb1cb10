package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"naru/internal/route/gateway"
)

// helperEnv makes the test binary a gateway process that serves the named table
// on the socket it inherited as descriptor 3, as the supervisor starts them.
const helperEnv = "NARU_TEST_GATEWAY_TABLE"

func TestMain(m *testing.M) {
	if table := os.Getenv(helperEnv); table != "" {
		if err := helper(table); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func helper(table string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ln, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	g, err := gateway.New(gateway.Config{TableFile: table}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	fmt.Println("ready") // the socket queues connections from before this already
	return g.Run(ctx, []net.Listener{ln})
}

// process is a gateway in a process of its own.
type process struct {
	*exec.Cmd
	done chan error
}

// spawn starts a gateway process on a held socket and waits until it serves.
func spawn(t testing.TB, table string, socket *os.File) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+table)
	cmd.ExtraFiles = []*os.File{socket}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	p := &process{cmd, make(chan error, 1)}
	line := make([]byte, 6)
	_, err = out.Read(line)
	must(t, err)
	go func() { p.done <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return p
}
