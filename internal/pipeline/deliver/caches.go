package deliver

import (
	"context"
	"strings"

	"naru/internal/app"
	"naru/internal/event"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
)

// allCaches is the setting that names the caches of all apps since they were
// emptied last.
const allCaches = "build.caches"

// EmptyCache leaves an app's builds without what earlier ones kept: the next one
// begins with empty caches, which are the app's own from then on. A build that is
// on its way ends with those it has. What was left goes with the next cleaning of
// the build daemon.
func (s *Service) EmptyCache(ctx context.Context, by operation.Ask, a app.ID) error {
	_, err := s.store.UpdateApp(ctx, a, func(a *app.App) error { a.Build.Cache = id.New(); return nil },
		event.Event{Kind: "app.configured", Actor: by.Actor, Detail: map[string]any{"cache": "emptied"}})
	return err
}

// EmptyCaches is EmptyCache for all apps, those to come included.
func (s *Service) EmptyCaches(ctx context.Context, by operation.Ask) error {
	return s.store.SetSetting(ctx, allCaches, id.New(), event.Event{Kind: "cache.emptied", Actor: by.Actor, Subject: "all apps"})
}

// cacheOf names the caches of an app's builds; "": those of its space.
func (s *Service) cacheOf(ctx context.Context, a app.App) (string, error) {
	all, err := s.store.Setting(ctx, allCaches)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", err
	}
	return strings.Trim(all+"/"+a.Build.Cache, "/"), nil
}
