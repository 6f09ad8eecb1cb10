package metrics

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// The bounds of a series that others measured.
const (
	maxLabels     = 64
	maxLabelName  = 200  // bytes
	maxLabelValue = 2048 // bytes
)

// Foreign makes the labels of a series that others measured. Where it belongs is
// ours to say: their labels of the same names become exported_NAME, and so do
// their metrics that are named like naru's own.
func Foreign(ours []labels.Label, theirs labels.Labels) (labels.Labels, error) {
	name := theirs.Get(model.MetricNameLabel)
	if name == "" {
		return labels.EmptyLabels(), fmt.Errorf("a series without a name: %s", clip(theirs.String()))
	}
	if duplicate, yes := theirs.HasDuplicateLabelNames(); yes {
		return labels.EmptyLabels(), fmt.Errorf("%s has the label %s twice", clip(name), clip(duplicate))
	}
	b := labels.NewBuilder(labels.EmptyLabels())
	n := 0
	err := theirs.Validate(func(l labels.Label) error {
		n++
		switch {
		case n > maxLabels:
			return fmt.Errorf("%s has more than %d labels", clip(name), maxLabels)
		case len(l.Name) > maxLabelName:
			return fmt.Errorf("%s has a label whose name is longer than %d bytes", clip(name), maxLabelName)
		case len(l.Value) > maxLabelValue:
			return fmt.Errorf("%s has a value of %s that is longer than %d bytes", clip(name), clip(l.Name), maxLabelValue)
		case !utf8.ValidString(l.Name) || !utf8.ValidString(l.Value):
			return fmt.Errorf("%s has a label that is no UTF-8", clip(name))
		case l.Name == model.MetricNameLabel:
			if strings.HasPrefix(l.Value, Own) {
				l.Value = exported + l.Value
			}
		case strings.HasPrefix(l.Name, "__"):
			return nil // for those who pass samples on
		}
		b.Set(l.Name, l.Value)
		return nil
	})
	if err != nil {
		return labels.EmptyLabels(), err
	}
	for _, l := range ours {
		if had := b.Get(l.Name); had != "" {
			as := exported + l.Name
			for b.Get(as) != "" {
				as = exported + as
			}
			b.Set(as, had)
		}
		b.Set(l.Name, l.Value)
	}
	return b.Labels(), nil
}

const exported = "exported_"

// clip keeps a message short.
func clip(s string) string {
	if len(s) > 120 {
		s = strings.ToValidUTF8(s[:120], "") + "…"
	}
	return s
}
