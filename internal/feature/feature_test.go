package feature_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/feature"
)

// kept is a store in memory.
type kept struct {
	mu     sync.Mutex
	states map[feature.Name]feature.State
	evs    []event.Event
	fail   error // of the next switch
	lost   bool  // the switch takes place though it fails
}

func (k *kept) Features(context.Context) ([]feature.State, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []feature.State
	for _, st := range k.states {
		out = append(out, st)
	}
	return out, nil
}

func (k *kept) SetFeature(_ context.Context, st feature.State, evs ...event.Event) (feature.State, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	st.Updated = time.Unix(1, 0)
	if k.fail == nil || k.lost {
		k.states[st.Name] = st
		k.evs = append(k.evs, evs...)
	}
	return st, k.fail
}

func newBook(t *testing.T) (*kept, *feature.Book) {
	t.Helper()
	k := &kept{states: map[feature.Name]feature.State{}}
	b := feature.NewBook(k)
	if err := b.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k, b
}

func to(on bool) feature.Change { return feature.Change{On: &on} }

func TestWhoIsSpared(t *testing.T) {
	people := map[string]feature.Asker{"admin": {Admin: true}, "reader": {ReadOnly: true}, "other": {}}
	spares := map[feature.Name]string{ // space-separated; everybody else is refused
		feature.DiegoDocker: "", feature.EnvVarVisibility: "", feature.SpaceDeveloperEnv: "admin reader",
	}
	_, b := newBook(t)
	for _, f := range b.Features() {
		if f.Fixed != "" {
			continue
		}
		spared, ok := spares[f.Name]
		if !ok {
			spared = "admin"
		}
		for _, on := range []bool{true, false} {
			if _, err := b.Switch(t.Context(), "ada", f.Name, to(on)); err != nil {
				t.Fatal(err)
			}
			for name, who := range people {
				who.Features = b.Now()
				err := who.Refusal(f.Name)
				has := on || strings.Contains(spared, name)
				if (err == nil) != has {
					t.Errorf("%s, on %v, %s: %v", f.Name, on, name, err)
				}
				var off *feature.Disabled
				if err != nil && (!fault.Is(err, fault.Denied) || !errors.As(err, &off) || off.Name != f.Name) {
					t.Errorf("%s is refused with %v", f.Name, err)
				}
			}
		}
	}
}

func TestAskInAContext(t *testing.T) {
	_, b := newBook(t)
	if _, err := b.Switch(t.Context(), "ada", feature.TaskCreation, to(false)); err != nil {
		t.Fatal(err)
	}
	if err := feature.Ask(t.Context(), feature.TaskCreation); err != nil {
		t.Errorf("nobody asks: %v", err)
	}
	asked := feature.As(t.Context(), feature.Asker{Features: b.Now()})
	if err := feature.Ask(asked, feature.TaskCreation); !fault.Is(err, fault.Denied) {
		t.Errorf("somebody asks: %v", err)
	}
	if err := feature.Ask(feature.As(t.Context(), feature.Asker{}), feature.UserOrgCreation); !fault.Is(err, fault.Denied) {
		t.Errorf("what is off from the start: %v", err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = feature.Ask(asked, feature.RouteCreation) }); n != 0 {
		t.Errorf("asking for what is on allocates %v times", n)
	}
}

func TestSwitching(t *testing.T) {
	k, b := newBook(t)
	words := "ask Ada"
	for name, tc := range map[string]struct {
		feature feature.Name
		change  feature.Change
		want    fault.Kind
	}{
		"no feature":           {"flying", to(true), fault.NotFound},
		"what stays off":       {feature.RouteSharing, to(true), fault.Unsupported},
		"what stays on":        {feature.ResourceMatching, to(false), fault.Unsupported},
		"words for what stays": {feature.DiegoCNB, feature.Change{Message: &words}, fault.Unsupported},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := b.Switch(t.Context(), "ada", tc.feature, tc.change); !fault.Is(err, tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
	for _, same := range []feature.Change{{}, to(true)} {
		if f, err := b.Switch(t.Context(), "ada", feature.TaskCreation, same); err != nil || !f.Updated.IsZero() {
			t.Errorf("what is so: %+v, %v", f, err)
		}
	}
	if len(k.evs) > 0 {
		t.Errorf("nothing was switched, and on record is %v", k.evs)
	}
	f, err := b.Switch(t.Context(), "ada", feature.TaskCreation, feature.Change{On: new(bool), Message: &words})
	if err != nil || f.On || f.Message != words || f.Updated.IsZero() {
		t.Errorf("off: %+v, %v", f, err)
	}
	if len(k.evs) != 1 || k.evs[0].Kind != "feature.switched" || k.evs[0].Actor != "ada" || k.evs[0].Subject != "task_creation" || k.evs[0].Detail["enabled"] != false {
		t.Errorf("on record is %+v", k.evs)
	}
	// Another process reads what this one kept.
	again := feature.NewBook(k)
	if err := again.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f, err := again.Feature(feature.TaskCreation); err != nil || f.On || f.Message != words {
		t.Errorf("after a restart: %+v, %v", f, err)
	}
}

// TestASwitchThatFails holds that the store's word counts, whatever its answer was.
func TestASwitchThatFails(t *testing.T) {
	k, b := newBook(t)
	for _, lost := range []bool{false, true} {
		k.fail, k.lost = errors.New("no answer"), lost
		if _, err := b.Switch(t.Context(), "ada", feature.TaskCreation, to(false)); err == nil {
			t.Error("the switch failed and says nothing")
		}
		if f, err := b.Feature(feature.TaskCreation); err != nil || f.On == lost {
			t.Errorf("took place %v, and it is on: %v, %v", lost, f.On, err)
		}
	}
}
