package buildkit

import (
	"fmt"
	"strings"

	"naru/internal/size"
)

// DefaultLogBytes bounds the output of one build where nothing else is said.
const DefaultLogBytes = 16 << 20

// maxLogSpeed is how much output a second the daemon takes from one step.
const maxLogSpeed = 4 << 20

// logBound counts the output of one build and says what is kept of it. Steps
// that fail end with their last lines all the same: those are kept apart.
type logBound struct {
	most    int64
	kept    int64
	dropped int64
	clipped bool // the daemon dropped more, which nobody counted
}

// take reports whether a line is kept; news is said once, when the bound is
// reached.
func (l *logBound) take(line string) (keep bool, news string) {
	if strings.HasPrefix(line, clipNotice) && strings.HasSuffix(line, "reached]") {
		l.clipped = true
	}
	bytes := int64(len(line)) + 1
	if l.dropped == 0 && l.kept+bytes <= l.most {
		l.kept += bytes
		return true, ""
	}
	if l.dropped == 0 {
		news = "the output of this build is over " + size.Text(l.most) + " (build.log_bytes): what follows is dropped, the build goes on"
	}
	l.dropped += bytes
	return false, news
}

// clipNotice begins what the daemon writes into a step's output when it drops
// the rest.
const clipNotice = "[output clipped, log limit "

// end says how much was dropped.
func (l *logBound) end() (news string, ok bool) {
	switch {
	case l.dropped > 0 && l.clipped:
		return fmt.Sprintf("more than %d bytes of output dropped", l.dropped), true
	case l.dropped > 0:
		return fmt.Sprintf("%d bytes of output dropped", l.dropped), true
	}
	return "", false
}
