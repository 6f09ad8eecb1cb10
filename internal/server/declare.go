//go:build linux

package server

import (
	"context"

	"naru/internal/app"
	"naru/internal/app/label"
	"naru/internal/pipeline/deliver"
	"naru/internal/store"
)

// labelDeclared writes the labels and annotations of a manifest on its app.
func labelDeclared(st *store.Store) deliver.Declare {
	return func(ctx context.Context, actor string, a app.App, d deliver.Declaration) error {
		if d.Metadata == nil || d.Metadata.Empty() {
			return nil
		}
		_, err := st.SetLabels(ctx, label.Thing{Kind: "apps", ID: string(a.ID), App: a.ID}, *d.Metadata)
		return err
	}
}
