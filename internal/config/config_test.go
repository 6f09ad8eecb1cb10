package config

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"naru/internal/fault"
)

// source is a world of a user with a home, and of these variables and flags.
func source(t *testing.T, env map[string]string, flags Flags) Source {
	t.Helper()
	home := t.TempDir()
	return Source{UID: 1000, Flags: flags, Getenv: func(name string) string {
		if name == "HOME" {
			return home
		}
		return env[name]
	}}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreValid(t *testing.T) {
	for name, uid := range map[string]int{"root": 0, "user": 1000} {
		t.Run(name, func(t *testing.T) {
			src := source(t, nil, nil)
			src.UID = uid
			c, err := Load(src)
			if err != nil {
				t.Fatal(err)
			}
			if uid == 0 && (c.DataDir != "/var/lib/naru" || !strings.HasPrefix(c.RunDir, "/run/naru/")) {
				t.Errorf("folders are %s and %s", c.DataDir, c.RunDir)
			}
			if filepath.Base(c.RunDir) != c.Hash() || len(c.Hash()) != 8 {
				t.Errorf("RunDir = %s, Hash = %s", c.RunDir, c.Hash())
			}
		})
	}
}

func TestLaterSourcesWin(t *testing.T) {
	file := write(t, "log_level: warn\nbuild:\n  timeout: 5m\n  cpu: 1\nlisten:\n  apps: 127.0.0.1:81\n")
	c, err := Load(source(t,
		map[string]string{"NARU_BUILD_TIMEOUT": "6m", "NARU_BUILD_CPU": "1.5"},
		Flags{"config": file, "build.cpu": "3"}))
	if err != nil {
		t.Fatal(err)
	}
	if c.LogLevel != "warn" || c.Build.Timeout != 6*time.Minute || c.Build.CPU != 3 || c.Listen.Apps != "127.0.0.1:81" {
		t.Errorf("log_level %s, build.timeout %v, build.cpu %v, listen.apps %s", c.LogLevel, c.Build.Timeout, c.Build.CPU, c.Listen.Apps)
	}
}

func TestTheFileInTheDataFolderIsRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte("apps_domain: apps.example.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(source(t, nil, Flags{"data_dir": dir}))
	if err != nil {
		t.Fatal(err)
	}
	if c.AppsDomain != "apps.example.com" {
		t.Errorf("AppsDomain = %q", c.AppsDomain)
	}
}

func TestComplaintsNamePlaceFieldAndValue(t *testing.T) {
	for name, tc := range map[string]struct {
		file  string
		env   map[string]string
		flags Flags
		want  []string
	}{
		"unknown key with a suggestion": {
			file: "log_level: info\nlog_levle: info\n",
			want: []string{"config.yaml:2: log_levle is not a setting; did you mean log_level?"},
		},
		"unknown key inside a group": {
			file: "build:\n  cpus: 2\n",
			want: []string{"config.yaml:2: build.cpus is not a setting; did you mean build.cpu?"},
		},
		"several at once, from everywhere": {
			file:  "build:\n  timeout: soon\nupload:\n  bytes: 5 apples\n",
			env:   map[string]string{"NARU_LOGS_DAYS": "a week"},
			flags: Flags{"driver": "docker", "instance.stop_timeout": "-5s"},
			want: []string{
				`config.yaml:2: build.timeout is not a duration such as 30s or 10m (got "soon")`,
				`config.yaml:4: upload.bytes is not a size such as 512MiB or 2GiB (got "5 apples")`,
				`NARU_LOGS_DAYS: logs.days is not a whole number (got "a week")`,
				`driver: must be one of auto, containerd, process (got "docker")`,
				`instance.stop_timeout: must not be negative (got -5s)`,
			},
		},
		"not YAML":         {file: "a: [b\n", want: []string{"config.yaml: yaml: line 1"}},
		"not a mapping":    {file: "- a\n", want: []string{"config.yaml:1: the file must be a list of KEY: VALUE lines"}},
		"group with value": {file: "build: 3\n", want: []string{"config.yaml:1: build must be a list of KEY: VALUE lines"}},
		"value with group": {file: "driver:\n  a: b\n", want: []string{"config.yaml:2: driver takes one text value"}},
		"twice":            {file: "driver: auto\nlog_level: info\ndriver: process\n", want: []string{"config.yaml:3: driver is given twice, first on line 1"}},
		"no value":         {file: "build:\n  cpu:\n", want: []string{"config.yaml:2: build.cpu has no value"}},
		"zero":             {flags: Flags{"build.timeout": "0s"}, want: []string{"build.timeout: must be above zero (got 0s)"}},
		"too large for 64 bits": {flags: Flags{"upload.bytes": "99999999999TiB"},
			want: []string{`--upload-bytes: upload.bytes is out of range (got "99999999999TiB")`}},
		"address without port": {flags: Flags{"listen.api": "localhost"}, want: []string{`listen.api: must be HOST:PORT (got "localhost")`}},
		"port out of range":    {flags: Flags{"listen.api": "127.0.0.1:70000"}, want: []string{`listen.api: port must be a number from 0 to 65535 (got "70000")`}},
		"host name":            {flags: Flags{"listen.api": "example.com:80"}, want: []string{`listen.api: host must be an IP address`}},
		"same address twice": {flags: Flags{"listen.api": "127.0.0.1:8080"},
			want: []string{`listen.apps: is the same address as listen.api (got "127.0.0.1:8080")`}},
		"subnet too small":     {flags: Flags{"subnet": "10.64.0.0/24"}, want: []string{"subnet: must be an IPv4 prefix from /8 to /20 (got 10.64.0.0/24)"}},
		"subnet with host":     {flags: Flags{"subnet": "10.64.0.1/20"}, want: []string{"write 10.64.0.0/20 (got 10.64.0.1/20)"}},
		"socket path too long": {flags: Flags{"run_dir": "/" + strings.Repeat("x", 90)}, want: []string{"run_dir: must be at most 70 bytes long"}},
		"password stays hidden": {flags: Flags{"proxy.http": "ftp://me:secret@proxy"},
			want: []string{`proxy.http: must be an http or https URL (got "***@proxy")`}},
		"memory limit below default": {flags: Flags{"instance.max_memory": "100MiB"}, want: []string{"instance.max_memory: must not be below instance.memory, 256MiB (got 100MiB)"}},
		"registry mirror":            {flags: Flags{"mirrors.registries": "docker.io"}, want: []string{`mirrors.registries: must be HOST=URL (got "docker.io")`}},
		"file that is not there":     {flags: Flags{"config": "/no/such/file"}, want: []string{"the configuration file /no/such/file cannot be read"}},
	} {
		t.Run(name, func(t *testing.T) {
			flags := Flags{}
			for k, v := range tc.flags {
				flags[k] = v
			}
			if tc.file != "" {
				flags["config"] = write(t, tc.file)
			}
			_, err := Load(source(t, tc.env, flags))
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("err = %v, want an invalid fault", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error lacks %q:\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("error shows a password: %v", err)
			}
		})
	}
}

func TestEnvironSaysEverything(t *testing.T) {
	file := write(t, "listen:\n  apps_tls: 127.0.0.1:8443\nmirrors:\n  registries: [docker.io=https://mirror.example, ghcr.io=https://other.example]\nsubnet: 10.64.16.0/20\nbuild: {cpu: 1.5}\nephemeral: true\n")
	first, err := Load(source(t, map[string]string{"HTTP_PROXY": "http://proxy:3128"}, Flags{"config": file, "build.timeout": "90s"}))
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for _, pair := range first.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	second, err := Load(source(t, env, nil))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first, second) {
		t.Errorf("a child sees\n%+v, want\n%+v", second, first)
	}
}

