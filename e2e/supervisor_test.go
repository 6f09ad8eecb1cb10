package e2e

import "testing"

// kill -9 of naru up leaves instances running and traffic flowing; the next
// naru up finds them again.
func TestSupervisorDies(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.admin.do(t, "push", "steady", "--path", probe(t))
	address := p.asks(t, "steady", "/address")
	seen := p.watch(t, "steady")
	if err := p.up.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	p.says(t, "steady", "/", "probe")
	p.run(t)
	if now := p.asks(t, "steady", "/address"); now != address {
		t.Errorf("the instance was replaced: it was at %s and is at %s", address, now)
	}
	p.admin.do(t, "scale", "steady", "2")
	p.reaches(t, p.admin, "steady", 2)
	seen.flawless(t)
	p.admin.do(t, "delete", "steady", "--yes")
}
