package client

import (
	"context"
	"time"
)

// Feature is something that the platform lets people do, as long as it is switched
// on.
type Feature struct {
	Name      string    `json:"name" doc:"as Cloud Foundry names it"`
	About     string    `json:"about" doc:"what it lets people do"`
	Enabled   bool      `json:"enabled"`
	Message   string    `json:"message,omitempty" doc:"what is told to whom it is refused, beside its name"`
	UpdatedAt time.Time `json:"updated_at,omitzero" doc:"when it was switched last; absent: never"`
	Fixed     string    `json:"fixed,omitempty" doc:"why it cannot be switched; absent: it can"`
}

// FeatureChange switches a feature; what is absent stays.
type FeatureChange struct {
	Enabled *bool   `json:"enabled,omitempty"`
	Message *string `json:"message,omitempty" maxLength:"1000" doc:"told to whom it is refused; empty: the platform's own words alone"`
}

// Features lists what the platform can let people do, and whether it does.
func (c *Client) Features(ctx context.Context) ([]Feature, error) {
	l, err := list[Feature](ctx, c, "/v1/features", nil)
	return l.Items, err
}

// Feature returns a feature by name.
func (c *Client) Feature(ctx context.Context, name string) (f Feature, err error) {
	err = c.get(ctx, join("/v1/features", name), nil, &f)
	return f, err
}

// SwitchFeature changes a feature.
func (c *Client) SwitchFeature(ctx context.Context, name string, in FeatureChange) (f Feature, err error) {
	err = c.patch(ctx, join("/v1/features", name), in, &f)
	return f, err
}
