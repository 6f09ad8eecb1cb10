package cli

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"naru/internal/client"
	"naru/internal/fault"
)

// tcpFlags make a route one of connections.
type tcpFlags struct {
	tcp           bool
	sni, proxy    string
	appPort, most int
	connect, idle time.Duration
}

func (f *tcpFlags) register(fl *pflag.FlagSet) {
	fl.BoolVar(&f.tcp, "tcp", false, "connections to a port of the gateway, of any protocol")
	fl.StringVar(&f.sni, "sni", "", "connections to the gateway's TLS address that ask for this host, which the app decrypts itself")
	fl.IntVar(&f.appPort, "app-port", 0, "with --tcp or --sni: port at which the app answers (default: the port of the process)")
	fl.StringVar(&f.proxy, "proxy", "", "with --tcp or --sni: send the app a PROXY header first, v1 or v2, which says whose connection it is")
	fl.DurationVar(&f.connect, "connect", 0, "with --tcp or --sni: time in which an instance must accept (default: the gateway's own)")
	fl.DurationVar(&f.idle, "idle", 0, "with --tcp or --sni: silence after which a connection ends (default: the gateway's own)")
	fl.IntVar(&f.most, "connections", 0, "with --tcp or --sni: most connections at once (default: the gateway's own limit)")
}

// into writes what is asked for into a new route; rest is what stands behind the
// app.
func (f *tcpFlags) into(cc *cobra.Command, in *client.NewRoute, rest []string) (err error) {
	if !f.tcp && f.sni == "" {
		for _, name := range []string{"app-port", "proxy", "connect", "idle", "connections"} {
			if cc.Flags().Changed(name) {
				return misused(cc, "--%s goes with --tcp or --sni", name)
			}
		}
		if len(rest) == 0 {
			return misused(cc, "%s needs HOST[/PATH]", cc.CommandPath())
		}
		in.Host, in.Path, err = hostAndPath(rest[0])
		return err
	}
	switch {
	case f.tcp && f.sni != "":
		return misused(cc, "--tcp and --sni are two kinds of routes")
	case len(rest) > 0:
		return misused(cc, "--tcp and --sni take no HOST[/PATH]: connections have none; --sni HOST names one")
	case in.Protocol != "":
		return misused(cc, "--protocol is about requests; connections are passed on as they are")
	case f.proxy != "" && f.proxy != "v1" && f.proxy != "v2":
		return fault.New(fault.Invalid, "--proxy", "%q is no version of the PROXY protocol", f.proxy).WithTry("--proxy v1, or --proxy v2")
	case f.connect < 0 || f.idle < 0:
		return fault.New(fault.Invalid, "--idle", "a time must not be negative").WithTry("--idle 30m")
	}
	tcp := client.TCP{Proxy: f.proxy, Connect: client.Duration(f.connect), Idle: client.Duration(f.idle), Connections: f.most}
	if f.tcp {
		tcp.Port, in.Port = in.Port, 0
	} else if in.Port != 0 {
		return misused(cc, "--port is the gateway's, of --tcp; the app's is --app-port")
	}
	in.Host, in.Port, in.TCP = f.sni, f.appPort, &tcp
	return nil
}

// tcpName is the name of a TCP route, as it is listed or as it was copied from its
// URL; ok tells whether it is one.
func tcpName(ctx context.Context, cl *client.Client, text string) (name string, ok bool, err error) {
	if u, perr := url.Parse(text); perr == nil && u.Host != "" && (u.Scheme == "tcp" || u.Scheme == "tls") {
		if text = "sni:" + u.Hostname(); u.Scheme == "tcp" {
			text = "tcp:" + u.Port()
		}
	}
	if strings.HasPrefix(text, "tcp:") {
		return text, true, nil
	}
	host, ok := strings.CutPrefix(text, "sni:")
	if !ok {
		return "", false, nil
	}
	host, err = wholeHost(ctx, cl, host)
	return "sni:" + host, true, err
}

// tcpWords says what a TCP route asks of the gateway.
func tcpWords(t *client.TCP) string {
	var words []string
	if t.Proxy != "" {
		words = append(words, "instances are sent a PROXY header "+t.Proxy)
	}
	if t.Connect > 0 {
		words = append(words, "an instance has "+t.Connect.String()+" to accept")
	}
	if t.Idle > 0 {
		words = append(words, t.Idle.String()+" of silence end a connection")
	}
	if t.Connections > 0 {
		words = append(words, "at most "+strconv.Itoa(t.Connections)+" connections at once")
	}
	if len(words) == 0 {
		return "connections are passed on as they are"
	}
	return strings.Join(words, ", ")
}
