//go:build !linux

package platform

import (
	"naru/internal/fault"
	"naru/internal/supervise"
)

// Spec is Linux only.
func (p Parts) Spec() (supervise.Spec, error) {
	return supervise.Spec{}, fault.New(fault.Unsupported, "", "running a platform is Linux only")
}
