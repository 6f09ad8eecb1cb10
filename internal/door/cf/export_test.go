package cf

// Patterns are the endpoints of the API.
func Patterns() []string {
	var d Door
	return each(d.apiRoutes(), func(e endpoint) string { return e.pattern })
}
