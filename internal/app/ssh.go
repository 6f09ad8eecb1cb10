package app

import "naru/internal/fault"

// CheckSSH refuses to let anybody into instances of an app where it or its space
// says so.
func CheckSSH(s Space, a App) error {
	switch {
	case s.NoSSH:
		return fault.New(fault.Denied, "", "nobody gets into instances in the space %s", s.Name).WithTry("cf allow-space-ssh %s", s.Name)
	case a.NoSSH:
		return fault.New(fault.Denied, "", "nobody gets into instances of the app %s", a.Name).WithTry("cf enable-ssh %s", a.Name)
	}
	return nil
}
