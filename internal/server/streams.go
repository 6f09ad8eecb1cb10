package server

import (
	"net"
	"strconv"

	"naru/internal/config"
	"naru/internal/route"
)

// streamURL says where connections of a TCP route go.
func streamURL(c config.Config) func(route.Route) string {
	return func(r route.Route) string {
		if r.TCP.Port > 0 {
			return "tcp://" + net.JoinHostPort(c.AppsDomain, strconv.Itoa(r.TCP.Port))
		}
		_, port, err := net.SplitHostPort(c.Listen.AppsTLS)
		if err != nil {
			port = "443"
		}
		return "tls://" + net.JoinHostPort(r.Host, port)
	}
}
