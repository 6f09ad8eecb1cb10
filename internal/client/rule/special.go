package rule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"naru/internal/client"
	"naru/internal/fault"
)

// gone takes away all at a path.
func gone(path string) func(*Change, string) error {
	return func(c *Change, _ string) error {
		c.put(path, "", nil)
		return nil
	}
}

// setOn makes an object that says all by being there.
func setOn(path string) func(*Change, string, string) error {
	return func(c *Change, _, value string) error {
		if _, err := yes(value); err != nil {
			return err
		}
		c.put(path, "", map[string]any{})
		return nil
	}
}

func setMaintenance(c *Change, _, value string) error {
	if value == "on" || value == "true" {
		c.put("policy.maintenance.message", "", nil)
		return nil
	}
	c.put("policy.maintenance.message", "", value)
	return nil
}

// passwordAsked: what is on a command line or in a manifest is no secret.
func passwordAsked(*Change, string, string) error {
	return fault.New(fault.Invalid, "auth.user", "a password cannot be written here").
		WithTry("naru route set HOST auth.user=NAME asks for it")
}

func passwordShown(*Change, string, string) error {
	return fault.New(fault.Invalid, "auth.user", "a password on a command line is seen by others").
		WithTry("naru route set HOST auth.user=NAME asks for it")
}

func dropUser(c *Change, name string) error {
	c.put("policy.auth.users."+name, name, nil)
	return nil
}

func setSticky(c *Change, _, value string) error {
	kind, name, hasName := strings.Cut(value, ":")
	switch {
	case (value == "cookie" || value == "on" || value == "true"):
		c.put("policy.sticky.cookie", "", nil)
		c.put("policy.sticky.header", "", nil)
	case kind == "cookie" && hasName:
		c.put("policy.sticky.cookie", "", name)
		c.put("policy.sticky.header", "", nil)
	case kind == "header" && name != "":
		c.put("policy.sticky.cookie", "", nil)
		c.put("policy.sticky.max_age", "", nil)
		c.put("policy.sticky.header", "", name)
	default:
		return fmt.Errorf("%q is none of cookie, cookie:NAME, header:NAME", value)
	}
	return nil
}

// setRetries counts what comes after the first try; the table counts tries. Off
// is never, and not as often as the gateway would by itself.
func setRetries(c *Change, _, value string) error {
	if value == "off" || value == "false" {
		value = "0"
	}
	n, err := number(value)
	if err != nil {
		return err
	}
	c.put("policy.retries.attempts", "", n.(int64)+1)
	return nil
}

// by is what a rate counts by.
func by(kind, name string) string { return kind + name }

func setRate(kind string) func(*Change, string, string) error {
	return func(c *Change, name, value string) error {
		r, err := rate(value)
		if err != nil {
			return err
		}
		r.By = by(kind, name)
		c.rates = append(without(c.rates, r.By), r)
		c.put("policy.rates", "", c.rates)
		return nil
	}
}

func dropRate(kind string) func(*Change, string) error {
	return func(c *Change, name string) error {
		c.rates = without(c.rates, by(kind, name))
		if len(c.rates) == 0 {
			c.put("policy.rates", "", nil)
			return nil
		}
		c.put("policy.rates", "", c.rates)
		return nil
	}
}

func without(rates []client.Rate, by string) []client.Rate {
	return slices.DeleteFunc(slices.Clone(rates), func(r client.Rate) bool { return r.By == by || by == "" && r.By == "route" })
}

// rate reads 100/s, 100/30s and 100/s,burst=200.
func rate(value string) (r client.Rate, err error) {
	wrong := fmt.Errorf("%q is not a rate such as 100/s, 1000/m or 100/s,burst=200", value)
	many, burst, hasBurst := strings.Cut(value, ",")
	if hasBurst {
		digits, ok := strings.CutPrefix(strings.TrimSpace(burst), "burst=")
		n, err := number(digits)
		if !ok || err != nil {
			return r, wrong
		}
		r.Burst = int(n.(int64))
	}
	digits, per, hasPer := strings.Cut(many, "/")
	if r.Requests, err = strconv.ParseFloat(digits, 64); err != nil || !(r.Requests > 0) || strings.Trim(digits, "0123456789.") != "" {
		return r, wrong
	}
	if !hasPer {
		return r, nil
	}
	if strings.Trim(per, "smhd") == "" && per != "ms" { // 100/m is 100 a minute
		per = "1" + per
	}
	d, err := span(per)
	if err != nil || d == 0 {
		return r, wrong
	}
	if d != time.Second {
		r.Per = client.Duration(d)
	}
	return r, nil
}

func rateText(r client.Rate) string {
	per := spanText(time.Duration(r.Per))
	if r.Per == 0 {
		per = "1s"
	}
	if len(per) == 2 && per[0] == '1' {
		per = per[1:]
	}
	out := float(r.Requests) + "/" + per
	if r.Burst > 0 {
		out += fmt.Sprintf(",burst=%d", r.Burst)
	}
	return out
}

// The parts of a fault.
const (
	faultDelay  = "delay"
	faultAbort  = "abort"
	faultShare  = "share"
	faultHeader = "header"
	faultCookie = "cookie"
)

// trouble is the one fault that keys can speak of.
func (c *Change) trouble() (*client.Trouble, error) {
	switch len(c.troubles) {
	case 0:
		c.troubles = []client.Trouble{{}}
	case 1:
	default:
		return nil, fault.New(fault.Invalid, "fault", "the route has %d faults; keys can change only one", len(c.troubles)).
			WithTry("change them in a file: naru route HOST --json, then naru route set HOST --file FILE")
	}
	return &c.troubles[0], nil
}

func setFault(part string) func(*Change, string, string) error {
	return func(c *Change, _, value string) error {
		f, err := c.trouble()
		if err != nil {
			return err
		}
		switch part {
		case faultDelay:
			d, err := span(value)
			if err != nil {
				return err
			}
			f.Delay = client.Duration(d)
		case faultAbort:
			n, err := number(value)
			if err != nil {
				return err
			}
			f.Abort = int(n.(int64))
		case faultShare:
			x, err := share(value)
			if err != nil {
				return err
			}
			f.Share = x.(float64)
		case faultHeader, faultCookie:
			name, value, _ := strings.Cut(value, "=")
			f.Match = &client.Match{Header: name, Value: value}
			if part == faultCookie {
				f.Match = &client.Match{Cookie: name, Value: value}
			}
		}
		c.put("policy.faults", "", c.troubles)
		return nil
	}
}

func dropFault(part string) func(*Change, string) error {
	return func(c *Change, _ string) error {
		f, err := c.trouble()
		if err != nil {
			return err
		}
		switch part {
		case faultDelay:
			f.Delay = 0
		case faultAbort:
			f.Abort = 0
		case faultShare:
			f.Share = 0
		default:
			f.Match = nil
		}
		if f.Delay == 0 && f.Abort == 0 {
			c.troubles = nil
			c.put("policy.faults", "", nil)
			return nil
		}
		c.put("policy.faults", "", c.troubles)
		return nil
	}
}
