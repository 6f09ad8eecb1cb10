package route_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"naru/internal/fault"
	"naru/internal/route"
)

const good = `{
  "version": 7,
  "written": "2026-01-02T03:04:05Z",
  "routes": [
    {
      "id": "r1", "host": "shop.example", "path": "/",
      "app": {"id": "a1", "name": "shop"},
      "timeouts": {"response": "30s"},
      "groups": [
        {
          "id": "g1", "name": "shop-v001",
          "weight": 100,
          "instances": [{"id": "i1", "address": "10.64.0.7:8080", "index": 0}]
        }
      ]
    }
  ]
}
`

func TestDecodeFile(t *testing.T) {
	for name, tc := range map[string]struct{ from, to, field, message string }{
		"good":            {"", "", "", ""},
		"unknown key":     {`"weight": 100`, `"wieght": 100`, "t.json:12", "routes[0].groups[0].wieght: is not a key of a table; known here: app, guard, id, instances, match, name, pair, protocol, weight"},
		"other case":      {`"weight": 100`, `"Weight": 100`, "t.json:12", "routes[0].groups[0].Weight: is not a key"},
		"twice":           {`"weight": 100`, `"weight": 100, "weight": 1`, "t.json:12", "routes[0].groups[0].weight: stands here twice"},
		"weight too big":  {`"weight": 100`, `"weight": 10001`, "t.json:12", "routes[0].groups[0].weight: 10001 is not between 0 and 10000"},
		"weight a string": {`"weight": 100`, `"weight": "100"`, "t.json:12", "routes.groups.weight: wants a whole number, got string"},
		"host":            {`"shop.example"`, `"Shop.example"`, "t.json:6", `routes[0].host: "Shop.example" is not a host name: it must be lower case`},
		"path":            {`"path": "/"`, `"path": "api"`, "t.json:6", `routes[0].path: "api" cannot be a path: it must start with /`},
		"no path":         {`, "path": "/"`, ``, "t.json:5", `routes[0].path: "" cannot be a path`},
		"address":         {`10.64.0.7:8080`, `10.64.0.7`, "t.json:13", `routes[0].groups[0].instances[0].address: "10.64.0.7" is not HOST:PORT`},
		"no id":           {`"id": "i1", `, ``, "t.json:13", `routes[0].groups[0].instances[0].id: is missing`},
		"duration":        {`"30s"`, `"30"`, "t.json", "not a duration"},
		"comma":           {`"weight": 100,`, `"weight": 100`, "t.json:13", "not JSON"},
		"cut off":         {"  ]\n}\n", "", "t.json:16", "not JSON"},
		"rubbish after":   {"}\n", "} x\n", "t.json", "not JSON"},
		"a list":          {good, "[]", "t.json:1", "table: wants an object, got array"},
		"empty":           {good, " \n", "t.json", "empty"},
		"binary":          {good, "\x00\x01", "t.json:1", "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			table, err := route.DecodeFile("t.json", []byte(strings.Replace(good, tc.from, tc.to, 1)))
			if tc.message == "" {
				if err != nil || table.Version != 7 || table.Routes[0].Timeouts.Response.String() != "30s" {
					t.Errorf("DecodeFile = %+v, %v", table, err)
				}
				return
			}
			f := fault.Of(err)
			if err == nil || f.Kind != fault.Invalid || !strings.HasPrefix(f.Field, tc.field) || !strings.Contains(f.Error(), tc.message) {
				t.Errorf("got %v\nwant %s: %s", err, tc.field, tc.message)
			}
		})
	}
	twice := strings.Replace(good, "    }\n  ]\n}", "    },\n    {\"id\":\"r2\",\"host\":\"shop.example\",\"path\":\"/\",\"app\":{\"id\":\"a\",\"name\":\"b\"},\"groups\":[]}\n  ]\n}", 1)
	if _, err := route.DecodeFile("t.json", []byte(twice)); err == nil || !strings.Contains(err.Error(), "t.json:16: routes[1]: shop.example is already routes[0]") {
		t.Errorf("the same route twice: %v", err)
	}
}

func TestDecodeReadsNewerTables(t *testing.T) {
	newer := strings.Replace(good, `"weight": 100`, `"weight": 100, "hue": {"of": "g0"}`, 1)
	if _, err := route.Decode([]byte(newer)); err != nil {
		t.Errorf("Decode = %v", err)
	}
	if _, err := route.Decode([]byte(strings.Replace(good, "shop.example", "no host", 1))); err == nil {
		t.Error("a table that cannot be served was read")
	}
}

// TestDocumentedTable keeps the example in the manual true.
func TestDocumentedTable(t *testing.T) {
	doc, err := os.ReadFile("../../docs/gateway-table.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(string(doc), -1)
	if len(blocks) == 0 {
		t.Fatal("no example")
	}
	for _, b := range blocks {
		if _, err := route.DecodeFile("example", []byte(b[1])); err != nil {
			t.Errorf("the example does not work: %v", err)
		}
	}
}

func FuzzDecodeFile(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(`{"routes":[{}]}`))
	f.Add([]byte(`{"routes":null,"routes":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := route.DecodeFile("t.json", data)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%v is not for people", err)
			}
			return
		}
		again, err := json.Marshal(table)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := route.DecodeFile("t.json", again); err != nil {
			t.Errorf("written again it is refused: %v", err)
		}
	})
}
