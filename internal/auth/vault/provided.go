package vault

import (
	"fmt"

	"naru/internal/app/service"
)

// serviceContent is the kind of sealed values that are what services hold.
const serviceContent Kind = "service"

// SealedService is what a service holds, sealed, and what it belongs to.
func SealedService(id service.ID, value string) Sealed {
	return Sealed{Host: string(id), Kind: serviceContent, Value: value}
}

// OfService reports whether the value is what a service holds.
func (s Sealed) OfService() bool { return s.App == "" && s.Kind == serviceContent }

// SealService seals what a service holds.
func (v *Vault) SealService(id service.ID, c service.Content) (string, error) {
	text, err := c.Text()
	if err != nil {
		return "", err
	}
	sealed, err := v.ring().Seal(text, SealedService(id, "").Owner())
	if err != nil {
		return "", fmt.Errorf("seal service %s: %w", id, err)
	}
	return sealed, nil
}

// OpenService opens what a service holds.
func (v *Vault) OpenService(id service.ID, sealed string) (service.Content, error) {
	text, err := v.open(sealed, SealedService(id, ""))
	if err != nil {
		return service.Content{}, err
	}
	return service.ParseContent(text)
}
