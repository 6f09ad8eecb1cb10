package server

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/auth/vault"
	"naru/internal/config"
	"naru/internal/fault"
	"naru/internal/id"
	"naru/internal/pipeline/operation"
	"naru/internal/run"
	"naru/internal/secret"
	"naru/internal/source"
	"naru/internal/store"
)

// The operations on the platform itself.
const (
	kindRotate operation.Kind = "rotate-key"
	kindGC     operation.Kind = "collect-garbage"
)

// upkeep is long work on the platform: it removes what nobody needs and renews
// the key of secrets.
type upkeep struct {
	store    *store.Store
	vault    *vault.Vault
	keys     *atomic.Pointer[secret.Keyring]
	keyPath  string
	registry artifact.Shelf
	driver   run.Driver
	frozen   *source.Store
	baked    cache
	built    interface {
		Prune(ctx context.Context) (freed int64, err error)
	}
	keep config.Keep
	wake func()
	log  *slog.Logger
}

// cache is what may be made or fetched again, up to its own limit.
type cache interface {
	Prune() (freed int64, err error)
}

func (u *upkeep) handlers() map[operation.Kind]operation.Handler {
	return map[operation.Kind]operation.Handler{kindRotate: u.rotate, kindGC: u.collect}
}

// RotateKey starts the renewal of the key of secrets.
func (u *upkeep) RotateKey(ctx context.Context, by operation.Ask) (operation.Operation, error) {
	return u.submit(ctx, by, kindRotate)
}

// CollectGarbage starts a collection.
func (u *upkeep) CollectGarbage(ctx context.Context, by operation.Ask) (operation.Operation, error) {
	return u.submit(ctx, by, kindGC)
}

func (u *upkeep) submit(ctx context.Context, by operation.Ask, kind operation.Kind) (operation.Operation, error) {
	op, err := u.store.AddOperation(ctx, operation.Operation{
		ID: operation.ID(id.New()), Kind: kind, Subject: "platform/" + string(kind), Actor: by.Actor, Key: by.Key,
		Request: []byte("{}"), State: operation.Queued,
	})
	if err == nil {
		u.wake()
	}
	return op, err
}

// Run collects garbage every few hours, until ctx ends.
func (u *upkeep) Run(ctx context.Context) error {
	tick := time.NewTicker(6 * time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if _, err := u.submit(ctx, operation.Ask{Actor: "naru"}, kindGC); err != nil && ctx.Err() == nil {
				u.log.WarnContext(ctx, "start collection of garbage", "error", err)
			}
		}
	}
}

// rotate puts a fresh key in front, seals everything with it, and then drops the
// old ones. Killed anywhere, it goes on: every key opens until the last value is
// sealed anew.
func (u *upkeep) rotate(ctx context.Context, w *operation.Work) (any, error) {
	_, err := operation.Step(ctx, w, "key", func(context.Context) (string, operation.Outcome, error) {
		ring, err := u.keys.Load().Rotated()
		if err != nil {
			return "", operation.Outcome{}, err
		}
		if err := ring.Save(u.keyPath); err != nil {
			return "", operation.Outcome{}, err
		}
		u.keys.Store(ring)
		return ring.KeyID(), operation.Outcome{Text: "new key " + ring.KeyID()}, nil
	})
	if err != nil {
		return nil, err
	}
	return operation.Step(ctx, w, "seal", func(ctx context.Context) (int, operation.Outcome, error) {
		n, err := u.vault.Reseal(ctx)
		if err != nil {
			return n, operation.Outcome{}, err
		}
		ring := u.keys.Load().Newest()
		if err := ring.Save(u.keyPath); err != nil {
			return n, operation.Outcome{}, err
		}
		u.keys.Store(ring)
		return n, operation.Outcome{Text: fmt.Sprintf("%d values sealed anew, older keys dropped", n)}, nil
	})
}

