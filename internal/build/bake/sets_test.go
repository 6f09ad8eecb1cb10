package bake_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"naru/internal/build/bake"
)

var allSets = flag.Bool("sets.all", false, "bake and run every set of programs, not only the first two: some minutes")

// sets are wishes of the comparison with apt, and a program of each to run. Not
// among them: exim4, which refuses even to print its version without the user
// that its script would have made.
var sets = []struct{ packages, run, says string }{
	{"nginx", "nginx -v 2>&1", "nginx version"},
	{"php-cli composer", "php -r 'echo PHP_VERSION;'", "8."},
	{"postgresql", "/usr/lib/postgresql/17/bin/postgres --version", "PostgreSQL"},
	{"git openssh-client", "git --version; ssh -V 2>&1", "OpenSSH"},
	{"nodejs ca-certificates tini", "node -p process.version", "v20"},
	{"python3 python3-venv python3-pip", "python3 -m pip --version", "pip"},
	{"openjdk-21-jdk-headless maven", "mvn --version", "Apache Maven"},
	{"golang-go", "go version", "go1."},
	{"build-essential", "gcc --version; dpkg --version", "gcc"},
	{"mariadb-server", "mariadbd --version", "MariaDB"},
	{"redis-server", "redis-server --version", "Redis"},
	{"apache2 libapache2-mod-php", "apache2 -v", "Apache/2"},
	{"curl wget jq", "jq -n 6*7; curl --version; wget --version", "42"},
	{"ruby-full bundler", "ruby -e 'puts 6*7'; bundle --version", "42"},
	{"perl libdbd-pg-perl", "perl -MDBI -e 'print DBI->VERSION, 6*7'", "42"},
	{"texlive-latex-base", "pdftex --version", "pdfTeX"},
	{"libreoffice-writer", "ls /usr/lib/libreoffice/program/soffice.bin", "soffice.bin"},
	{"emacs-nox", "emacs --version", "GNU Emacs"},
	{"imagemagick ffmpeg", "ffmpeg -version && identify-im7.q16 -version", "ImageMagick"},
	{"mutt", "mutt -v", "Mutt"},
	{"systemd dbus network-manager", "systemctl --version", "systemd"},
	{"npm", "npm --version", "."},
	{"rabbitmq-server", "erl -noshell -eval 'io:format(\"~p\", [6*7]), halt().'", "42"},
	{"gdal-bin python3-gdal", "gdalinfo --version", "GDAL"},
	{"docker.io containerd", "docker --version; containerd --version", "containerd"},
	{"postfix", "postconf -d mail_version", "mail_version"},
	{"cmake ninja-build clang", "cmake --version; clang --version", "clang version"},
	{"rustc cargo", "rustc --version; cargo --version", "cargo 1"},
	{"r-base", "Rscript -e 'cat(6*7)'", "42"},
	{"octave", "octave-cli --eval 'disp(6*7)'", "42"},
}

// TestSetsRun bakes sets of programs and runs one of each: what the resolver
// chose and the settling made has to be enough to work with.
func TestSetsRun(t *testing.T) {
	needMirror(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root for chroot, to run the programs of an image")
	}
	b := baker(t, t.TempDir())
	for i, set := range sets {
		if i >= 2 && !*allSets {
			break
		}
		t.Run(set.packages, func(t *testing.T) {
			spec, err := bake.ParseSpec("set.yaml", fmt.Appendf(nil, "foundation: set\nfrom: {distribution: trixie}\npackages: [%s]\n",
				strings.ReplaceAll(set.packages, " ", ", ")))
			if err != nil {
				t.Fatal(err)
			}
			res, err := b.Bake(t.Context(), spec, bake.Options{})
			if err != nil {
				t.Fatal(err)
			}
			out, err := inside(t, extract(t, res.Image), set.run)
			if err != nil || !strings.Contains(out, set.says) {
				t.Errorf("%s: %v, want %q in\n%.600s", set.run, err, set.says, out)
			}
		})
	}
}
