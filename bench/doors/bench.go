package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"naru/internal/client"
)

// bench is a platform and what is done to it.
type bench struct {
	apps, naru, source string
	pid, rounds        int
	where              bool

	folder string // a copy of the source, which is changed
	edits  int
	at     *client.Client
	own    door
	cf     door
}

// door is a way to push.
type door struct {
	name, app string
	*tap
	push func(ctx context.Context, app, folder string) error
}

// measure is the story: both doors are opened, each app is pushed once so that it
// is there, and then rounds of changed and unchanged pushes through both in turn.
func (b *bench) measure(ctx context.Context, api, cf, program string) error {
	home, err := os.MkdirTemp("", "doors-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	b.folder = filepath.Join(home, "app")
	if err := os.CopyFS(b.folder, os.DirFS(b.source)); err != nil {
		return err
	}
	if err := b.open(ctx, api, cf, program, home); err != nil {
		return err
	}
	for _, d := range []door{b.own, b.cf} {
		if err := d.push(ctx, d.app, b.folder); err != nil {
			return fmt.Errorf("first push, %s: %w", d.name, err)
		}
		if err := b.rest(ctx); err != nil {
			return err
		}
	}
	var changed, same table
	for round := range b.rounds {
		for i := range 2 {
			d := b.own
			if (round+i)%2 == 1 {
				d = b.cf
			}
			if err := b.edit(); err != nil {
				return err
			}
			for _, t := range []*table{&changed, &same} {
				p, err := b.once(ctx, d)
				if err != nil {
					return fmt.Errorf("round %d, %s: %w", round+1, d.name, err)
				}
				t.add(d.name == b.cf.name, p)
			}
		}
	}
	how := "its requests played, as v9 sends them"
	if program != "" {
		how = "the client itself, " + program
	}
	fmt.Printf("naru push by its client; cf push: %s. %d rounds, load now %s\n", how, b.rounds, load())
	fmt.Println("From the first request until the gateway is answered by a new instance; what clients take for themselves is subtracted, and their pauses of 3 s")
	fmt.Println("between two looks are not made: the tap looks each 10 ms (at instances each 200 ms). Processor: the control plane's, until then.")
	changed.print("one file changed")
	same.print("nothing changed")
	if b.where {
		changed.printWhere("one file changed")
		same.printWhere("nothing changed")
	}
	return nil
}

// open logs in at both doors, through their taps.
func (b *bench) open(ctx context.Context, api, cf, program, home string) error {
	token, err := b.token(ctx)
	if err != nil {
		return err
	}
	if b.at, err = client.New(api, client.Options{Session: client.Static(token)}); err != nil {
		return err
	}
	b.own, b.cf = door{name: "naru push", app: "bench-own"}, door{name: "cf push", app: "bench-cf"}
	if b.own.tap, err = newTap(ctx, api); err != nil {
		return err
	}
	if b.cf.tap, err = newTap(ctx, cf); err != nil {
		return err
	}
	b.own.push = func(ctx context.Context, app, folder string) error {
		return command(ctx, []string{"NARU_SERVER=" + b.own.url, "NARU_TOKEN=" + token, "NARU_ORG=default", "NARU_SPACE=dev"}, b.naru, "push", app, "--path", folder)
	}
	if program == "" {
		p := &played{url: b.cf.url}
		b.cf.push = p.push
		return p.login(ctx, token)
	}
	env := []string{"CF_HOME=" + home, "CF_COLOR=false"}
	b.cf.push = func(ctx context.Context, app, folder string) error {
		return command(ctx, env, program, "push", app, "-p", folder)
	}
	for _, args := range [][]string{{"api", b.cf.url}, {"auth", "admin", token}, {"target", "-o", "default", "-s", "dev"}} {
		if err := command(ctx, env, program, args...); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) token(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, b.naru, "tokens", "create", fmt.Sprint("doors-", time.Now().Unix()), "--json").Output()
	if err != nil {
		return "", fmt.Errorf("make a token: %w", err)
	}
	var made struct {
		Token string `json:"token"`
	}
	return made.Token, json.Unmarshal(out, &made)
}

func command(ctx context.Context, env []string, program string, args ...string) error {
	c := exec.CommandContext(ctx, program, args...)
	var out bytes.Buffer
	c.Env, c.Stdout, c.Stderr = append(os.Environ(), env...), &out, &out
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), args[0], err, out.String())
	}
	return nil
}

// edit changes one file.
func (b *bench) edit() error {
	name := filepath.Join(b.folder, "server.js")
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	b.edits++
	kept, _, _ := strings.Cut(string(text), "\n// edit ")
	return os.WriteFile(name, []byte(kept+fmt.Sprintf("\n// edit %d of %d\n", b.edits, time.Now().UnixNano())), 0o644)
}

// rest waits until the platform has nothing more to do.
func (b *bench) rest(ctx context.Context) error {
	for {
		busy := 0
		for _, state := range []string{client.OperationQueued, client.OperationRunning} {
			ops, err := b.at.Operations(ctx, client.OperationQuery{State: state})
			if err != nil {
				return err
			}
			busy += len(ops.Items)
		}
		wait := 100 * time.Millisecond
		if busy == 0 {
			wait = time.Second // what ran before stops
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		if busy == 0 {
			return nil
		}
	}
}

// once pushes through a door and returns what that took.
func (b *bench) once(ctx context.Context, d door) (push, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	before := b.instance(ctx, d.app)
	d.taken()
	type end struct {
		at  time.Time
		cpu time.Duration
		err error
	}
	served := make(chan end, 1)
	cpu := processor(b.pid)
	go func() {
		at, err := b.another(ctx, d.app, before)
		served <- end{at, processor(b.pid), err}
	}()
	err := d.push(ctx, d.app, b.folder)
	if err != nil {
		return push{}, err
	}
	e := <-served
	if e.err != nil {
		return push{}, fmt.Errorf("no new instance answers: %w", e.err)
	}
	p := push{sent: d.taken(), served: e.at, cpu: e.cpu - cpu}
	if err := b.rest(ctx); err != nil {
		return p, err
	}
	p.begun, err = b.begun(ctx)
	return p, err
}

// begun is when the last operation had its image and its release, and began to bring
// what runs: from there on both doors take the same way.
func (b *bench) begun(ctx context.Context) (time.Time, error) {
	ops, err := b.at.Operations(ctx, client.OperationQuery{})
	if err != nil || len(ops.Items) == 0 {
		return time.Time{}, fmt.Errorf("%d operations: %w", len(ops.Items), err)
	}
	for line, err := range b.at.Progress(ctx, ops.Items[0].ID, 0) {
		if err != nil {
			return time.Time{}, err
		}
		if line.Step == "run" && line.Status == client.StepStarted {
			return line.Time, nil
		}
	}
	return time.Time{}, fmt.Errorf("operation %s %s ran nothing", ops.Items[0].Kind, ops.Items[0].ID)
}
