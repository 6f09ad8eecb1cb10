package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"naru/internal/api"
	"naru/internal/app"
	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/judge/burn"
	"naru/internal/operate/alarm"
)

func TestAlerts(t *testing.T) {
	w := newWorld(t, api.Config{})
	w.user("auditor", auth.Grant{Role: auth.SpaceAuditor, Org: w.org.ID, Space: w.space.ID})
	shop := w.app("shop")
	rate, now := 26.9, time.Now().UTC()
	of := func(a app.App, space app.SpaceID, state burn.State) alarm.Alarm {
		return alarm.Alarm{
			Key: alarm.Key{App: a.ID, Objective: "profile", Rule: "page-quick"}, Home: alarm.Home{Org: "default", Space: "dev", SpaceID: space, App: a.Name},
			Severity: burn.Page, Alert: burn.Alert{State: state, Since: now, Reason: "2.7 % of 10000 events were bad"}, Begun: now,
			Bounds: alarm.Bounds{Target: 0.999, Factor: 13.44, Long: time.Hour, Short: 5 * time.Minute}, Burn: alarm.Rates{Long: &rate},
			Budget: alarm.Budget{Known: true, Left: 0.5},
		}
	}
	w.alerts.Now = []alarm.Alarm{of(shop, w.space.ID, burn.Firing), of(app.App{ID: "blog", Name: "blog"}, w.space.ID, ""), of(app.App{ID: "x", Name: "x"}, "elsewhere", burn.Firing)}
	got, err := w.dev("auditor").Alerts(t.Context(), "")
	must(t, err)
	if len(got.Items) != 2 || got.Looked.IsZero() || got.Items[1].State != "inactive" {
		t.Fatalf("alerts %+v", got)
	}
	a := got.Items[0]
	if a.Rule != "page-quick" || *a.BurnLong != rate || a.BurnShort != nil || *a.Left != 0.5 || !strings.Contains(a.Means, "look now") || a.Limit != 13.44 {
		t.Errorf("alert %+v", a)
	}
	if got, err = w.dev("auditor").Alerts(t.Context(), "shop"); err != nil || len(got.Items) != 1 {
		t.Errorf("of one app: %+v, %v", got, err)
	}
	if all, err := w.client("root").AllAlerts(t.Context()); err != nil || len(all.Items) != 3 {
		t.Errorf("everywhere: %+v, %v", all, err)
	}
}

