package bake

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"naru/internal/build/bake/apt"
	"naru/internal/build/bake/deb"
	"naru/internal/build/bake/npm"
	"naru/internal/build/bake/resolve"
	"naru/internal/fault"
)

// choose makes the lock: what the declaration comes to today.
func (r *run) choose(ctx context.Context) (*Lock, error) {
	var suites []apt.Suite
	var pins []npm.Pin
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { suites, err = r.releases(gctx); return err })
	g.Go(func() (err error) { pins, err = r.pins(gctx); return err })
	if err := r.step("suites", g.Wait); err != nil {
		return nil, err
	}
	lock := &Lock{
		Version: lockVersion, Foundation: r.spec.Foundation, Wish: r.spec.wish(),
		Architecture: r.spec.From.Architecture, Npm: pins,
	}
	for _, s := range suites {
		lock.Suites = append(lock.Suites, LockedSuite{s.URI, s.Suite, s.Release.Date, s.SHA256})
	}
	remembered := r.choicePath(*lock)
	if lock.choose(remembered) {
		return lock, nil
	}
	err := r.alone(ctx, "choice-"+filepath.Base(remembered), func() error {
		if lock.choose(remembered) {
			return nil // an equal bake has resolved it meanwhile
		}
		return r.resolve(ctx, lock, suites, remembered)
	})
	return lock, err
}

// choose fills in the packages that an earlier bake chose.
func (l *Lock) choose(remembered string) bool {
	raw, err := os.ReadFile(remembered)
	return err == nil && json.Unmarshal(raw, &l.Packages) == nil && l.check() == nil
}

// resolve fills in the newest packages, and remembers them.
func (r *run) resolve(ctx context.Context, lock *Lock, suites []apt.Suite, remembered string) error {
	err := r.step("resolve", func() (err error) {
		lock.Packages, err = r.packages(ctx, suites)
		return err
	})
	if err != nil {
		return err
	}
	if err := lock.check(); err != nil {
		return fault.New(fault.Invalid, "from.mirror", "%s", err)
	}
	raw, err := json.Marshal(lock.Packages)
	if err != nil {
		return err
	}
	return r.keep(ctx, remembered, raw)
}

// choicePath is where the answer to "these suites, this wish" is kept: while no
// Release changes, nothing needs to be resolved again.
func (r *run) choicePath(l Lock) string {
	l.Npm = nil
	return filepath.Join(r.cfg.CacheDir, "choices", hash([]byte(version+string(l.Encode()))))
}