func TestBothFlagPackagesBind(t *testing.T) {
	args := []string{"--listen-api", "127.0.0.1:1", "--ephemeral", "--build-cpu=2"}
	want := Flags{"listen.api": "127.0.0.1:1", "ephemeral": "true", "build.cpu": "2"}
	t.Run("flag", func(t *testing.T) {
		got, fs := Flags{}, flag.NewFlagSet("naru", flag.ContinueOnError)
		got.Bind(fs)
		if err := fs.Parse(args); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
	})
	t.Run("pflag", func(t *testing.T) {
		got, fs := Flags{}, pflag.NewFlagSet("naru", pflag.ContinueOnError)
		got.Bind(fs)
		if err := fs.Parse(args); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
	})
}

func TestAFolderHasOneName(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := os.Mkdir(real, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	before, err := Load(source(t, nil, Flags{"data_dir": filepath.Join(link, "data")}))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(real, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	after, err := Load(source(t, nil, Flags{"data_dir": filepath.Join(real, "data")}))
	if err != nil {
		t.Fatal(err)
	}
	if before.Hash() != after.Hash() {
		t.Errorf("hash %s before and %s after the folder was made", before.Hash(), after.Hash())
	}
}

func TestGatewayUser(t *testing.T) {
	for name, tc := range map[string]struct {
		user     string
		uid, gid int
		bad      bool
	}{
		"numbers":         {user: "1234:5678", uid: 1234, gid: 5678},
		"account":         {user: "root", uid: 0, gid: 0},
		"not a number":    {user: "a:b", bad: true},
		"negative":        {user: "-1:0", bad: true},
		"unknown account": {user: "no-such-user-here", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			uid, gid, err := Config{Gateway: Gateway{User: tc.user}}.GatewayUser()
			if (err != nil) != tc.bad || uid != tc.uid || gid != tc.gid {
				t.Errorf("GatewayUser() = %d, %d, %v", uid, gid, err)
			}
		})
	}
}

func TestBytesAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "1": "1", "1024": "1KiB", "1k": "1KiB", "512M": "512MiB", "2 GiB": "2GiB", "1536MiB": "1536MiB", "1tb": "1TiB",
	} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b.String() != want {
			t.Errorf("%q is %v, %v; want %s", text, b, err, want)
		}
	}
	for _, text := range []string{"", "x", "-1", "1.5G", "9223372036854775808", "G", "1 PiB"} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %v, want an error", text, b)
		}
	}
}
