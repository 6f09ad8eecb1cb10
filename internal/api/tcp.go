package api

import (
	"net"
	"net/url"
	"strconv"

	"naru/internal/client"
	"naru/internal/route"
)

// streamURL is where connections of a TCP route go; gateway is nil where nobody
// knows the gateway's address.
func (c Config) streamURL(r route.Route, gateway *url.URL) string {
	if r.TCP.Port > 0 {
		return "tcp://" + net.JoinHostPort(c.AppsDomain, strconv.Itoa(r.TCP.Port))
	}
	port := "443"
	if gateway != nil && gateway.Port() != "" {
		port = gateway.Port()
	}
	return "tls://" + net.JoinHostPort(r.Host, port)
}

func tcpOf(t *route.TCP) *client.TCP {
	if t == nil {
		return nil
	}
	return &client.TCP{
		Port: t.Port, Proxy: string(t.Proxy), Connections: t.Connections,
		Connect: client.Duration(t.Timeouts.Connect), Idle: client.Duration(t.Timeouts.Idle),
	}
}
