package prober

import (
	"reflect"
	"testing"
	"time"
)

func TestTheCourseOfAnswers(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	var c course
	c.add(at(0), at(1), 0, "")
	c.add(at(10), at(11), 1, "first")
	c.add(at(20), at(21), 2, "second")
	if want := (course{ill: at(10), failed: at(21), passed: at(0), said: "second"}); !reflect.DeepEqual(c, want) {
		t.Errorf("%+v", c)
	}
}
