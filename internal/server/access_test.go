//go:build linux

package server

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"naru/internal/observe/logs"
	"naru/internal/observe/meter"
	"naru/internal/route"
)

// TestRecordsBecomeLines: those of apps, each with its own text; what cannot be
// kept is counted.
func TestRecordsBecomeLines(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	book, err := logs.Open(dir, logs.Limits{Days: 3}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a := &accessLog{Meter: meter.New(meter.Limits{}), book: book, log: slog.New(slog.DiscardHandler)}
	var records []route.Access
	for i := range 20 {
		one := route.Access{Time: time.Now(), Instance: "i", Index: i, URI: fmt.Sprint("/", strings.Repeat("x", 100*i)), Host: "shop.test"}
		if i%4 > 0 { // the others are of no app
			one.App = route.App{ID: "a", Name: "shop"}
		}
		records = append(records, one)
	}
	a.Access("g", records, 0)
	page, err := book.Read(t.Context(), logs.Query{App: "a"})
	if err != nil || len(page.Lines) != 15 {
		t.Fatalf("%d lines, %v", len(page.Lines), err)
	}
	for i := range page.Lines {
		l := &page.Lines[i]
		if r := &records[l.Index]; l.Text != r.Line() || l.Source != logs.Router || l.Instance != "i" {
			t.Errorf("line %d is %+v, want %s", i, l, r.Line())
		}
	}
	if err := errors.Join(book.Close(), os.RemoveAll(dir)); err != nil {
		t.Fatal(err)
	}
	a.Access("g", records, 2)
	var text strings.Builder
	if err := a.Write(&text, func(string, string) (meter.Place, bool) { return meter.Place{}, false }, meter.Reader{All: true}); err != nil {
		t.Fatal(err)
	}
	if want := "naru_gateway_access_records_dropped_total 17\n"; !strings.Contains(text.String(), want) {
		t.Errorf("want %s in %s", want, text.String())
	}
}
