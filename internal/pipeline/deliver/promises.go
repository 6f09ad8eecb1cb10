package deliver

import (
	"context"
	"encoding/json"
	"fmt"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
)

// Promises keeps what manifests say that apps promise; *promise.Service does.
type Promises interface {
	// Check refuses what could not be kept; "" is an app that is not there yet.
	Check(ctx context.Context, a app.ID, objectives []app.Objective, probes []app.Probe) error
	Declare(ctx context.Context, a app.ID, objectives []app.Objective, probes []app.Probe, actor string) error
}

// checkPromises refuses a push whose promises could not be kept.
func (s *Service) checkPromises(ctx context.Context, a app.ID, in *client.Promises) error {
	if in == nil || s.promises == nil {
		return nil
	}
	objectives, probes, err := promised(in)
	if err != nil {
		return err
	}
	return s.promises.Check(ctx, a, objectives, probes)
}

// keepPromises makes what a push promises the app's, once what it brought is live:
// a push that goes back has promised nothing. What has come in between, such as an
// objective of the same name that somebody applied, is said, and the app runs on.
func (s *Service) keepPromises(ctx context.Context, w *operation.Work, a app.ID, in *client.Promises) error {
	if in == nil || s.promises == nil {
		return nil
	}
	objectives, probes, err := promised(in)
	if err == nil {
		err = s.promises.Declare(ctx, a, objectives, probes, w.Actor)
	}
	f := fault.Of(err)
	switch {
	case err == nil:
		return s.router.Sync(ctx) // from here on the gateways count
	case f.Kind == fault.Conflict, f.Kind == fault.Invalid, f.Kind == fault.TooLarge:
		w.Info(ctx, "objectives", "not kept: %s (%s)", f.Message, f.Try)
		return nil
	}
	return err
}

// promised reads promises as the wire has them, whose JSON is that of the domain.
func promised(in *client.Promises) (objectives []app.Objective, probes []app.Probe, err error) {
	read := func(field string, from, to any) error {
		text, err := json.Marshal(from)
		if err == nil {
			err = json.Unmarshal(text, to)
		}
		if err != nil {
			return fault.Wrap(fault.Invalid, field, err)
		}
		return nil
	}
	objectives, probes = make([]app.Objective, len(in.Objectives)), make([]app.Probe, len(in.Probes))
	for i := range in.Objectives {
		if err := read(fmt.Sprintf("objectives[%d]", i), in.Objectives[i], &objectives[i]); err != nil {
			return nil, nil, err
		}
	}
	for i := range in.Probes {
		if err := read(fmt.Sprintf("probes[%d]", i), in.Probes[i], &probes[i]); err != nil {
			return nil, nil, err
		}
	}
	return objectives, probes, nil
}
