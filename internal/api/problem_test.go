package api_test

import (
	"testing"

	"naru/internal/api"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
)

func TestAppOnWhichNothingRanSaysWhy(t *testing.T) {
	w := newWorld(t, api.Config{})
	a := w.app("shop")
	ask := func() operation.Operation {
		t.Helper()
		_, err := w.store.AddOperation(t.Context(), operation.Operation{
			ID: operation.ID(id.New()), Kind: "push", Space: a.Space, App: a.ID, Subject: string(a.ID), Actor: "root", Request: []byte("{}"),
		})
		must(t, err)
		return w.take()
	}
	shop := w.dev("root").App(string(a.ID))
	op := ask()
	why := fault.New(fault.Failed, "", "shop v1 did not work: exit 3").WithTry("naru logs shop")
	must(t, w.store.EndOperation(t.Context(), op.ID, operation.Failed, why, nil, nil))
	d, err := shop.Get(t.Context())
	must(t, err)
	if d.Problem == nil || d.Problem.Message != why.Message || d.Problem.Try != why.Try {
		t.Errorf("problem = %+v, want %q", d.Problem, why.Message)
	}
	ask() // it is tried again
	d, err = shop.Get(t.Context())
	must(t, err)
	if d.Problem != nil {
		t.Errorf("problem = %+v while a push is at work", d.Problem)
	}
}
