package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"naru/internal/client"
	"naru/internal/pipeline/operation"
)

func (s *server) info(ctx context.Context, _ *nothing) (client.Info, error) {
	return s.Platform.Info(ctx)
}

func (s *server) healthz(context.Context, *nothing) (client.Health, error) {
	return client.Health{Status: "ok"}, nil
}

type readiness struct {
	Status int
	Body   client.Health
}

// readyz answers 503 until every part is ready; a balancer reads the status only.
func (s *server) readyz(ctx context.Context, _ *nothing) (*readiness, error) {
	if parts := s.Platform.Waiting(ctx); len(parts) > 0 {
		return &readiness{http.StatusServiceUnavailable, client.Health{Status: "starting", Parts: parts}}, nil
	}
	return &readiness{http.StatusOK, client.Health{Status: "ok"}}, nil
}

// ready answers with the status that the handler gives.
func ready(fn func(context.Context, *nothing) (*readiness, error)) answer {
	return func(s *server, op huma.Operation) { register(s, op, fn) }
}

func (s *server) doctor(ctx context.Context, _ *nothing) (client.List[client.Finding], error) {
	all, err := s.Platform.Doctor(ctx)
	return whole(all, same), err
}

func (s *server) builders(ctx context.Context, _ *nothing) (client.List[client.Builder], error) {
	all, err := s.Platform.Builders(ctx)
	return whole(all, same), err
}

func same[T any](v T) T { return v }

func (s *server) rotateKey(ctx context.Context, _ *nothing) (operation.Operation, error) {
	return s.Upkeep.RotateKey(ctx, requestOf(ctx).by())
}

func (s *server) collectGarbage(ctx context.Context, _ *nothing) (operation.Operation, error) {
	return s.Upkeep.CollectGarbage(ctx, requestOf(ctx).by())
}

type backupInput struct {
	Key bool `query:"key" doc:"with the key for secrets: whoever has the backup then has the secrets"`
}

func (s *server) backup(ctx context.Context, in *backupInput, st *stream) error {
	return s.Platform.Backup(ctx, st, in.Key)
}

func (s *server) listFoundations(ctx context.Context, _ *nothing) (client.List[client.Foundation], error) {
	all, err := s.Foundations.Foundations(ctx)
	return whole(all, foundationOf), err
}

type foundationPath struct {
	Foundation string `path:"foundation" maxLength:"255" doc:"name with version: node:22"`
}

func (s *server) getFoundation(ctx context.Context, in *foundationPath) (client.Foundation, error) {
	f, err := s.Foundations.Foundation(ctx, in.Foundation)
	return foundationOf(f), err
}

func (s *server) foundationLock(ctx context.Context, in *foundationPath, st *stream) error {
	f, err := s.Foundations.Foundation(ctx, in.Foundation)
	if err != nil {
		return err
	}
	text, err := s.Foundations.Lock(ctx, f)
	if err == nil {
		_, err = st.Write(text)
	}
	return err
}

func (s *server) foundationSBOM(ctx context.Context, in *foundationPath, st *stream) error {
	f, err := s.Foundations.Foundation(ctx, in.Foundation)
	if err != nil {
		return err
	}
	text, err := s.Foundations.SBOM(ctx, f)
	if err == nil {
		_, err = st.Write(text)
	}
	return err
}

type bakeInput struct{ Body client.BakeRequest }

func (s *server) bake(ctx context.Context, in *bakeInput) (operation.Operation, error) {
	return s.Bakery.Bake(ctx, requestOf(ctx).by(), []byte(in.Body.Spec))
}
