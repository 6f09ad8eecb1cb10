package config

import (
	"fmt"
	"time"
)

// SSH bounds the door through which people get into instances.
type SSH struct {
	Address     string        `key:"address" doc:"HOST:PORT at which clients are told to connect; empty means that of listen.ssh, with the name the client used where that is every address"`
	Connections int           `key:"connections" doc:"most connections at once"`
	PerAddress  int           `key:"connections_per_address" doc:"most of them from one address (IPv6: one /64)"`
	Channels    int           `key:"channels" doc:"most commands and forwarded connections at once on one connection"`
	Tries       int           `key:"tries" doc:"passwords that a client may try on one connection"`
	Login       time.Duration `key:"login_timeout" doc:"time in which a client must have been let in"`
	Idle        time.Duration `key:"idle_timeout" doc:"silence on all channels after which a connection ends"`
	Code        time.Duration `key:"code_lifetime" doc:"how long the one-time code that is the password can be used"`
}

func defaultSSH() SSH {
	return SSH{Connections: 100, PerAddress: 20, Channels: 32, Tries: 3, Login: 30 * time.Second, Idle: time.Hour, Code: 2 * time.Minute}
}

func (s SSH) complaint() error {
	if s.Address == "" {
		return nil
	}
	if err := hostPort("ssh.address", s.Address); err != nil {
		return fmt.Errorf("%w", err)
	}
	return nil
}
