package account

import (
	"fmt"

	"naru/internal/pipeline/judging"
	"naru/internal/pipeline/rollout"
)

// acted reports that the last verdict of the newest rollout led to an act.
func (f *facts) acted(a judging.Act) bool { return f.given != nil && f.given.Act == a }

// judgedWorse says what was found when the judge took the newest rollout back; ""
// where it did not.
func (f *facts) judgedWorse(before string) string {
	if !f.acted(judging.WentBack) {
		return ""
	}
	return fmt.Sprintf("it was judged worse than %s: %s", before, bare(f.given.Verdict.Why()))
}

// judgedSoFar says what is known of a step that is being judged, or that asks a
// person; "" where it is neither.
func (f *facts) judgedSoFar() string {
	ro := f.newest
	if f.given == nil || f.given.Step != ro.Step {
		return ""
	}
	switch {
	case ro.State == rollout.Paused && f.acted(judging.Asked):
		return "The judge asks: it is not known whether it is worse: " + bare(f.given.Verdict.Why()) + "."
	case ro.State == rollout.Shifting && f.acted(""):
		return "It is being judged: " + bare(f.given.Verdict.Sentence("")) + "."
	}
	return ""
}

// wentOnUnsure says of a rollout that was not taken back that nobody knows whether
// it is worse; "" where that is not so.
func (f *facts) wentOnUnsure() string {
	if !f.acted(judging.WentOn) || f.wentBack() {
		return ""
	}
	return fmt.Sprintf("%s went on unsure, as its policy says: %s.", nameOf(f.rel), bare(f.given.Verdict.Why()))
}

// shown are the commands that show what a verdict is made of.
func (f *facts) shown() (out []string) {
	if f.given == nil || len(f.given.Verdict.Reasons) == 0 {
		return nil
	}
	for _, l := range f.given.Verdict.Reasons[0].Links {
		if l.Rel == "logs" || l.Rel == "traces" {
			out = append(out, l.Target)
		}
	}
	return out
}
