package api

import (
	"context"
	"strconv"
	"time"

	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/judge/burn"
	"naru/internal/operate/alarm"
	"naru/internal/operate/notify"
	"naru/internal/secret"
)

// Alerts tells how budgets burn, and keeps who is told.
type Alerts interface {
	// Alarms returns the wanted ones, what fires first, and when it was looked last.
	Alarms(wanted func(alarm.Alarm) bool) ([]alarm.Alarm, time.Time)

	Receivers(ctx context.Context, places ...alarm.Place) ([]alarm.Receiver, error)
	AddReceiver(ctx context.Context, r alarm.Receiver, k alarm.Keys) (alarm.Receiver, error)
	DeleteReceiver(ctx context.Context, by string, p alarm.Place, name string) error
	TestReceiver(ctx context.Context, by string, p alarm.Place, name string) (alarm.Trial, error)

	Silences(ctx context.Context, places ...alarm.Place) ([]alarm.Silence, error)
	AddSilence(ctx context.Context, x alarm.Silence) (alarm.Silence, error)
	EndSilence(ctx context.Context, by string, p alarm.Place, id string) error

	Deliveries(ctx context.Context, p alarm.Place, before int64, limit int) ([]alarm.Delivery, error)
}

// alertRoutes are the routes of alerts. Receivers and silences are at three places:
// a developer has people told of the space's apps, a manager of the organisation's,
// an admin of all.
func (s *server) alertRoutes(space, one string) []Route {
	out := []Route{
		{get, "/v1/alerts", auth.PlatformAudit, "Alerts on error budgets everywhere, what fires first", call(s.listAllAlerts)},
		{get, space + "/alerts", auth.SpaceRead, "Alerts on the error budgets of the apps, what fires first", call(s.listAlerts)},
		{get, one + "/alerts", auth.SpaceRead, "Alerts on the error budgets of an app, what fires first", call(s.listAlerts)},
	}
	for _, p := range []struct {
		path, of             string
		read, write, silence auth.Action
	}{
		{"/v1", "the platform", auth.PlatformAudit, auth.PlatformManage, auth.PlatformManage},
		{"/v1/orgs/{org}", "an organisation", auth.OrgRead, auth.OrgManage, auth.OrgManage},
		{space, "a space", auth.SpaceRead, auth.AppWrite, auth.AppOperate},
	} {
		out = append(out,
			Route{get, p.path + "/receivers", p.read, "List who is told of alerts of " + p.of, call(s.listReceivers)},
			Route{post, p.path + "/receivers", p.write, "Have somebody told of alerts of " + p.of, unrepeated(create(s.addReceiver))},
			Route{remove, p.path + "/receivers/{receiver}", p.write, "Forget a receiver of " + p.of, done(s.deleteReceiver)},
			Route{post, p.path + "/receivers/{receiver}/test", p.write, "Send a test message to a receiver of " + p.of, call(s.testReceiver)},
			Route{get, p.path + "/silences", p.read, "List silences of " + p.of + " that are not over", call(s.listSilences)},
			Route{post, p.path + "/silences", p.silence, "Hold back alerts of " + p.of, create(s.addSilence)},
			Route{remove, p.path + "/silences/{silence}", p.silence, "End a silence of " + p.of, done(s.endSilence)},
			Route{get, p.path + "/deliveries", p.read, "What receivers of " + p.of + " were told, newest first", call(s.listDeliveries)},
		)
	}
	return out
}

func (s *server) listAllAlerts(context.Context, *nothing) (client.Alerts, error) {
	return s.alerts(func(alarm.Alarm) bool { return true }), nil
}

func (s *server) listAlerts(ctx context.Context, _ *nothing) (client.Alerts, error) {
	p := at(ctx)
	return s.alerts(func(a alarm.Alarm) bool {
		return a.Home.SpaceID == p.space.ID && (p.app.ID == "" || a.App == p.app.ID)
	}), nil
}

func (s *server) alerts(wanted func(alarm.Alarm) bool) client.Alerts {
	all, looked := s.Alerts.Alarms(wanted)
	return client.Alerts{Items: each(all, alertOf), Looked: looked}
}

// means is what a state means to who reads it.
func means(a alarm.Alarm) string {
	switch {
	case a.Trouble != "":
		return "it could not be looked at; what was so before still counts"
	case a.State == burn.Firing && a.Severity == burn.Page:
		return "the error budget goes so fast that somebody has to look now"
	case a.State == burn.Firing:
		return "the error budget goes so fast that somebody has to look in the next days"
	case a.State == burn.Pending:
		return "the error budget goes too fast; when that goes on, people are told"
	case a.State == burn.Resolved:
		return "it is over, and people are told so"
	case a.NotFired != "":
		return "there are errors, too few to mean anything"
	case a.Burn.Short == nil:
		return "nothing is known: nobody came"
	}
	return "the error budget does not go too fast"
}

func alertOf(a alarm.Alarm) client.Alert {
	out := client.Alert{
		Org: a.Home.Org, Space: a.Home.Space, App: a.Home.App, Objective: a.Objective, Rule: a.Key.Rule, Severity: string(a.Severity),
		State: string(burn.Inactive), Since: a.Since, Begun: a.Begun, Text: a.Reason, Means: means(a),
		Long: client.Duration(a.Bounds.Long), Short: client.Duration(a.Bounds.Short), Limit: a.Bounds.Factor, BurnLong: a.Burn.Long, BurnShort: a.Burn.Short,
		Change: a.Change, NotFired: a.NotFired, Trouble: a.Trouble,
	}
	if a.State != "" {
		out.State = string(a.State)
	}
	if a.Budget.Known {
		out.Left = &a.Budget.Left
	}
	return out
}