func TestReceiversOfAlerts(t *testing.T) {
	w := newWorld(t, api.Config{})
	ctx := t.Context()
	w.user("dev", auth.Grant{Role: auth.SpaceDeveloper, Org: w.org.ID, Space: w.space.ID})
	w.user("auditor", auth.Grant{Role: auth.SpaceAuditor, Org: w.org.ID, Space: w.space.ID})
	space, platform := client.Scope{Org: "default", Space: "dev"}, client.Scope{}
	var bodies []string
	hook := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		bodies = append(bodies, r.Header.Get("Authorization")+" "+string(data))
		if strings.Contains(r.URL.Path, "refuse") {
			rw.WriteHeader(http.StatusForbidden)
		}
		_, _ = io.WriteString(rw, "thanks for "+r.URL.Path)
	}))
	t.Cleanup(hook.Close)
	dev, root := w.client("dev"), w.client("root")

	r, err := dev.AddReceiver(ctx, space, client.NewReceiver{Name: "chat", Kind: "webhook", URL: hook.URL + "/SECRET-PATH", Token: "SECRET-TOKEN", Severities: []string{"page"}})
	must(t, err)
	if r.To != strings.TrimPrefix(hook.URL, "http://") || r.Scope != "space" || !reflect.DeepEqual(r.Severities, []string{"page"}) || r.By != "dev" {
		t.Errorf("added %+v", r)
	}
	_, err = root.AddReceiver(ctx, platform, client.NewReceiver{Name: "ops", Kind: "webhook", URL: hook.URL + "/refuse-this"})
	must(t, err)
	all, err := w.client("auditor").Receivers(ctx, space)
	must(t, err)
	if len(all) != 2 || all[0].Name != "chat" || all[0].To == "" || all[1].Scope != "platform" || all[1].To != "" {
		t.Errorf("receivers %+v", all)
	}

	said, err := dev.TestReceiver(ctx, space, "chat")
	must(t, err)
	if !said.Took || !strings.HasSuffix(said.Said, ": 200 OK: thanks for ***") {
		t.Errorf("said %+v", said)
	}
	if len(bodies) != 1 || !strings.HasPrefix(bodies[0], "Bearer SECRET-TOKEN ") || !strings.Contains(bodies[0], "dev tries whether alerts of naru arrive at chat") {
		t.Errorf("sent %q", bodies)
	}
	if _, err = dev.TestReceiver(ctx, space, "chat"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("tested again at once: %v", err)
	}
	if said, err = root.TestReceiver(ctx, platform, "ops"); err != nil || said.Took || !strings.Contains(said.Said, "answered 403 Forbidden: thanks for ***") {
		t.Errorf("said %+v, %v", said, err)
	}
	log, err := dev.Deliveries(ctx, space, client.Page{})
	must(t, err)
	if len(log.Items) != 1 || log.Items[0].Receiver != "chat" || log.Items[0].Error != "" || log.Items[0].Title != "[FIRING:1] test of naru" {
		t.Errorf("deliveries %+v", log)
	}
	if log, err = root.Deliveries(ctx, platform, client.Page{}); err != nil || len(log.Items) != 1 || !log.Items[0].Final {
		t.Errorf("deliveries %+v, %v", log, err)
	}

	for name, tc := range map[string]struct {
		in    client.NewReceiver
		field string
	}{
		"a name":       {client.NewReceiver{Name: "Chat!", Kind: "webhook", URL: hook.URL}, "name"},
		"no address":   {client.NewReceiver{Name: "a", Kind: "slack", URL: "ftp://SECRET"}, "url"},
		"no key":       {client.NewReceiver{Name: "a", Kind: "pagerduty"}, "token"},
		"no addresses": {client.NewReceiver{Name: "a", Kind: "mail"}, "addresses"},
		"bad address":  {client.NewReceiver{Name: "a", Kind: "mail", Addresses: []string{"nobody"}}, "addresses"},
		"severity":     {client.NewReceiver{Name: "a", Kind: "webhook", URL: hook.URL, Severities: []string{"warn"}}, "severities"},
		"two lines":    {client.NewReceiver{Name: "a", Kind: "webhook", URL: hook.URL, Token: "a\r\nb"}, "token"},
		"no mail here": {client.NewReceiver{Name: "a", Kind: "mail", Addresses: []string{"a@example.com"}}, "kind"},
		"taken":        {client.NewReceiver{Name: "chat", Kind: "webhook", URL: hook.URL}, "name"},
	} {
		_, err := dev.AddReceiver(ctx, space, tc.in)
		if f := fault.Of(err); err == nil || f.Field != tc.field || strings.Contains(f.Error(), "SECRET") {
			t.Errorf("%s: %v", name, err)
		}
	}

	must(t, dev.DeleteReceiver(ctx, space, "chat"))
	if err := dev.DeleteReceiver(ctx, space, "chat"); !fault.Is(err, fault.NotFound) {
		t.Errorf("deleted twice: %v", err)
	}
	happened, err := w.dev("dev").Events(ctx, client.EventQuery{})
	must(t, err)
	evs, err := json.Marshal(happened)
	must(t, err)
	if text := string(evs) + w.logs.String(); strings.Contains(text, "SECRET") || !strings.Contains(text, "receiver.added") {
		t.Errorf("what was secret is read in %s", text)
	}
}

func TestSilencesOfAlerts(t *testing.T) {
	w := newWorld(t, api.Config{})
	ctx := t.Context()
	w.user("supporter", auth.Grant{Role: auth.SpaceSupporter, Org: w.org.ID, Space: w.space.ID})
	c, space := w.client("supporter"), client.Scope{Org: "default", Space: "dev"}
	x, err := c.AddSilence(ctx, space, client.NewSilence{Matchers: []string{"app=shop", "severity!=page"}, For: client.Duration(2 * time.Hour), Reason: "disk"})
	must(t, err)
	if x.ID == "" || x.To.Sub(x.From) != 2*time.Hour || !reflect.DeepEqual(x.Matchers, []string{"app=shop", "severity!=page"}) || x.By != "supporter" {
		t.Errorf("silence %+v", x)
	}
	_, err = w.client("root").AddSilence(ctx, client.Scope{Org: "default"}, client.NewSilence{Matchers: []string{"app=~.*"}, For: client.Duration(time.Hour), Reason: "moving"})
	must(t, err)
	all, err := c.Silences(ctx, space)
	must(t, err)
	if len(all) != 2 || all[0].Scope != "org" || all[1].ID != x.ID {
		t.Errorf("silences %+v", all)
	}
	for name, in := range map[string]client.NewSilence{
		"no such label": {Matchers: []string{"team=a"}, For: client.Duration(time.Hour), Reason: "x"},
		"no matcher":    {Matchers: []string{"shop"}, For: client.Duration(time.Hour), Reason: "x"},
		"for ever":      {Matchers: []string{"app=shop"}, For: client.Duration(1000 * time.Hour), Reason: "x"},
		"no time":       {Matchers: []string{"app=shop"}, Reason: "x"},
		"no pattern":    {Matchers: []string{"app=~("}, For: client.Duration(time.Hour), Reason: "x"},
	} {
		if _, err := c.AddSilence(ctx, space, in); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.EndSilence(ctx, space, all[0].ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("ended the organisation's: %v", err)
	}
	must(t, c.EndSilence(ctx, space, x.ID))
	if all, err = c.Silences(ctx, space); err != nil || len(all) != 1 {
		t.Errorf("silences %+v, %v", all, err)
	}
}
