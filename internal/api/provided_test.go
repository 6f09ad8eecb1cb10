package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"naru/internal/api"
	"naru/internal/client"
	"naru/internal/fault"
)

func TestServicesAndBindings(t *testing.T) {
	w := newWorld(t, api.Config{})
	ctx, dev := t.Context(), w.dev("root")
	w.app("shop")
	made, err := dev.CreateService(ctx, client.NewService{Name: "db", Credentials: json.RawMessage(`{"uri":"postgres://u:hidden@h/d","ca":"x"}`), Tags: []string{"sql"}})
	must(t, err)
	if fmt.Sprint(made.Credentials) != "[ca uri]" || strings.Contains(fmt.Sprintf("%+v", made), "hidden") {
		t.Errorf("made %+v", made)
	}
	_, err = dev.CreateService(ctx, client.NewService{Name: "db"})
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("the same name: %v", err)
	}
	_, err = dev.CreateService(ctx, client.NewService{Name: "bad", Credentials: json.RawMessage(`"hidden"`)})
	if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "hidden") {
		t.Errorf("no object: %v", err)
	}
	b, err := dev.Bind(ctx, "shop", client.NewBinding{Service: "db", Name: "primary"})
	must(t, err)
	if b.App != "shop" || b.Service != "db" || b.Name != "primary" {
		t.Errorf("bound %+v", b)
	}
	of, err := dev.Services(ctx, "shop")
	must(t, err)
	if len(of) != 1 || len(of[0].Bound) != 1 || of[0].Bound[0].Name != "primary" {
		t.Errorf("services of shop: %+v", of)
	}
	held, err := dev.ServiceCredentials(ctx, "db")
	must(t, err)
	if !strings.Contains(string(held.Credentials), "hidden") {
		t.Error("who may see credentials does not")
	}
	name := "orders"
	changed, err := dev.ChangeService(ctx, "db", client.ServiceChange{Name: &name, Credentials: json.RawMessage(`{"a":1}`)})
	must(t, err)
	if changed.Name != "orders" || fmt.Sprint(changed.Credentials) != "[a]" || fmt.Sprint(changed.Tags) != "[sql]" {
		t.Errorf("changed to %+v", changed)
	}
	if err := dev.DeleteService(ctx, "orders"); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "shop") {
		t.Errorf("deleted while bound: %v", err)
	}
	must(t, dev.Unbind(ctx, "shop", "orders"))
	if err := dev.Unbind(ctx, "shop", "orders"); !fault.Is(err, fault.NotFound) {
		t.Errorf("unbound twice: %v", err)
	}
	must(t, dev.DeleteService(ctx, "orders"))
	if w.logs != nil && strings.Contains(w.logs.String(), "hidden") {
		t.Error("a credential is in the log")
	}
}

func TestVariablesOfAllApps(t *testing.T) {
	w := newWorld(t, api.Config{})
	ctx, c := t.Context(), w.client("root")
	got, err := c.SetVariables(ctx, "running", client.VariablesChange{Set: map[string]string{"TZ": "UTC", "A": "1"}})
	must(t, err)
	got, err = c.SetVariables(ctx, "running", client.VariablesChange{Unset: []string{"A"}})
	must(t, err)
	if len(got.Env) != 1 || got.Env["TZ"] != "UTC" || got.Group != "running" {
		t.Errorf("got %+v", got)
	}
	if got, err := c.Variables(ctx, "staging"); err != nil || len(got.Env) != 0 {
		t.Errorf("staging has %+v, %v", got, err)
	}
	if _, err := c.Variables(ctx, "other"); err == nil {
		t.Error("a group that is not there")
	}
}