// alertPlace is the place of receivers and silences that a request names.
func alertPlace(ctx context.Context) alarm.Place {
	p := at(ctx)
	if p.space.ID != "" {
		return alarm.Place{Space: p.space.ID}
	}
	return alarm.Place{Org: p.org.ID}
}

// reaching are the places whose receivers and silences concern a place: itself and
// those around it.
func reaching(ctx context.Context) []alarm.Place {
	p := at(ctx)
	out := []alarm.Place{alertPlace(ctx)}
	if p.space.ID != "" {
		out = append(out, alarm.Place{Org: p.org.ID})
	}
	if p.org.ID != "" {
		out = append(out, alarm.Place{})
	}
	return out
}

func (s *server) listReceivers(ctx context.Context, _ *nothing) (client.List[client.Receiver], error) {
	all, err := s.Alerts.Receivers(ctx, reaching(ctx)...)
	here := alertPlace(ctx)
	return whole(all, func(r alarm.Receiver) client.Receiver {
		out := receiverOf(r)
		if r.Place != here {
			out.To, out.By = "", "" // of no concern to those who only want to know whether anybody is told
		}
		return out
	}), err
}

func receiverOf(r alarm.Receiver) client.Receiver {
	return client.Receiver{
		Name: r.Name, Scope: r.Place.Scope(), Kind: string(r.Kind), To: r.Shown, By: r.By, CreatedAt: r.Created,
		Severities: each(r.Severities, func(s burn.Severity) string { return string(s) }),
	}
}

type newReceiverInput struct{ Body client.NewReceiver }

func (s *server) addReceiver(ctx context.Context, in *newReceiverInput) (client.Receiver, error) {
	b := in.Body
	r, err := s.Alerts.AddReceiver(ctx, alarm.Receiver{
		Place: alertPlace(ctx), Name: b.Name, Kind: alarm.ReceiverKind(b.Kind), Addresses: b.Addresses, By: requestOf(ctx).who.Name,
		Severities: each(b.Severities, func(s string) burn.Severity { return burn.Severity(s) }),
	}, alarm.Keys{URL: secret.New(b.URL), Token: secret.New(b.Token)})
	return receiverOf(r), err
}

type receiverPath struct {
	Receiver string `path:"receiver" maxLength:"63" doc:"name of the receiver"`
}

func (s *server) deleteReceiver(ctx context.Context, in *receiverPath) error {
	return s.Alerts.DeleteReceiver(ctx, requestOf(ctx).who.Name, alertPlace(ctx), in.Receiver)
}

func (s *server) testReceiver(ctx context.Context, in *receiverPath) (client.ReceiverTest, error) {
	t, err := s.Alerts.TestReceiver(ctx, requestOf(ctx).who.Name, alertPlace(ctx), in.Receiver)
	return client.ReceiverTest{Took: t.Took, In: client.Duration(t.In.Round(time.Millisecond)), Said: t.Said}, err
}

func (s *server) listSilences(ctx context.Context, _ *nothing) (client.List[client.Silence], error) {
	all, err := s.Alerts.Silences(ctx, reaching(ctx)...)
	return whole(all, silenceOf), err
}

func silenceOf(x alarm.Silence) client.Silence {
	return client.Silence{
		ID: x.ID, Scope: x.Place.Scope(), From: x.From, To: x.To, By: x.By, Reason: x.Reason,
		Matchers: each(x.Matchers, func(m notify.Matcher) string { return m.Label + m.Op + m.Value }),
	}
}

type newSilenceInput struct{ Body client.NewSilence }

func (s *server) addSilence(ctx context.Context, in *newSilenceInput) (client.Silence, error) {
	now := time.Now().UTC()
	x := alarm.Silence{Place: alertPlace(ctx), Silence: notify.Silence{
		From: now, To: now.Add(time.Duration(in.Body.For)), By: requestOf(ctx).who.Name, Reason: in.Body.Reason,
	}}
	for _, text := range in.Body.Matchers {
		m, err := alarm.ParseMatcher(text)
		if err != nil {
			return client.Silence{}, err
		}
		x.Matchers = append(x.Matchers, m)
	}
	x, err := s.Alerts.AddSilence(ctx, x)
	return silenceOf(x), err
}

type silencePath struct {
	Silence string `path:"silence" maxLength:"20" doc:"id of the silence"`
}

func (s *server) endSilence(ctx context.Context, in *silencePath) error {
	return s.Alerts.EndSilence(ctx, requestOf(ctx).who.Name, alertPlace(ctx), in.Silence)
}

type deliveriesInput struct{ PageInput }

func (s *server) listDeliveries(ctx context.Context, in *deliveriesInput) (client.List[client.Delivery], error) {
	size, err := s.size(in.PageInput)
	if err != nil {
		return client.List[client.Delivery]{}, err
	}
	before, err := in.number()
	if err != nil {
		return client.List[client.Delivery]{}, err
	}
	all, err := s.Alerts.Deliveries(ctx, alertPlace(ctx), before, size+1)
	return cut(all, size, deliveryOf, func(d alarm.Delivery) string { return strconv.FormatInt(d.Seq, 10) }), err
}

func deliveryOf(d alarm.Delivery) client.Delivery {
	return client.Delivery{
		Seq: d.Seq, Time: d.At, Receiver: d.Receiver, Message: d.Message, Title: d.Title, Alerts: d.Alerts, Try: d.Try,
		Took: client.Duration(d.Took.Round(time.Millisecond)), Error: d.Error, Final: d.Final,
	}
}
