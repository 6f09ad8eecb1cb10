package storetest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/judge/burn"
	"naru/internal/operate/alarm"
	"naru/internal/operate/notify"
	"naru/internal/store"
)

func alerts(t *testing.T, open Opener) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	w := newWorld(t, open, store.Options{Clock: func() time.Time { return now }})
	ctx := t.Context()
	dev, org, platform := alarm.Place{Space: w.space.ID}, alarm.Place{Org: w.org.ID}, alarm.Place{}

	t.Run("alarms", func(t *testing.T) {
		rate := 13.5
		a := alarm.Alarm{
			Key: alarm.Key{App: w.app.ID, Objective: "profile", Rule: "page-quick"}, Home: alarm.Home{Org: "default", Space: "dev", SpaceID: w.space.ID, App: "shop"},
			Severity: burn.Page, Alert: burn.Alert{State: burn.Firing, Since: now, Seen: now, Started: now, Silent: now, Reason: "r", NotFired: "n"},
			Begun: now, Bounds: alarm.Bounds{Target: 0.999, Factor: 13.44, Long: time.Hour, Short: 5 * time.Minute}, Burn: alarm.Rates{Long: &rate},
			Budget: alarm.Budget{Known: true, Left: 0.5, Time: time.Minute, At: now}, Change: "c", Trouble: "t",
		}
		b := alarm.Alarm{Key: alarm.Key{App: "gone", Objective: "profile", Rule: "page-slow"}, Alert: burn.Alert{State: burn.Pending}}
		must(t, w.SetAlarms(ctx, []alarm.Alarm{a, b}, nil, happened("alert.firing", "shop")))
		a.State = burn.Resolved
		must(t, w.SetAlarms(ctx, []alarm.Alarm{a}, []alarm.Key{b.Key, {App: "never"}}, happened("alert.resolved", "shop")))
		got, err := w.Alarms(ctx)
		must(t, err)
		if want := []alarm.Alarm{a}; !reflect.DeepEqual(got, want) {
			t.Errorf("read\n%+v, want\n%+v", got, want)
		}
		evs, err := w.Events(ctx, store.EventFilter{Kinds: []event.Kind{"alert.firing", "alert.resolved"}})
		must(t, err)
		if len(evs) != 2 {
			t.Errorf("events %+v", evs)
		}
		homes, err := w.Homes(ctx)
		must(t, err)
		if len(homes) != 1 || homes[w.app.ID] != a.Home {
			t.Errorf("homes %+v", homes)
		}
	})

	t.Run("the book", func(t *testing.T) {
		if got, err := w.AlertBook(ctx); err != nil || len(got) != 0 {
			t.Errorf("before the first: %s, %v", got, err)
		}
		must(t, w.SetAlertBook(ctx, []byte(`{"a":1}`)))
		must(t, w.SetAlertBook(ctx, []byte(`{"a":2}`)))
		if got, err := w.AlertBook(ctx); err != nil || string(got) != `{"a":2}` {
			t.Errorf("book %s, %v", got, err)
		}
	})

	add := func(t *testing.T, p alarm.Place, name string) (alarm.Receiver, error) {
		t.Helper()
		return w.AddReceiver(ctx, alarm.Receiver{
			ID: w.NewReceiverID(), Place: p, Name: name, Kind: alarm.Mail, Severities: []burn.Severity{burn.Page}, Shown: "a@b", Addresses: []string{"a@b"}, By: "ada",
		}, "k1.x", 2, happened("receiver.added", name))
	}

	t.Run("receivers", func(t *testing.T) {
		made, err := add(t, alarm.Place{Org: w.org.ID, Space: w.space.ID}, "team")
		must(t, err)
		_, err = add(t, dev, "team")
		mustBe(t, err, fault.Conflict)
		_, err = add(t, dev, "zwei")
		must(t, err)
		_, err = add(t, dev, "drei")
		mustBe(t, err, fault.TooLarge)
		_, err = add(t, alarm.Place{Space: "nowhere"}, "team")
		mustBe(t, err, fault.NotFound)
		_, err = add(t, org, "team")
		must(t, err)
		_, err = add(t, platform, "team")
		must(t, err)
		got, sealed, err := w.Receiver(ctx, dev, "team")
		must(t, err)
		if !reflect.DeepEqual(got, made) || sealed != "k1.x" || made.Created != now {
			t.Errorf("read %+v %s, want %+v", got, sealed, made)
		}
		all, err := w.Receivers(ctx, dev, platform)
		must(t, err)
		if len(all) != 3 || all[0].Place != platform || all[1].Place != dev {
			t.Errorf("receivers %+v", all)
		}
		batch, err := w.SealedNotWith(ctx, "k2", 10)
		must(t, err)
		if len(batch) != 4 || !batch[0].OfReceiver() || batch[0].Owner() == batch[1].Owner() {
			t.Fatalf("to be sealed anew: %+v", batch)
		}
		must(t, w.Reseal(ctx, batch[0], "k2.x"))
		if batch, err = w.SealedNotWith(ctx, "k2", 10); err != nil || len(batch) != 3 {
			t.Errorf("left are %+v, %v", batch, err)
		}
		must(t, w.DeleteReceiver(ctx, dev, "zwei", happened("receiver.deleted", "zwei")))
		mustBe(t, w.DeleteReceiver(ctx, org, "zwei"), fault.NotFound)
		if _, keys, err := w.AllReceivers(ctx); err != nil || len(keys) != 3 {
			t.Errorf("sealed are %v, %v", keys, err)
		}
	})

	silence := func(p alarm.Place, to time.Time) (alarm.Silence, error) {
		return w.AddSilence(ctx, alarm.Silence{Place: p, Silence: notify.Silence{
			Matchers: []notify.Matcher{{Label: "app", Op: "=", Value: "shop"}}, From: now, To: to, By: "ada", Reason: "disk",
		}}, 2, happened("silence.added", "1"))
	}

	t.Run("silences", func(t *testing.T) {
		first, err := silence(dev, now.Add(2*time.Hour))
		must(t, err)
		second, err := silence(dev, now.Add(time.Hour))
		must(t, err)
		_, err = silence(dev, now.Add(time.Hour))
		mustBe(t, err, fault.TooLarge)
		third, err := silence(platform, now.Add(3*time.Hour))
		must(t, err)
		all, err := w.Silences(ctx, nil, now)
		must(t, err)
		if want := []alarm.Silence{second, first, third}; !reflect.DeepEqual(all, want) {
			t.Errorf("read %+v, want %+v", all, want)
		}
		mustBe(t, w.EndSilence(ctx, platform, first.ID), fault.NotFound)
		mustBe(t, w.EndSilence(ctx, dev, "x"), fault.NotFound)
		must(t, w.EndSilence(ctx, dev, first.ID, happened("silence.ended", first.ID)))
		mustBe(t, w.EndSilence(ctx, dev, first.ID), fault.NotFound)
		if all, err = w.Silences(ctx, []alarm.Place{dev}, now.Add(time.Minute)); err != nil || len(all) != 1 || all[0].ID != second.ID {
			t.Errorf("read %+v, %v", all, err)
		}
	})

	t.Run("deliveries", func(t *testing.T) {
		to, _, err := w.Receiver(ctx, dev, "team")
		must(t, err)
		for i := range 5 {
			must(t, w.AddDelivery(ctx, notify.Delivery{
				At: now, Receiver: to.ID, Message: "m", Title: fmt.Sprintf("t%d \x00", i), Alerts: 2, Try: i + 1, Took: time.Second, Error: "e", Final: true,
			}, 3))
		}
		must(t, w.AddDelivery(ctx, notify.Delivery{At: now, Receiver: "gone"}, 3))
		got, err := w.Deliveries(ctx, dev, 0, 2)
		must(t, err)
		if want := (notify.Delivery{At: now, Receiver: "team", Message: "m", Title: "t4 ", Alerts: 2, Try: 5, Took: time.Second, Error: "e", Final: true}); len(got) != 2 || got[0].Delivery != want || got[0].Place != dev {
			t.Errorf("read %+v, want %+v first", got, want)
		}
		if got, err = w.Deliveries(ctx, dev, got[1].Seq, 9); err != nil || len(got) != 1 || got[0].Title != "t2 " {
			t.Errorf("the last that was kept: %+v, %v", got, err)
		}
		if got, err = w.Deliveries(ctx, org, 0, 9); err != nil || len(got) != 0 {
			t.Errorf("of the organisation: %+v, %v", got, err)
		}
	})

	t.Run("what is over goes in the end", func(t *testing.T) {
		now = now.Add(31 * 24 * time.Hour)
		got, err := w.Prune(ctx, store.Retention{Alerts: 30 * 24 * time.Hour})
		must(t, err)
		if got.Alerts != 6 {
			t.Errorf("pruned %+v, want three silences and three deliveries", got)
		}
	})

	t.Run("with its space", func(t *testing.T) {
		other, err := w.CreateSpace(ctx, w.org.ID, "other")
		must(t, err)
		p := alarm.Place{Space: other.ID}
		to, err := add(t, p, "team")
		must(t, err)
		_, err = silence(p, now.Add(time.Hour))
		must(t, err)
		must(t, w.AddDelivery(ctx, notify.Delivery{At: now, Receiver: to.ID}, 3))
		must(t, w.DeleteSpace(ctx, other.ID))
		receivers, err := w.Receivers(ctx, p)
		must(t, err)
		silences, err := w.Silences(ctx, nil, now)
		must(t, err)
		log, err := w.Deliveries(ctx, p, 0, 9)
		must(t, err)
		if len(receivers)+len(silences)+len(log) != 0 {
			t.Errorf("left are %+v, %+v, %+v", receivers, silences, log)
		}
	})
}
