package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Processes are killed at random while an app is visited and changed. A seed
// that failed is tried again with NARU_E2E_SEED.
func TestRandomKills(t *testing.T) {
	slow(t)
	p := start(t)
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("NARU_E2E_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed: NARU_E2E_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := copied(t, "../examples/static")
	p.admin.do(t, "push", "random", "--path", dir)
	p.admin.do(t, "scale", "random", "2")
	seen := p.watch(t, "random")
	victims := [][]string{{"naru", "server"}, {"naru", "gateway"}, {"containerd"}}
	gateways, acknowledged := 0, ""
	for round := range 10 {
		victim := victims[random.IntN(len(victims))]
		if round < len(victims) {
			victim = victims[round] // each at least once
		}
		if victim[len(victim)-1] == "gateway" {
			gateways++
		}
		failed := seen.count()
		command := p.admin.command(act(random, dir, round)...)
		out := &output{}
		command.Stdout, command.Stderr = out, out
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		aim := time.NewTimer(time.Duration(random.IntN(1500)) * time.Millisecond)
		<-aim.C
		p.kill(t, victim...)
		if err := command.Wait(); err != nil {
			t.Errorf("round %d: %s killed: naru %s: %v\n%s", round, victim, strings.Join(command.Args[1:], " "), err, out)
		}
		t.Logf("round %d: %s killed during naru %s; %d visits failed", round, strings.Join(victim, " "), strings.Join(command.Args[1:], " "), seen.count()-failed)
		if value, ok := strings.CutPrefix(command.Args[len(command.Args)-1], "A="); ok {
			acknowledged = value
		}
		if acknowledged != "" {
			mustSay(t, p.admin.do(t, "env", "random"), "A="+acknowledged, "A  "+acknowledged)
		}
	}
	seen.atMost(t, gateways)
	p.admin.do(t, "delete", "random", "--yes")
}

// act is something to do to the app.
func act(random *rand.Rand, dir string, round int) []string {
	switch random.IntN(3) {
	case 0:
		return []string{"scale", "random", strconv.Itoa(1 + random.IntN(4))}
	case 1:
		return []string{"set-env", "random", fmt.Sprint("A=", round)}
	default:
		return []string{"push", "random", "--path", dir, "--env", fmt.Sprint("A=", round)}
	}
}
