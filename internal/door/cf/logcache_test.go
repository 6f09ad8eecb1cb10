package cf_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/id"
	"naru/internal/observe/logs"
	"naru/internal/pipeline/task"
	"naru/internal/run"
)

type line struct {
	at   int64
	text string
	raw  map[string]any
}

// read asks log-cache as the client does.
func (w *world) read(a app.App, query string) []line {
	w.t.Helper()
	answer := w.ask(http.StatusOK, "GET", "/api/v1/read/"+string(a.ID)+"?"+query, "")
	envelopes, _ := answer["envelopes"].(map[string]any)
	batch, _ := envelopes["batch"].([]any)
	out := make([]line, 0, len(batch))
	for _, e := range batch {
		raw, _ := e.(map[string]any)
		log, _ := raw["log"].(map[string]any)
		at, err := strconv.ParseInt(fmt.Sprint(raw["timestamp"]), 10, 64)
		must(w.t, err)
		payload, err := base64.StdEncoding.DecodeString(fmt.Sprint(log["payload"]))
		must(w.t, err)
		out = append(out, line{at, string(payload), raw})
	}
	return out
}

func (w *world) say(a app.App, at time.Time, texts ...string) {
	w.t.Helper()
	var all []logs.Line
	for _, text := range texts {
		all = append(all, logs.Line{Time: at, App: a.ID, Source: logs.App, Process: "web", Stream: "stdout", Text: text})
	}
	must(w.t, w.book.Append(w.t.Context(), all, nil))
}

// A client goes on behind the time of the last line it got. Lines of one instant
// must neither be lost nor come again.
func TestFollowingLosesNothingAndRepeatsNothing(t *testing.T) {
	w := newWorld(t)
	a := w.shop("shop")
	w.login("admin")
	at := time.Now().Add(-time.Minute)
	var want []string
	for i := range 30 {
		texts := []string{fmt.Sprintf("%d-a", i), fmt.Sprintf("%d-b", i), fmt.Sprintf("%d-c", i)}
		w.say(a, at.Add(time.Duration(i)*time.Microsecond), texts...)
		want = append(want, texts...)
	}
	var got []string
	for start := at.Truncate(time.Microsecond).UnixNano(); ; {
		some := w.read(a, fmt.Sprintf("envelope_types=LOG&limit=7&start_time=%d", start))
		if len(some) == 0 {
			break
		}
		for _, l := range some {
			got = append(got, l.text)
		}
		start = some[len(some)-1].at + 1
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %v", got)
	}
}

func TestRecentLogs(t *testing.T) {
	w := newWorld(t)
	a := w.shop("shop")
	w.login("admin")
	at := time.Now().Add(-time.Minute).Truncate(time.Microsecond) // as it is kept
	for i, text := range []string{"one", "two", "three"} {
		w.say(a, at.Add(time.Duration(i)*time.Second), text)
	}
	got := w.read(a, "descending=true&envelope_types=LOG&limit=2&start_time=-6795364578871345152")
	if len(got) != 2 || got[0].text != "three" || got[1].text != "two" {
		t.Fatalf("got %v", got)
	}
	for key := range got[0].raw { // one that a client does not know, and it reads nothing
		if !strings.Contains(" timestamp source_id instance_id tags log ", " "+key+" ") {
			t.Errorf("an envelope has the key %s", key)
		}
	}
	tags, _ := got[0].raw["tags"].(map[string]any)
	if tags["source_type"] != "APP/PROC/WEB" {
		t.Errorf("tags are %v", tags)
	}
	if got := w.read(a, "envelope_types=GAUGE"); len(got) != 0 {
		t.Errorf("gauges: %v", got)
	}
	if got := w.read(a, fmt.Sprintf("end_time=%d", at.Add(time.Second).UnixNano())); len(got) != 1 || got[0].text != "one" {
		t.Errorf("until: %v", got)
	}
	w.ask(http.StatusBadRequest, "GET", "/api/v1/read/"+string(a.ID)+"?limit=1001", "")
}

// What a task says bears its name: clients show it before the line.
func TestLinesOfTasksBearTheirNames(t *testing.T) {
	w := newWorld(t)
	a := w.shop("shop")
	w.login("admin")
	made, err := w.store.CreateTask(t.Context(), task.Task{ID: task.ID(id.New()), App: a.ID, Name: "migrate", Command: []string{"true"}, State: task.Running, Instance: run.InstanceID(id.New())})
	must(t, err)
	at := time.Now().Add(-time.Minute)
	said := func(instance, text string) logs.Line {
		return logs.Line{Time: at, App: a.ID, Source: logs.Task, Process: "task", Instance: instance, Stream: "stdout", Text: text}
	}
	must(t, w.book.Append(t.Context(), []logs.Line{said(string(made.Instance), "mine"), said("forgotten", "another's")}, nil))
	got := map[string]any{}
	for _, l := range w.read(a, "envelope_types=LOG") {
		got[l.text] = l.raw["tags"].(map[string]any)["source_type"]
	}
	if len(got) != 2 || got["mine"] != "APP/TASK/migrate" || got["another's"] != "APP/TASK/task" {
		t.Errorf("got %v", got)
	}
}

// What an app says is told to those who may read it, and that it is there to nobody
// else.
func TestLinesOfOthersAreNotTold(t *testing.T) {
	w := newWorld(t)
	a := w.shop("shop")
	w.user("stranger")
	w.login("stranger")
	w.ask(http.StatusNotFound, "GET", "/api/v1/read/"+string(a.ID), "")
}