// collect removes releases beyond those kept, then images, unpacked images and
// sources that nothing names any more.
func (u *upkeep) collect(ctx context.Context, w *operation.Work) (any, error) {
	_, err := operation.Step(ctx, w, "store", func(ctx context.Context) (bool, operation.Outcome, error) {
		text, err := u.forget(ctx)
		return true, operation.Outcome{Text: text}, err
	})
	if err != nil {
		return nil, err
	}
	got, err := operation.Step(ctx, w, "registry", func(ctx context.Context) (artifact.Collected, operation.Outcome, error) {
		got, err := artifact.GC(ctx, u.registry, u.store.KeptImages(ctx), artifact.GCOptions{})
		return got, operation.Outcome{Text: fmt.Sprintf("%d images and %d layers removed, %d MiB freed", got.Manifests, got.Blobs, got.Bytes>>20)}, err
	})
	if err != nil {
		return nil, err
	}
	_, err = operation.Step(ctx, w, "machine", func(ctx context.Context) (int, operation.Outcome, error) {
		n, err := u.dropLocal(ctx)
		return n, operation.Outcome{Text: fmt.Sprintf("%d unpacked images removed", n)}, err
	})
	if err != nil {
		return nil, err
	}
	_, err = operation.Step(ctx, w, "source", func(ctx context.Context) (int64, operation.Outcome, error) {
		freed, err := u.sweepSource(ctx)
		return freed, operation.Outcome{Text: fmt.Sprintf("%d MiB freed", freed>>20)}, err
	})
	if err != nil {
		return nil, err
	}
	_, err = operation.Step(ctx, w, "builds", func(ctx context.Context) (int64, operation.Outcome, error) {
		freed, err := u.built.Prune(ctx)
		if fault.Is(err, fault.Unavailable) {
			return 0, operation.Outcome{Text: "no build engine", Skipped: true}, nil
		}
		return freed, operation.Outcome{Text: fmt.Sprintf("%d MiB of build cache removed", freed>>20)}, err
	})
	if err != nil {
		return nil, err
	}
	_, err = operation.Step(ctx, w, "packages", func(context.Context) (int64, operation.Outcome, error) {
		freed, err := u.baked.Prune()
		return freed, operation.Outcome{Text: fmt.Sprintf("%d MiB of fetched packages removed", freed>>20)}, err
	})
	return got, err
}

// forget removes records that are old, and releases beyond those kept, also of
// apps that are stopped.
func (u *upkeep) forget(ctx context.Context) (string, error) {
	apps, err := u.store.AppIDs(ctx)
	if err != nil {
		return "", err
	}
	var releases int64
	for _, a := range apps {
		n, err := u.store.ForgetReleases(ctx, a, u.keep.Releases)
		if fault.Is(err, fault.NotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return "", err
		}
		releases += int64(n)
	}
	images, err := u.store.ForgetImages(ctx, time.Now().Add(-24*time.Hour))
	if err != nil {
		return "", err
	}
	if _, err := u.store.SpoilPackages(ctx, time.Now().Add(-24*time.Hour), "nothing was uploaded for a day"); err != nil {
		return "", err
	}
	if _, err := u.store.Prune(ctx, store.DefaultRetention()); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d releases and %d images forgotten", releases, images), nil
}

// dropLocal removes images from the machine that no release needs.
func (u *upkeep) dropLocal(ctx context.Context) (int, error) {
	kept := map[artifact.Ref]bool{}
	for ref, err := range u.store.KeptImages(ctx) {
		if err != nil {
			return 0, err
		}
		kept[ref] = true
	}
	local, err := u.driver.Images(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, img := range local {
		if kept[img.Ref] || time.Since(img.Since) < time.Hour {
			continue
		}
		if err := u.driver.RemoveImage(ctx, img.Ref); err != nil {
			if fault.Is(err, fault.Conflict) {
				continue // something still runs from it
			}
			return n, err
		}
		n++
	}
	return n, nil
}

// sweepSource removes snapshots that no image names and that are a day old, and of
// spaces that are gone what is left then.
func (u *upkeep) sweepSource(ctx context.Context) (int64, error) {
	spaces, err := u.frozen.Spaces()
	if err != nil {
		return 0, err
	}
	var freed int64
	for _, space := range spaces {
		keep, err := u.neededSource(ctx, space)
		if err != nil {
			return freed, err
		}
		swept, err := u.frozen.Sweep(ctx, space, keep, 24*time.Hour)
		if err != nil {
			return freed, err
		}
		freed += swept.Bytes
		gone, err := u.gone(ctx, space)
		if err != nil {
			return freed, err
		}
		if gone {
			if err := u.frozen.DropEmpty(space); err != nil {
				return freed, err
			}
		}
	}
	return freed, nil
}

// gone reports that a space was deleted; what was uploaded as buildpacks is in none.
func (u *upkeep) gone(ctx context.Context, space app.SpaceID) (bool, error) {
	if space == source.Buildpacks {
		return false, nil
	}
	_, err := u.store.Space(ctx, space)
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	return false, err
}

func (u *upkeep) neededSource(ctx context.Context, space app.SpaceID) ([]string, error) {
	if space == source.Buildpacks {
		return u.neededBuildpacks(ctx)
	}
	snaps, err := u.store.Snapshots(ctx, space)
	if err != nil {
		return nil, err
	}
	var keep []string
	for _, s := range snaps {
		keep = append(keep, s.Digest)
	}
	return keep, nil
}

// neededBuildpacks are the files of the buildpacks that were uploaded.
func (u *upkeep) neededBuildpacks(ctx context.Context) ([]string, error) {
	all, err := u.store.Buildpacks(ctx)
	var keep []string
	for _, b := range all {
		if b.Digest != "" {
			keep = append(keep, b.Digest)
		}
	}
	return keep, err
}
