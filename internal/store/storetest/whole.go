package storetest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/rollout"
	"naru/internal/pipeline/task"
	"naru/internal/release"
	"naru/internal/route"
	"naru/internal/run"
	"naru/internal/source"
	"naru/internal/store"
)

// whole writes values of which no field is zero and wants to read them again, so
// that a field which somebody adds to a type cannot be forgotten here.
func whole(t *testing.T, open Opener) {
	w := newWorld(t, open, store.Options{})
	ctx := t.Context()
	same := func(t *testing.T, wrote, read any, err error) {
		t.Helper()
		must(t, err)
		if !reflect.DeepEqual(wrote, read) {
			t.Errorf("wrote\n%+v, read\n%+v", wrote, read)
		}
	}
	for name, do := range map[string]func(t *testing.T){
		"space": func(t *testing.T) {
			wrote, err := w.UpdateSpace(ctx, w.space.ID, func(s *app.Space) error {
				had := *s
				*s = filled[app.Space]()
				s.ID, s.Org, s.Created = had.ID, had.Org, had.Created
				return nil
			})
			must(t, err)
			read, err := w.Space(ctx, wrote.ID)
			same(t, wrote, read, err)
		},
		"app": func(t *testing.T) {
			a := filled[app.App]()
			a.Space = w.space.ID
			wrote, err := w.CreateApp(ctx, a)
			must(t, err)
			read, err := w.App(ctx, wrote.ID)
			same(t, wrote, read, err)
		},
		"user": func(t *testing.T) {
			wrote, err := w.CreateUser(ctx, filled[auth.User]())
			must(t, err)
			read, err := w.User(ctx, wrote.ID)
			same(t, wrote, read, err)
		},
		"snapshot": func(t *testing.T) {
			s := filled[source.Snapshot]()
			s.Space = w.space.ID
			wrote, err := w.AddSnapshot(ctx, s)
			must(t, err)
			read, err := w.Snapshot(ctx, wrote.ID)
			same(t, wrote, read, err)
		},
		"image": func(t *testing.T) {
			i := filled[artifact.Image]()
			i.App = w.app.ID
			wrote, err := w.AddImage(ctx, i)
			must(t, err)
			read, err := w.Image(ctx, wrote.ID)
			same(t, wrote, read, err)
		},
		"foundation": func(t *testing.T) {
			wrote, err := w.SetFoundation(ctx, filled[artifact.Foundation]())
			must(t, err)
			read, err := w.Foundation(ctx, wrote.Name)
			same(t, wrote, read, err)
		},
		"release": func(t *testing.T) {
			wrote, err := w.CutRelease(ctx, w.app.ID, func(number int, _ time.Time) (release.Release, error) {
				r := filled[release.Release]()
				r.App, r.Number = w.app.ID, number
				return r, nil
			})
			must(t, err)
			read, err := w.Release(ctx, wrote.ID)
			same(t, wrote, read, err)
		},
		"group": func(t *testing.T) {
			g := filled[run.Group]()
			g.App, g.Retired = w.app.ID, false // no group begins so
			wrote, err := w.CreateGroup(ctx, g)
			must(t, err)
			read, err := w.Group(ctx, wrote.ID)
			same(t, wrote, read, err)
		},
		"instance": func(t *testing.T) {
			i := filled[run.Instance]()
			i.Group, i.State = w.newGroup(t, w.app, "r", "web", 1).ID, run.Pending
			must(t, w.AddInstance(ctx, i))
			read, err := w.Instance(ctx, i.ID)
			same(t, i, read, err)
		},
		"rollout": func(t *testing.T) {
			r := filled[rollout.Rollout]()
			r.App, r.State = w.app.ID, rollout.Preparing
			wrote, err := w.StartRollout(ctx, r)
			must(t, err)
			read, err := w.Rollout(ctx, wrote.ID)
			same(t, wrote, read, err)
		},
		"task": func(t *testing.T) {
			k := filled[task.Task]()
			k.App, k.State = w.app.ID, task.Pending
			wrote, err := w.CreateTask(ctx, k)
			must(t, err)
			read, err := w.Task(ctx, wrote.ID)
			same(t, wrote, read, err)
		},
		"route": func(t *testing.T) {
			r := filled[route.Route]()
			r.Space, r.Destinations[0].App = w.space.ID, w.app.ID
			ofPort, ofName, ofRequests := r, r, r
			ofPort.Host, ofPort.Path, ofName.Path, ofRequests.TCP = "", "", "", nil // what each kind has not
			tcp := *r.TCP
			tcp.Port, ofName.TCP = 0, &tcp
			for _, r := range []route.Route{ofPort, ofName, ofRequests} {
				wrote, err := w.SetRoute(ctx, r)
				must(t, err)
				read, err := w.Route(ctx, wrote.ID)
				same(t, wrote, read, err)
			}
		},
		"operation": func(t *testing.T) {
			op := filled[operation.Operation]()
			op.State = operation.Queued
			// What only comes to be while it runs.
			op.Error, op.Result, op.Cancel, op.Attempts, op.Started, op.Ended = nil, nil, false, 0, time.Time{}, time.Time{}
			wrote, err := w.AddOperation(ctx, op)
			must(t, err)
			read, err := w.Operation(ctx, wrote.ID)
			same(t, wrote, read, err)
			_, _, err = w.TakeOperation(ctx)
			must(t, err)
			line := filled[operation.Progress]()
			must(t, w.ReportOperation(ctx, op.ID, nil, []operation.Progress{line}))
			line.Operation, line.Seq = op.ID, 1
			lines, err := w.Progress(ctx, op.ID, 0, 10)
			same(t, []operation.Progress{line}, lines, err)
			why := filled[fault.Error]()
			why.Err = nil // the cause is for the log
			must(t, w.EndOperation(ctx, op.ID, operation.Failed, &why, json.RawMessage(`{}`), nil))
			read, err = w.Operation(ctx, op.ID)
			same(t, &why, read.Error, err)
		},
		"event": func(t *testing.T) {
			ev := filled[event.Event]()
			must(t, w.AppendEvents(ctx, ev))
			read, err := w.EventsBefore(ctx, "", "", ev.Kind, 0, 1)
			must(t, err)
			ev.Seq, ev.Time = read[0].Seq, read[0].Time
			same(t, ev, read[0], nil)
		},
	} {
		t.Run(name, do)
	}
}

// filled returns a value of which no field is zero.
func filled[T any]() (v T) {
	fill(reflect.ValueOf(&v).Elem())
	return v
}

func fill(v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)))
		return
	case json.RawMessage:
		v.Set(reflect.ValueOf(json.RawMessage(`{"n":1}`)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(id.New())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(7)
	case reflect.Float64:
		v.SetFloat(0.7)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Interface:
		if v.Type().NumMethod() == 0 {
			v.Set(reflect.ValueOf("any"))
		}
	default:
		panic(fmt.Sprintf("storetest: cannot fill a %s", v.Type()))
	}
}
