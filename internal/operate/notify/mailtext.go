package notify

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"text/template"
	"time"

	htmltemplate "html/template"
)

// mailText is a mail with a text and an HTML form. Subject and addresses are
// encoded, so that nothing in an alert can begin another header.
func mailText(m Message, from mail.Address, to []string, now time.Time) []byte {
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	part := func(kind string, text []byte) {
		w, err := parts.CreatePart(textproto.MIMEHeader{
			"Content-Type":              {kind + "; charset=utf-8"},
			"Content-Transfer-Encoding": {"quoted-printable"},
		})
		if err != nil {
			return // a buffer takes everything
		}
		q := quotedprintable.NewWriter(w)
		_, _ = q.Write(text)
		_ = q.Close()
	}
	var plain, html bytes.Buffer
	_ = plainMail.Execute(&plain, viewOf(m)) // the templates are ours, and tested
	_ = htmlMail.Execute(&html, viewOf(m))
	part("text/plain", plain.Bytes())
	part("text/html", html.Bytes())
	_ = parts.Close()

	if from.Name == "" {
		from.Name = "naru"
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	var out bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&out, "%s: %s\r\n", name, value) }
	header("From", from.String())
	header("To", strings.Join(to, ", "))
	header("Subject", subject(m.Title()))
	header("Date", now.UTC().Format(time.RFC1123Z))
	header("Message-ID", "<"+base64.RawURLEncoding.EncodeToString([]byte(m.ID))+"@"+domain+">")
	header("References", "<naru-"+fingerprint(m.Group)+"@"+domain+">") // mails of a group are one thread
	header("Auto-Submitted", "auto-generated")                         // no holiday notice answers it
	header("MIME-Version", "1.0")
	header("Content-Type", "multipart/alternative; boundary="+parts.Boundary())
	out.WriteString("\r\n")
	out.Write(body.Bytes())
	return out.Bytes()
}

// subject is one line, encoded where it is not plain ASCII.
func subject(text string) string {
	return mime.QEncoding.Encode("utf-8", strings.Join(strings.Fields(clip(text, 200)), " "))
}

type mailView struct {
	Title  string
	Alerts []mailAlert
	More   int
}

type mailAlert struct {
	Status                              string
	Name, Summary, Detail, Link, Labels string
	Started, Ended                      string
}

func viewOf(m Message) mailView {
	v := mailView{Title: clip(m.Title(), 300), More: max(len(m.Alerts)-MaxAlerts, 0)}
	for _, a := range m.Alerts[:min(len(m.Alerts), MaxAlerts)] {
		one := mailAlert{
			Status: strings.ToUpper(string(a.Status())), Name: clip(a.Name(), 200), Summary: clip(a.Summary, 2000), Detail: clip(a.Detail, 10_000),
			Link: a.Link, Started: a.Started.UTC().Format(time.RFC3339),
		}
		if !a.Ended.IsZero() {
			one.Ended = fmt.Sprintf("%s, after %s", a.Ended.UTC().Format(time.RFC3339), a.Ended.Sub(a.Started).Round(time.Second))
		}
		var labels []string
		for _, k := range slices.Sorted(maps.Keys(a.Labels)) {
			if k != LabelName {
				labels = append(labels, clip(k, 100)+"="+clip(a.Labels[k], 300))
			}
		}
		one.Labels = strings.Join(labels, " ")
		v.Alerts = append(v.Alerts, one)
	}
	return v
}

var plainMail = template.Must(template.New("").Parse(`{{.Title}}
{{range .Alerts}}
{{.Status}}  {{.Name}}
{{.Summary}}
{{with .Detail}}{{.}}
{{end}}since   {{.Started}}
{{with .Ended}}ended   {{.}}
{{end}}{{with .Link}}look    {{.}}
{{end}}labels  {{.Labels}}
{{end}}{{with .More}}
and {{.}} more
{{end}}`))

var htmlMail = htmltemplate.Must(htmltemplate.New("").Parse(`<!doctype html><html><body style="font-family:sans-serif">
<h3>{{.Title}}</h3>
{{range .Alerts}}<div style="border-left:4px solid {{if eq .Status "FIRING"}}#c0392b{{else}}#27ae60{{end}};padding-left:12px;margin-bottom:16px">
<b>{{.Status}} {{.Name}}</b><br>{{.Summary}}<br>
{{with .Detail}}<pre>{{.}}</pre>{{end}}
<small>since {{.Started}}{{with .Ended}}, ended {{.}}{{end}}<br>{{.Labels}}</small>
{{with .Link}}<br><a href="{{.}}">look</a>{{end}}
</div>
{{end}}{{with .More}}<p>and {{.}} more</p>{{end}}
</body></html>
`))
