package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// An app reads the credentials of a service that is bound to it, from when it is
// restarted until it is without.
func TestAnAppReadsTheCredentialsOfItsService(t *testing.T) {
	t.Parallel()
	p := start(t)
	const uri = "postgresql://shop:hidden@db.example.com/shop"
	if out, code := p.admin.run(t, `{"uri":"`+uri+`"}`, "service", "create", "db", "--credentials", "-", "--tag", "sql"); code != 0 {
		t.Fatalf("service create: %s", out)
	}
	p.admin.do(t, "push", "shop", "--path", probe(t))
	env := func(name string) string {
		t.Helper()
		got, err := p.visit(t, "shop", "/env?name="+name)
		if err != nil || got.status != 200 {
			t.Fatalf("visit: %d, %v", got.status, err)
		}
		return strings.TrimSpace(got.body)
	}
	if got := env("VCAP_SERVICES"); got != "{}" {
		t.Errorf("before: %s", got)
	}
	if out := p.admin.do(t, "bind", "shop", "db"); !strings.Contains(out, "naru restart shop") {
		t.Errorf("bind does not say how to go on: %s", out)
	}
	p.admin.do(t, "restart", "shop")
	var services map[string][]struct {
		Name        string
		Credentials map[string]string
	}
	if err := json.Unmarshal([]byte(env("VCAP_SERVICES")), &services); err != nil {
		t.Fatal(err)
	}
	if of := services["user-provided"]; len(of) != 1 || of[0].Name != "db" || of[0].Credentials["uri"] != uri {
		t.Errorf("VCAP_SERVICES holds %+v", services)
	}
	if got, want := env("DATABASE_URL"), strings.Replace(uri, "postgresql", "postgres", 1); got != want {
		t.Errorf("DATABASE_URL is %s", got)
	}
	var application struct {
		Name string
		URIs []string
		Port int
	}
	if err := json.Unmarshal([]byte(env("VCAP_APPLICATION")), &application); err != nil {
		t.Fatal(err)
	}
	if application.Name != "shop" || len(application.URIs) != 1 || application.URIs[0] != "shop.localhost" || application.Port != 8080 {
		t.Errorf("VCAP_APPLICATION holds %+v", application)
	}
	for _, name := range []string{"PORT", "CF_INSTANCE_PORT", "VCAP_APP_PORT"} {
		if got := env(name); got != "8080" {
			t.Errorf("%s is %s", name, got)
		}
	}
	if address, ip := env("CF_INSTANCE_ADDR"), env("CF_INSTANCE_INTERNAL_IP"); address != ip+":8080" || env("CF_INSTANCE_IP") != ip || env("CF_INSTANCE_INDEX") != "0" {
		t.Errorf("it is at %s, %s", address, ip)
	}
	if out := p.admin.do(t, "services") + p.admin.do(t, "service", "show", "db") + p.admin.do(t, "events"); strings.Contains(out, "hidden") {
		t.Errorf("a credential shows:\n%s", out)
	}
	p.admin.refused(t, []string{"service", "delete", "db"}, "bound to shop", "naru unbind shop db")
	p.admin.refused(t, []string{"set-env", "shop", "VCAP_SERVICES={}"}, "VCAP_", "naru bind")
	p.admin.do(t, "unbind", "shop", "db")
	p.admin.do(t, "restart", "shop")
	if got := env("VCAP_SERVICES"); got != "{}" {
		t.Errorf("unbound: %s", got)
	}
	p.admin.do(t, "service", "delete", "db")
}
