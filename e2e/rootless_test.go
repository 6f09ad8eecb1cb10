package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Somebody who is not root gets a platform that runs images as processes, and is
// told what it cannot do.
func TestWithoutRoot(t *testing.T) {
	const nobody = 65500
	p := prepare(t)
	for _, dir := range []string{"home", "data", "run"} {
		if err := os.Mkdir(filepath.Join(p.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(p.dir, dir), nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	p.as = &syscall.Credential{Uid: nobody, Gid: nobody}
	p.settings = append(p.settings, "HOME="+filepath.Join(p.dir, "home"), "NARU_RUN_DIR="+filepath.Join(p.dir, "run"),
		"NARU_RESERVE_DISK_PERCENT=0") // the rest of the disk may be root's
	p.begin(t)
	for _, want := range []string{"not isolated", "sudo naru up", "nothing can be built here"} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("naru up does not say %q:\n%s", want, p.out)
		}
	}
	p.admin.refused(t, []string{"push", "site", "--path", "../examples/static"}, "nothing can be built on a platform without root", "sudo naru up", "--image")
}
