package notify

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"naru/internal/fault"
)

// Matcher picks alerts by one label. A label that is not there has the value "".
type Matcher struct {
	Label string `json:"label"`
	Op    string `json:"op"` // =, !=, =~, !~
	Value string `json:"value"`
}

// Silence keeps people from being told of some alerts for some time.
type Silence struct {
	ID       string    `json:"id"`
	Matchers []Matcher `json:"matchers"` // all must match
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	By       string    `json:"by"`
	Reason   string    `json:"reason"`
}

// MaxSilence bounds how long nobody is told: what is silenced for ever is forgotten.
const MaxSilence = 31 * 24 * time.Hour

// Check refuses a silence that has no end, no reason, or is of everything.
func (s Silence) Check(field string) error {
	var errs []error
	bad := func(key, try, format string, args ...any) {
		errs = append(errs, fault.New(fault.Invalid, field+key, format, args...).WithTry("%s", try))
	}
	if len(s.Matchers) == 0 || len(s.Matchers) > 20 {
		bad(".matchers", `app="shop"`, "it has %d matchers, want 1 to 20", len(s.Matchers))
	}
	for _, m := range s.Matchers {
		if _, err := m.pattern(); err != nil {
			bad(".matchers", `app="shop", severity!="page"`, "%s", err)
		}
	}
	switch d := s.To.Sub(s.From); {
	case d <= 0:
		bad(".to", "2h", "it ends before it begins")
	case d > MaxSilence:
		bad(".to", "2h", "%s is longer than %s", d, MaxSilence)
	}
	if s.Reason == "" {
		bad(".reason", "we know, the disk is being replaced", "it has no reason: who is on call next reads it")
	}
	return errors.Join(errs...)
}

func (m Matcher) pattern() (*regexp.Regexp, error) {
	switch {
	case m.Label == "":
		return nil, errors.New("a matcher without a label")
	case m.Op == "=" || m.Op == "!=":
		return nil, nil
	case m.Op == "=~" || m.Op == "!~":
		if len(m.Value) > 1000 {
			return nil, errors.New("the pattern is longer than 1000 bytes")
		}
		re, err := regexp.Compile("^(?:" + m.Value + ")$")
		if err != nil {
			return nil, fmt.Errorf("%q is no pattern", m.Value)
		}
		return re, nil
	}
	return nil, fmt.Errorf("%q compares nothing: use =, !=, =~ or !~", m.Op)
}

func (m Matcher) matches(labels map[string]string) bool {
	re, err := m.pattern()
	if err != nil {
		return false
	}
	hit := labels[m.Label] == m.Value
	if re != nil {
		hit = re.MatchString(labels[m.Label])
	}
	return hit == (m.Op == "=" || m.Op == "=~")
}

// Covers reports that the silence is of an alert now.
func (s Silence) Covers(labels map[string]string, now time.Time) bool {
	if now.Before(s.From) || !now.Before(s.To) || len(s.Matchers) == 0 {
		return false
	}
	for _, m := range s.Matchers {
		if !m.matches(labels) {
			return false
		}
	}
	return true
}
