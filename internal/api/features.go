package api

import (
	"context"

	"naru/internal/auth"
	"naru/internal/client"
	"naru/internal/feature"
)

// Features is where it is looked up what is switched on, and switched.
type Features interface {
	Features() []feature.Feature
	Feature(n feature.Name) (feature.Feature, error)
	Switch(ctx context.Context, by string, n feature.Name, c feature.Change) (feature.Feature, error)
}

// featureRoutes are the routes of features: all may know what is switched off.
func (s *server) featureRoutes() []Route {
	const one = "/v1/features/{feature}"
	return []Route{
		{get, "/v1/features", auth.PlatformRead, "List what the platform lets people do", call(s.listFeatures)},
		{get, one, auth.PlatformRead, "Get a feature", call(s.getFeature)},
		{patch, one, auth.PlatformManage, "Switch a feature on or off", call(s.switchFeature)},
	}
}

func featureOf(f feature.Feature) client.Feature {
	return client.Feature{Name: string(f.Name), About: f.About, Enabled: f.On, Message: f.Message, UpdatedAt: f.Updated, Fixed: f.Fixed}
}

func (s *server) listFeatures(context.Context, *nothing) (client.List[client.Feature], error) {
	return whole(s.Features.Features(), featureOf), nil
}

// FeaturePath names a feature; exported because huma looks into exported fields only.
type FeaturePath struct {
	Feature string `path:"feature" doc:"feature, by name"`
}

func (s *server) getFeature(_ context.Context, in *FeaturePath) (client.Feature, error) {
	f, err := s.Features.Feature(feature.Name(in.Feature))
	return featureOf(f), err
}

type featureChangeInput struct {
	FeaturePath
	Body client.FeatureChange
}

func (s *server) switchFeature(ctx context.Context, in *featureChangeInput) (client.Feature, error) {
	f, err := s.Features.Switch(ctx, requestOf(ctx).who.Name, feature.Name(in.Feature), feature.Change{On: in.Body.Enabled, Message: in.Body.Message})
	return featureOf(f), err
}
