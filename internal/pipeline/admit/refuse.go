package admit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"naru/internal/app"
	"naru/internal/fault"
	"naru/internal/size"
)

// maxNamed is how many apps a refusal names.
const maxNamed = 3

// refuse says what was asked for, what is free, who has the rest, and the way
// out. Apps of other spaces are not named.
func refuse(a app.App, c Change, got Answer, others []Claim, names map[app.ID]string) *fault.Error {
	asks, who := needs(c.Want), a.Name
	if c.Want.Task {
		who = "a task of " + a.Name
	}
	if got.Own > 0 {
		asks += ", and " + size.MiB(got.Own) + " beside for replacing one at a time"
	}
	text := fmt.Sprintf("%s needs %s; %s of %s are free", who, asks, size.MiB(got.Free), size.MiB(got.Room))
	if got.Kept > 0 {
		text += fmt.Sprintf(", beside %s for replacing instances", size.MiB(got.Kept))
	}
	if most := holders(a.Space, others, names); most != "" {
		text += "; largest: " + most
	}
	return fault.New(fault.Conflict, "memory", "%s", text).WithTry("%s", wayOut(a, c, got))
}

// needs is a claim in words: "3 x 512 MiB", with several process types "web 3 x
// 512 MiB and worker 1 x 256 MiB".
func needs(c Claim) string {
	var parts []string
	for _, p := range c.Parts {
		if p.Count > 0 {
			parts = append(parts, fmt.Sprintf("%s %d x %s", p.Process, p.Count, size.MiB(p.MiB)))
		}
	}
	if len(parts) == 1 {
		_, amount, _ := strings.Cut(parts[0], " ")
		return amount
	}
	return strings.Join(parts, " and ")
}

func holders(space app.SpaceID, claims []Claim, names map[app.ID]string) string {
	var parts []string
	elsewhere := 0
	for _, c := range largestFirst(claims) {
		name, known := names[c.App]
		switch {
		case c.Space != space && !c.Task:
			elsewhere += c.MiB()
		case known && !c.Task && len(parts) < maxNamed:
			parts = append(parts, name+" "+needs(c))
		}
	}
	if elsewhere > 0 {
		parts = append(parts, "other spaces "+size.MiB(elsewhere))
	}
	return strings.Join(parts, ", ")
}

// largestFirst sorts claims that take anything by what they take.
func largestFirst(claims []Claim) []Claim {
	out := slices.DeleteFunc(slices.Clone(claims), func(c Claim) bool { return c.MiB() == 0 })
	slices.SortStableFunc(out, func(x, y Claim) int { return cmp.Compare(y.MiB(), x.MiB()) })
	return out
}

func wayOut(a app.App, c Change, got Answer) string {
	if c.Want.Task {
		return fmt.Sprintf("naru run %s --memory less, naru scale APP n for one of the others, or raise reserve.memory_overcommit", a.Name)
	}
	first := "ask for less with naru scale or --memory"
	running := slices.DeleteFunc(slices.Clone(c.Want.Parts), func(p Part) bool { return p.Count == 0 })
	if len(running) == 1 && running[0].Process == app.Web {
		if n := (got.Free - max(0, got.Own-got.Kept)) / max(1, running[0].MiB); n > 0 && n < running[0].Count {
			first = fmt.Sprintf("naru scale %s %d fits; or --memory with less", a.Name, n)
		}
	}
	return first + ", naru scale APP n for one of the others, or raise reserve.memory_overcommit"
}
