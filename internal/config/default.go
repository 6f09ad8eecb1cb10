package config

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Default returns the configuration of a machine where nothing was said. uid
// is the user's number (0 is root; -1 where there are none), getenv gives XDG
// folders and proxies.
func Default(uid int, getenv func(string) string) Config {
	c := Config{
		Listen: Listen{
			API:      "127.0.0.1:7070",
			Registry: "127.0.0.1:7071",
			Apps:     "127.0.0.1:8080",
		},
		AppsDomain: "localhost",
		Driver:     Auto,
		LogLevel:   "info",
		Gateway: Gateway{
			HeaderBytes:   64 * KiB,
			HeaderTimeout: 10 * time.Second,
			IdleTimeout:   75 * time.Second,
			DrainTimeout:  30 * time.Second,
			DrainUpgrade:  5 * time.Minute,
			TCPIdle:       time.Hour,
			Connections:   20_000,
			PerAddress:    10_000,
			EmptyFrames:   1000,
			BodyRate:      100,
			AccessLog:     AccessLog{Format: "off", Sample: 1, Bytes: 128 * MiB},
		},
		Upload: Upload{Bytes: GiB, Unpacked: 4 * GiB, Files: 200_000},
		Bake:   Bake{Release: 4 * MiB, Index: 256 * MiB, Package: 1 * GiB, Total: 4 * GiB, Unpacked: 8 * GiB, Cache: 20 * GiB},
		Build: Build{
			Timeout:  30 * time.Minute,
			Memory:   2 * GiB,
			CPU:      2,
			Parallel: 2,
			Cache:    10 * GiB,
			LogBytes: 16 * MiB,
		},
		Instance: Instance{
			Memory:       256 * MiB,
			Disk:         GiB,
			CPU:          1,
			Pids:         512,
			Max:          500,
			StartTimeout: time.Minute,
			StopTimeout:  10 * time.Second,
			Starts:       4,
			TaskTimeout:  24 * time.Hour,
		},
		// 1 MB/s for a minute without a control plane is the promise; the
		// spool holds twice that.
		Logs:     Logs{Spool: 128 * MiB, Rate: 8 * MiB, AppRate: 32 * MiB, LineBytes: 64 * KiB, Days: 7, Bytes: 10 * GiB, Search: 10 * GiB, Process: 16 * MiB, Drains: 10, DrainTimeout: 10 * time.Second},
		Services: Services{Max: 1000},
		// 28 days are what an objective looks back at, and then some.
		Metrics: Metrics{
			Interval: 15 * time.Second, Retention: 35 * 24 * time.Hour, Bytes: 4 * GiB, OutOfOrder: time.Hour, Series: 200_000, SeriesPerApp: 10_000, ScrapeBytes: 4 * MiB,
			QuerySamples: 5_000_000, QueryTimeout: 30 * time.Second, Queries: 4,
			RemoteWrite: RemoteWrite{Batch: 2000, Delay: 30 * time.Second, Timeout: 30 * time.Second},
		},
		Traces: Traces{
			Sample: 0.05, First: 5, Days: 7, Bytes: 10 * GiB, Rate: 5000, SpanBytes: 64 * KiB, Attributes: 128, ValueBytes: 4 * KiB, SpansPerTrace: 10_000,
			Ahead: 10 * time.Minute, Search: GiB, BodyBytes: 16 * MiB, Port: 4318,
		},
		Objectives: Objectives{Journeys: 50, Probes: 32},
		Keep:       Keep{Releases: 20},
		Alerts:     Alerts{Interval: 15 * time.Second, Wait: 30 * time.Second, News: 5 * time.Minute, Repeat: 4 * time.Hour, Receivers: 50, Silences: 200, Deliveries: 10_000},
		Mail:       Mail{Security: "starttls"},
		ACME:       ACME{Directory: "https://acme-v02.api.letsencrypt.org/directory", DNS: ACMEDNS{Algorithm: "hmac-sha256"}},
		Domains:    Domains{Check: "auto", Timeout: 5 * time.Second},
		SSH:        defaultSSH(),
		Rollout:    Rollout{Strategy: "rolling", Watch: 5 * time.Minute, Second: "queue", Patience: 10 * time.Minute, Unsure: "promote", Longest: 10 * time.Minute, FalseAlarms: 0.01},
		Reserve:    Reserve{MemoryPercent: 10, MemoryOvercommit: 1, DiskPercent: 10},
		Tokens:     Tokens{Access: 10 * time.Minute, Refresh: 30 * 24 * time.Hour},
		Proxy: Proxy{
			HTTP:  either(getenv, "HTTP_PROXY", "http_proxy"),
			HTTPS: either(getenv, "HTTPS_PROXY", "https_proxy"),
			No:    either(getenv, "NO_PROXY", "no_proxy"),
		},
	}
	c.DataDir = dataDir(uid, getenv)
	return c
}

func dataDir(uid int, getenv func(string) string) string {
	if uid == 0 {
		return "/var/lib/naru"
	}
	if dir := getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "naru")
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "share", "naru")
	}
	return ""
}

// resolved follows the links in the part of a path that exists, so that a
// folder has one name, before and after it is made.
func resolved(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	parent := filepath.Dir(dir)
	if parent == dir {
		return dir
	}
	return filepath.Join(resolved(parent), filepath.Base(dir))
}

// runDir is short whatever the data folder is called, because the path of a
// socket is limited to 108 bytes.
func runDir(c Config, uid int, getenv func(string) string) string {
	switch {
	case uid == 0:
		return filepath.Join("/run/naru", c.Hash())
	case filepath.IsAbs(getenv("XDG_RUNTIME_DIR")):
		return filepath.Join(getenv("XDG_RUNTIME_DIR"), "naru", c.Hash())
	default:
		return filepath.Join("/tmp", "naru-"+strconv.Itoa(uid), c.Hash())
	}
}

func hash(dir string) string {
	sum := sha256.Sum256([]byte(filepath.Clean(dir)))
	return hex.EncodeToString(sum[:4])
}

func engineSocket(e Engine, own string) string {
	if e.Address == "" {
		return own
	}
	return strings.TrimPrefix(e.Address, "unix://")
}

func either(getenv func(string) string, names ...string) string {
	for _, name := range names {
		if v := getenv(name); v != "" {
			return v
		}
	}
	return ""
}
