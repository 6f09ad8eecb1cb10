package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"naru/internal/app"
)

type outlineRow struct {
	ID       app.ID      `bun:"id"`
	Space    app.SpaceID `bun:"space_id"`
	Created  stamp       `bun:"created"`
	Updated  stamp       `bun:"updated"`
	Draft    drafted     `bun:"draft"`
	Released released    `bun:"processes"`
}

// released are the process types of a release, without what is said of them.
type released []string

// Scan implements sql.Scanner.
func (r *released) Scan(src any) error {
	if *r = nil; src == nil {
		return nil
	}
	text, err := text(src)
	if err != nil {
		return err
	}
	var all []struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return fmt.Errorf("decode processes: %w", err)
	}
	for _, p := range all {
		*r = append(*r, p.Type)
	}
	return nil
}

// drafted are the process types that a draft says something of. Most drafts say
// nothing of any, which is found out without reading them.
type drafted []string

// Scan implements sql.Scanner.
func (d *drafted) Scan(src any) error {
	*d = nil
	text, err := text(src)
	if err != nil || !strings.Contains(text, `"processes"`) {
		return err
	}
	var draft struct {
		Processes map[string]struct{} `json:"processes"`
	}
	if err := json.Unmarshal([]byte(text), &draft); err != nil {
		return fmt.Errorf("decode a draft: %w", err)
	}
	for kind := range draft.Processes {
		*d = append(*d, kind)
	}
	slices.Sort(*d)
	return nil
}

// AppOutlines lists the apps of spaces by their outlines alone, for those who page
// through many and show few at once.
func (s *Store) AppOutlines(ctx context.Context, spaces ...app.SpaceID) ([]app.Outline, error) {
	var rows []outlineRow
	err := s.read(ctx).NewRaw(`SELECT a.id, a.space_id, a.created, a.updated, a.draft, r.processes FROM apps a
		LEFT JOIN rollouts o ON o.app_id = a.id AND o.state IN (?) AND NOT EXISTS (
			SELECT 1 FROM rollouts n WHERE n.app_id = o.app_id AND n.state IN (?) AND n.number > o.number)
		LEFT JOIN releases r ON r.id = o.release_id
		WHERE a.space_id IN (?)`, in(wentWell), in(wentWell), in(spaces)).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("list outlines of apps: %w", err)
	}
	return each(rows, func(r outlineRow) app.Outline {
		return app.Outline{ID: r.ID, Space: r.Space, Created: r.Created.Time, Updated: r.Updated.Time, Released: r.Released, Drafted: r.Draft}
	}), nil
}
