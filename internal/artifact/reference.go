package artifact

import (
	"github.com/google/go-containerregistry/pkg/name"

	"naru/internal/fault"
)

// CheckReference refuses what names no image of any registry.
func CheckReference(reference string) error {
	if _, err := name.ParseReference(reference); err != nil {
		return fault.New(fault.Invalid, "image", "%q is not the name of an image", reference).WithTry("give it as REGISTRY/NAME:TAG")
	}
	return nil
}
