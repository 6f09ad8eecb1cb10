//go:build !linux

package doctor

// Checks lists what can be checked on a machine that runs no platform.
func Checks() []Check {
	return []Check{
		{Name: "dns", Run: checkDNS},
		{Name: "ca", Run: checkCA},
	}
}
