package gateway

import "naru/internal/route/h1"

// headerOf is the first value of a header field; nil where there is none.
func headerOf(req *h1.Request, name string) []byte {
	for i := range req.Fields {
		if f := &req.Fields[i]; equalFold(req.Name(f), name) {
			return req.Value(f)
		}
	}
	return nil
}

// cookieOf is the first value of a cookie; nil where there is none.
func cookieOf(req *h1.Request, name string) (value []byte) {
	cookiesOf(req, name, func(v []byte) bool {
		value = v
		return false
	})
	return value
}

// cookiesOf calls yield for the values of a cookie until that returns false: one
// name may come from several paths.
func cookiesOf(req *h1.Request, name string, yield func(value []byte) bool) {
	for i := range req.Fields {
		f := &req.Fields[i]
		if !equalFold(req.Name(f), "Cookie") {
			continue
		}
		for list := req.Value(f); len(list) > 0; {
			one := list
			end := 0
			for end < len(list) && list[end] != ';' {
				end++
			}
			if one, list = list[:end], list[min(end+1, len(list)):]; len(one) == 0 {
				continue
			}
			for len(one) > 0 && one[0] == ' ' {
				one = one[1:]
			}
			if len(one) > len(name) && one[len(name)] == '=' && string(one[:len(name)]) == name && !yield(one[len(name)+1:]) {
				return
			}
		}
	}
}

// hasCookie looks for NAME=VALUE in a Cookie header.
func hasCookie(list []byte, name, value string) bool {
	for len(list) > 0 {
		end := 0
		for end < len(list) && list[end] != ';' {
			end++
		}
		one := list[:end]
		for len(one) > 0 && one[0] == ' ' {
			one = one[1:]
		}
		if len(one) > len(name) && one[len(name)] == '=' && string(one[:len(name)]) == name && (value == "" || string(one[len(name)+1:]) == value) {
			return true
		}
		if end == len(list) {
			break
		}
		list = list[end+1:]
	}
	return false
}

// equalFold compares names; letters of ASCII are equal whatever their case.
func equalFold(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if 'A' <= x && x <= 'Z' {
			x += 'a' - 'A'
		}
		if 'A' <= y && y <= 'Z' {
			y += 'a' - 'A'
		}
		if x != y {
			return false
		}
	}
	return true
}
