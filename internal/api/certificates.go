package api

import (
	"context"

	"naru/internal/app"
	"naru/internal/client"
	"naru/internal/fault"
	"naru/internal/pipeline/operation"
	"naru/internal/route"
)

// Certificates keeps what hosts are served with over TLS. Hosts are in the form
// of the routing table.
type Certificates interface {
	HostCertificates(ctx context.Context, space app.SpaceID) ([]client.Certificate, error)
	// SetCertificate checks a certificate with its key, keeps it sealed and has it
	// served. A host of another space is a Conflict.
	SetCertificate(ctx context.Context, by operation.Ask, space app.SpaceID, host string, in client.NewCertificate) (client.Certificate, error)
	DeleteCertificate(ctx context.Context, by operation.Ask, space app.SpaceID, host string) error
	// OfPlatform reports whether a host is for all spaces: a name of the platform, or
	// the wildcard over all apps.
	OfPlatform(host string) bool
}

func (s *server) listCertificates(ctx context.Context, _ *nothing) (client.List[client.Certificate], error) {
	all, err := s.Certificates.HostCertificates(ctx, at(ctx).space.ID)
	return whole(all, same), err
}

type certificateInput struct {
	Host string `path:"host" maxLength:"255" doc:"host name, *.example.com for all below example.com"`
	Body client.NewCertificate
}

func (s *server) setCertificate(ctx context.Context, in *certificateInput) (client.Certificate, error) {
	host, err := route.ParseHost(in.Host)
	if err != nil {
		return client.Certificate{}, err
	}
	who := requestOf(ctx).who
	if s.Certificates.OfPlatform(host) && !who.Admin {
		return client.Certificate{}, fault.New(fault.Denied, "host", "%s may not add a certificate for %s: all spaces are served with it", who.Name, host).
			WithTry("ask an admin")
	}
	return s.Certificates.SetCertificate(ctx, requestOf(ctx).by(), at(ctx).space.ID, host, in.Body)
}

type certificatePath struct {
	Host string `path:"host" maxLength:"255" doc:"host name, as it is listed"`
}

func (s *server) deleteCertificate(ctx context.Context, in *certificatePath) error {
	host, err := route.ParseHost(in.Host)
	if err != nil {
		return err
	}
	return s.Certificates.DeleteCertificate(ctx, requestOf(ctx).by(), at(ctx).space.ID, host)
}