// releases reads the signed Release of every suite at once.
func (r *run) releases(ctx context.Context) ([]apt.Suite, error) {
	sources, err := r.sources()
	if err != nil {
		return nil, err
	}
	suites := make([]apt.Suite, len(sources))
	g, gctx := errgroup.WithContext(ctx)
	for i, src := range sources {
		g.Go(func() (err error) {
			suites[i], err = r.apt.Release(gctx, src)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, s := range suites {
		if end := s.Release.ValidUntil; !end.IsZero() && r.cfg.Now().After(end) {
			r.warn(ctx, "suite %s of %s ran out on %s and is taken since from.check_valid_until is false: later security updates are not in it",
				s.Suite, s.URI, end.Format(time.DateOnly))
		}
	}
	return suites, nil
}

// sources says which mirror serves which suite.
func (r *run) sources() ([]apt.Source, error) {
	from := r.spec.From
	m := apt.Mirrors{Main: cmp.Or(from.Mirror, r.cfg.Mirror), Security: cmp.Or(from.Security, r.cfg.Security)}
	if from.Mirror != "" && from.Security == "" {
		m.Security = "" // a mirror named here must not be mixed with one configured for another
	}
	if m.Security == "" && m.Main != "" {
		m.Security = besides(m.Main)
	}
	if m.Main == "" || m.Security == "" {
		host, err := r.hostApts()
		if err != nil {
			return nil, fmt.Errorf("read the host's apt sources: %w", err)
		}
		m.Main, m.Security = cmp.Or(m.Main, host.Main), cmp.Or(m.Security, host.Security)
	}
	var all []apt.Source
	for _, suite := range from.Suites {
		uri := m.Main
		if strings.HasSuffix(suite, "-security") {
			uri = m.Security
		}
		all = append(all, apt.Source{
			URI: strings.TrimRight(uri, "/"), Suite: suite, Components: from.Components,
			IgnoreValidUntil: from.CheckValidUntil != nil && !*from.CheckValidUntil,
		})
	}
	return all, nil
}

// besides is where a mirror of Debian has the security archive: in the folder
// beside it, if it is called as Debian calls it; "" otherwise.
func besides(main string) string {
	if rest, ok := strings.CutSuffix(strings.TrimRight(main, "/"), "/debian"); ok {
		return rest + "/debian-security"
	}
	return ""
}

func (r *run) pins(ctx context.Context) ([]npm.Pin, error) {
	pins := make([]npm.Pin, len(r.spec.Npm))
	g, ctx := errgroup.WithContext(ctx)
	for i, wish := range r.spec.Npm {
		g.Go(func() (err error) {
			pins[i], err = r.npm.Resolve(ctx, wish, r.spec.From.Architecture)
			return err
		})
	}
	if err := g.Wait(); err != nil || len(pins) == 0 {
		return nil, err
	}
	return pins, nil
}

// packages reads the indexes and resolves the wish, and the base alone: what
// both have in common is the lower layer.
func (r *run) packages(ctx context.Context, suites []apt.Suite) ([]LockedPackage, error) {
	u, err := r.universe(ctx, suites)
	if err != nil {
		return nil, err
	}
	base, err := BuiltinSpec(BaseName)
	if err != nil {
		return nil, err
	}
	wish := slices.Clone(base.Packages)
	for _, p := range r.spec.Packages {
		if !slices.Contains(wish, p) {
			wish = append(wish, p)
		}
	}
	chosen, err := resolve.Install(u, wish)
	if err != nil {
		return nil, err
	}
	lower, err := resolve.Install(u, base.Packages)
	if err != nil {
		return nil, err
	}
	return r.locked(chosen, lower)
}

func (r *run) universe(ctx context.Context, suites []apt.Suite) (*resolve.Universe, error) {
	g, gctx := errgroup.WithContext(ctx)
	for i := range suites {
		g.Go(func() error { return r.apt.Indexes(gctx, &suites[i], r.spec.From.Architecture, r.count) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	u := resolve.NewUniverse(r.spec.From.Architecture)
	for _, s := range suites {
		for _, index := range s.Indexes {
			if err := u.Add(s.Suite, pin(s.Release), index.Text); err != nil {
				return nil, fault.New(fault.Invalid, "from.mirror", "%s", err)
			}
		}
	}
	return u, nil
}

func pin(rel apt.Release) int {
	switch {
	case rel.NotAutomatic && rel.AutomaticUpgrades:
		return resolve.PinUpgradeOnly
	case rel.NotAutomatic:
		return resolve.PinManual
	}
	return resolve.PinDefault
}

// locked writes down what a choice needs to be repeated.
func (r *run) locked(chosen, lower []resolve.Choice) ([]LockedPackage, error) {
	base := map[string]string{}
	for _, c := range lower {
		base[c.Name] = c.Version
	}
	var all []LockedPackage
	for _, c := range chosen {
		size, err := strconv.ParseInt(c.Stanza.Get("Size"), 10, 64)
		if err != nil {
			return nil, fault.New(fault.Invalid, "from.mirror", "package %s has no size in the index", c.Name)
		}
		if size > r.cfg.Limits.Package {
			return nil, fault.New(fault.TooLarge, "packages", "%s is %d MiB, the limit for one package is %d MiB", c.Name, size>>20, r.cfg.Limits.Package>>20)
		}
		all = append(all, LockedPackage{
			Name: c.Name, Version: c.Version, Architecture: c.Arch, Suite: c.Index / len(r.spec.From.Components),
			Path: c.Stanza.Get("Filename"), SHA256: c.Stanza.Get("SHA256"), Size: size,
			Base: base[c.Name] == c.Version, Requested: c.Requested, Replaces: replaced(c, chosen),
		})
	}
	return all, nil
}

// replaced lists the other chosen packages whose files c may take over.
func replaced(c resolve.Choice, chosen []resolve.Choice) []string {
	ors, err := deb.ParseRelations(c.Stanza.Get("Replaces"))
	if err != nil {
		return nil // then a clash of files is an error, which is the safe side
	}
	var names []string
	for _, or := range ors {
		for _, o := range chosen {
			if o.Name != c.Name && o.Name == or[0].Name && or[0].Accepts(o.Version) {
				names = append(names, o.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
