package meter

import (
	"testing"

	"naru/internal/route"
)

func TestTCPRoutesAreListed(t *testing.T) {
	of := route.App{ID: "a1", Name: "shop"}
	groups := []route.Group{{ID: "g1", Name: "shop-v001"}}
	dir := Listed(&route.Table{TCP: []route.Stream{
		{ID: "t1", Port: 20000, App: of, Groups: groups}, {ID: "t2", SNI: "db.test", App: of, Groups: groups},
	}}, homes)
	home := Home{"o1", "s1", "default/dev"}
	for _, c := range []struct {
		route, group string
		want         Place
		known        bool
	}{
		{"t1", "g1", Place{"tcp:20000", "shop-v001", "shop", home}, true},
		{"t1", "", Place{"tcp:20000", "", "shop", home}, true},
		{"t2", "g1", Place{"sni:db.test", "shop-v001", "shop", home}, true},
		{"t2", "gone", Place{"sni:db.test", "gone", "shop", home}, false},
	} {
		if got, known := dir(c.route, c.group); got != c.want || known != c.known {
			t.Errorf("%s of %s: %+v, %v, want %+v, %v", c.group, c.route, got, known, c.want, c.known)
		}
	}
}
