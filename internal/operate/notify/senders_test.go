package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"naru/internal/fault"
	"naru/internal/operate/notify"
	"naru/internal/secret"
)

var began = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func alert(name, app, severity string) notify.Alert {
	return notify.Alert{
		Labels:  map[string]string{"alertname": name, "app": app, "space": "dev", "severity": severity},
		Summary: "2.7 % of 10000 events in 1h were bad", Link: "https://naru.example.com/apps/" + app, Started: began,
	}
}

func ended(a notify.Alert) notify.Alert {
	a.Ended = a.Started.Add(20 * time.Minute)
	return a
}

func message(alerts ...notify.Alert) notify.Message {
	return notify.Message{ID: "0123456789abcdef", Receiver: "team", Group: map[string]string{"app": "shop"}, Alerts: alerts, Base: "https://naru.example.com"}
}

// receiver is a small real one: it keeps what it got and answers as told.
type receiver struct {
	*httptest.Server
	got    []map[string]any
	header []http.Header
	answer func(w http.ResponseWriter, n int)
}

func newReceiver(t *testing.T, answer func(w http.ResponseWriter, n int)) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		data, err := io.ReadAll(req.Body)
		var v map[string]any
		if err == nil {
			err = json.Unmarshal(data, &v)
		}
		if err != nil || req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/json" {
			http.Error(w, fmt.Sprint(err), http.StatusBadRequest)
			return
		}
		r.got, r.header = append(r.got, v), append(r.header, req.Header)
		if r.answer != nil {
			r.answer(w, len(r.got))
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func client() *http.Client { return notify.NewHTTPClient(http.DefaultTransport) }

func send(t *testing.T, s notify.Sender, m notify.Message) {
	t.Helper()
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func compact(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWebhookSpeaksAlertmanager(t *testing.T) {
	r := newReceiver(t, nil)
	a, b := alert("profile", "shop", "page"), ended(alert("cart", "shop", "page"))
	a.Detail = "look at v42"
	send(t, notify.NewWebhook(client(), secret.New(r.URL), secret.New("tok-123")), message(a, b))
	if got := r.header[0].Get("Authorization"); got != "Bearer tok-123" {
		t.Errorf("authorization %q", got)
	}
	want := `{"alerts":[` +
		`{"annotations":{"description":"look at v42","summary":"2.7 % of 10000 events in 1h were bad"},"endsAt":"0001-01-01T00:00:00Z","fingerprint":"` + a.Fingerprint() + `","generatorURL":"https://naru.example.com/apps/shop","labels":{"alertname":"profile","app":"shop","severity":"page","space":"dev"},"startsAt":"2026-11-21T12:00:00Z","status":"firing"},` +
		`{"annotations":{"summary":"2.7 % of 10000 events in 1h were bad"},"endsAt":"2026-11-21T12:20:00Z","fingerprint":"` + b.Fingerprint() + `","generatorURL":"https://naru.example.com/apps/shop","labels":{"alertname":"cart","app":"shop","severity":"page","space":"dev"},"startsAt":"2026-11-21T12:00:00Z","status":"resolved"}],` +
		`"commonAnnotations":{"summary":"2.7 % of 10000 events in 1h were bad"},"commonLabels":{"app":"shop","severity":"page","space":"dev"},"externalURL":"https://naru.example.com","groupKey":"KEY","groupLabels":{"app":"shop"},"receiver":"team","status":"firing","truncatedAlerts":0,"version":"4"}`
	key, _ := r.got[0]["groupKey"].(string)
	if len(key) != 16 {
		t.Errorf("group key %q", key)
	}
	r.got[0]["groupKey"] = "KEY"
	if got := compact(t, r.got[0]); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSlackCannotBeMadeToShout(t *testing.T) {
	r := newReceiver(t, nil)
	a := alert("x", "shop", "page")
	a.Labels["alertname"] = "<!channel> & <https://evil.example|click>"
	a.Summary = "@here \x00\x1b[31m" + strings.Repeat("é", 3000)
	m := message(a, ended(alert("cart", "shop", "ticket")))
	m.Group = map[string]string{"alertname": a.Labels["alertname"]}
	send(t, notify.NewSlack(client(), secret.New(r.URL)), m)
	text := compact(t, r.got[0])
	for _, bad := range []string{"<!channel>", "<https", `\u003c!`, "@here", `\u001b`, `\u0000`} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is in what Slack gets: %.300s", bad, text)
		}
	}
	first := r.got[0]["attachments"].([]any)[0].(map[string]any)
	if first["title"] != "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;" || first["color"] != "danger" || len([]rune(first["text"].(string))) > 2100 {
		t.Errorf("got %.300v", first)
	}
	second := r.got[0]["attachments"].([]any)[1].(map[string]any)
	if second["color"] != "good" || !strings.Contains(second["text"].(string), "resolved after 20m0s") {
		t.Errorf("got %v", second)
	}
	if got := r.got[0]["text"]; got != "[FIRING:1] &lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;" {
		t.Errorf("got %q", got)
	}
}

func TestPagerDutyEvents(t *testing.T) {
	r := newReceiver(t, func(w http.ResponseWriter, _ int) { w.WriteHeader(http.StatusAccepted) })
	a, b := alert("profile", "shop", "page"), ended(alert("cart", "shop", "ticket"))
	a.Summary = strings.Repeat("x", 2000)
	send(t, notify.NewPagerDuty(client(), r.URL, secret.New("R0UT1NG")), message(a, b))
	if len(r.got) != 2 {
		t.Fatalf("%d events", len(r.got))
	}
	open, closed := r.got[0], r.got[1]
	payload := open["payload"].(map[string]any)
	if open["routing_key"] != "R0UT1NG" || open["event_action"] != "trigger" || open["dedup_key"] != "naru-"+a.Fingerprint() || payload["severity"] != "critical" ||
		payload["source"] != "shop" || payload["timestamp"] != "2026-11-21T12:00:00Z" || len([]rune(payload["summary"].(string))) != 1024 {
		t.Errorf("got %v", open)
	}
	if closed["event_action"] != "resolve" || closed["dedup_key"] != "naru-"+b.Fingerprint() || closed["payload"] != nil {
		t.Errorf("got %v", closed)
	}
}

// What a receiver answers decides whether it is tried again, and no secret is in
// any error.
func TestErrorsOfReceivers(t *testing.T) {
	for name, tc := range map[string]struct {
		status    int
		permanent bool
	}{
		"gone": {404, true}, "not allowed": {403, true}, "bad": {400, true}, "moved": {302, false}, "slow down": {429, false}, "broken": {500, false}, "away": {503, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, func(w http.ResponseWriter, _ int) {
				w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
				w.WriteHeader(tc.status)
				fmt.Fprint(w, "no R0UT1NG-KEY at /services/T00/SECRET-PATH\nagain")
			})
			url := secret.New(r.URL + "/services/T00/SECRET-PATH")
			for kind, s := range map[string]notify.Sender{
				"webhook": notify.NewWebhook(client(), url, secret.New("R0UT1NG-KEY")), "slack": notify.NewSlack(client(), url),
				"pagerduty": notify.NewPagerDuty(client(), url.Reveal(), secret.New("R0UT1NG-KEY")),
			} {
				err := s.Send(t.Context(), message(alert("a", "shop", "page")))
				if err == nil || notify.IsPermanent(err) != tc.permanent {
					t.Fatalf("%s: permanent %t: %v", kind, notify.IsPermanent(err), err)
				}
				if text := err.Error(); strings.Contains(text, "SECRET") || kind != "slack" && strings.Contains(text, "R0UT1NG") || strings.Contains(text, "\n") || !strings.Contains(text, fmt.Sprint(tc.status)) {
					t.Errorf("%s: %s", kind, text)
				}
			}
		})
	}
	r := newReceiver(t, nil)
	r.Close()
	err := notify.NewSlack(client(), secret.New(r.URL+"/services/SECRET-PATH")).Send(t.Context(), message(alert("a", "shop", "page")))
	if err == nil || notify.IsPermanent(err) || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("nobody there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := notify.NewSlack(client(), secret.New("http://127.0.0.1:1/")).Send(ctx, message(alert("a", "shop", "page"))); !errors.Is(err, context.Canceled) {
		t.Errorf("told to stop: %v", err)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	hush := secret.New("https://hooks.example.com/SECRET")
	for _, s := range []notify.Sender{notify.NewWebhook(client(), hush, hush), notify.NewSlack(client(), hush), notify.NewPagerDuty(client(), "", hush)} {
		if text := fmt.Sprintf("%v %+v %#v", s, s, s); strings.Contains(text, "SECRET") {
			t.Error(text)
		}
	}
	err := notify.CheckURL("url", secret.New("ftp://user:SECRET@x/"))
	if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("got %v", err)
	}
	if err := notify.CheckURL("url", hush); err != nil {
		t.Error(err)
	}
}

func TestWhatReceiversSay(t *testing.T) {
	r := newReceiver(t, func(w http.ResponseWriter, _ int) { _, _ = io.WriteString(w, "ok, by /SECRET-PATH") })
	url := secret.New(r.URL + "/SECRET-PATH")
	host := strings.TrimPrefix(r.URL, "http://")
	box := openMailbox(t, notify.StartTLS, func(*mailbox) {})
	for name, tc := range map[string]struct {
		to   notify.Trier
		want string
	}{
		"webhook":   {notify.NewWebhook(client(), url, secret.Secret{}), host + ": 200 OK: ok, by ***"},
		"Slack":     {notify.NewSlack(client(), url), host + ": 200 OK: ok, by ***"},
		"PagerDuty": {notify.NewPagerDuty(client(), url.Reveal(), secret.New("KEY")), host + ": 200 OK: ok, by ***"},
		"mail":      {newMail(t, box.server(notify.StartTLS), "team@example.com"), box.address + ": 250 2.0.0 OK: queued"},
	} {
		said, err := tc.to.Try(t.Context(), message(alert("profile", "shop", "page")))
		if err != nil || said != tc.want {
			t.Errorf("%s said %q, %v, want %q", name, said, err, tc.want)
		}
	}
}
