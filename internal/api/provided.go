package api

import (
	"context"

	"naru/internal/app"
	"naru/internal/app/service"
	"naru/internal/client"
	"naru/internal/pipeline/operation"
	"naru/internal/pipeline/provide"
	"naru/internal/secret"
)

// Provided keeps services, their bindings, and the variables that all apps get;
// *provide.Desk does.
type Provided interface {
	Services(ctx context.Context, spaces ...app.SpaceID) ([]service.Service, error)
	ServiceNamed(ctx context.Context, space app.SpaceID, name string) (service.Service, error)
	Content(ctx context.Context, id service.ID) (service.Content, error)
	CreateService(ctx context.Context, by operation.Ask, space app.SpaceID, c provide.Change) (service.Service, error)
	ChangeService(ctx context.Context, by operation.Ask, id service.ID, c provide.Change) (service.Service, error)
	// DropService refuses one that is bound.
	DropService(ctx context.Context, by operation.Ask, id service.ID) error

	Bindings(ctx context.Context, f service.Find) ([]service.Standing, error)
	Bind(ctx context.Context, by operation.Ask, a app.ID, of service.ID, name string) (service.Binding, error)
	Unbind(ctx context.Context, by operation.Ask, b service.Standing) error

	Variables(ctx context.Context, g provide.Group) (map[string]string, error)
	SetVariables(ctx context.Context, by operation.Ask, g provide.Group, change app.EnvChange) (map[string]string, error)
}

type servicesInput struct {
	App string `query:"app" maxLength:"255" doc:"those that are bound to this app; absent: all"`
}

func (s *server) listServices(ctx context.Context, in *servicesInput) (client.List[client.Service], error) {
	space := at(ctx).space.ID
	of, err := s.drainedApp(ctx, in.App)
	if err != nil {
		return client.List[client.Service]{}, err
	}
	all, err := s.Provided.Services(ctx, space)
	if err != nil {
		return client.List[client.Service]{}, err
	}
	bound, err := s.Provided.Bindings(ctx, service.Find{Spaces: []app.SpaceID{space}})
	if err != nil {
		return client.List[client.Service]{}, err
	}
	byService := map[service.ID][]service.Standing{}
	for _, b := range bound {
		byService[b.Service] = append(byService[b.Service], b)
	}
	out := []client.Service{}
	for _, one := range all {
		if of != "" && !anyOf(byService[one.ID], of) {
			continue
		}
		shown, err := s.serviceOf(ctx, one, byService[one.ID])
		if err != nil {
			return client.List[client.Service]{}, err
		}
		out = append(out, shown)
	}
	return whole(out, same), nil
}

func anyOf(bound []service.Standing, a app.ID) bool {
	for _, b := range bound {
		if b.App == a {
			return true
		}
	}
	return false
}

// serviceOf is a service as people see it: of its credentials the names.
func (s *server) serviceOf(ctx context.Context, one service.Service, bound []service.Standing) (client.Service, error) {
	content, err := s.Provided.Content(ctx, one.ID)
	if err != nil {
		return client.Service{}, err
	}
	out := client.Service{
		ID: string(one.ID), Name: one.Name, Type: service.UserProvided, Tags: one.Tags, Credentials: content.Names(), LogDrain: one.Drain,
		RouteURL: one.RouteURL, Bound: []client.Binding{}, By: one.By, CreatedAt: one.Created, UpdatedAt: one.Updated,
	}
	if out.Tags == nil {
		out.Tags = []string{}
	}
	if out.Credentials == nil {
		out.Credentials = []string{}
	}
	for _, b := range bound {
		out.Bound = append(out.Bound, bindingOf(b))
	}
	return out, nil
}

func bindingOf(b service.Standing) client.Binding {
	return client.Binding{ID: string(b.ID), App: b.AppName, Service: b.ServiceName, Name: b.Name, By: b.By, CreatedAt: b.Created}
}

// wholeService is a service with its bindings.
func (s *server) wholeService(ctx context.Context, one service.Service) (client.Service, error) {
	bound, err := s.Provided.Bindings(ctx, service.Find{Services: []service.ID{one.ID}})
	if err != nil {
		return client.Service{}, err
	}
	return s.serviceOf(ctx, one, bound)
}

type newServiceInput struct{ Body client.NewService }

func (s *server) createService(ctx context.Context, in *newServiceInput) (client.Service, error) {
	b, p := in.Body, at(ctx)
	credentials := secret.New(string(b.Credentials))
	one, err := s.Provided.CreateService(ctx, requestOf(ctx).by(), p.space.ID, provide.Change{Name: &b.Name, Tags: &b.Tags, Credentials: &credentials, Drain: &b.LogDrain})
	if err != nil {
		return client.Service{}, err
	}
	return s.wholeService(ctx, one)
}

type servicePath struct {
	Service string `path:"service" maxLength:"255" doc:"name of the service"`
}

func (s *server) service(ctx context.Context, name string) (service.Service, error) {
	return s.Provided.ServiceNamed(ctx, at(ctx).space.ID, name)
}

func (s *server) getService(ctx context.Context, in *servicePath) (client.Service, error) {
	one, err := s.service(ctx, in.Service)
	if err != nil {
		return client.Service{}, err
	}
	return s.wholeService(ctx, one)
}

func (s *server) getCredentials(ctx context.Context, in *servicePath) (client.ServiceCredentials, error) {
	one, err := s.service(ctx, in.Service)
	if err != nil {
		return client.ServiceCredentials{}, err
	}
	content, err := s.Provided.Content(ctx, one.ID)
	return client.ServiceCredentials{Credentials: []byte(content.JSON())}, err
}

type changeServiceInput struct {
	Service string `path:"service" maxLength:"255" doc:"name of the service"`
	Body    client.ServiceChange
}

func (s *server) changeService(ctx context.Context, in *changeServiceInput) (client.Service, error) {
	one, err := s.service(ctx, in.Service)
	if err != nil {
		return client.Service{}, err
	}
	b := in.Body
	change := provide.Change{Name: b.Name, Tags: b.Tags, Drain: b.LogDrain}
	if len(b.Credentials) > 0 {
		credentials := secret.New(string(b.Credentials))
		change.Credentials = &credentials
	}
	if one, err = s.Provided.ChangeService(ctx, requestOf(ctx).by(), one.ID, change); err != nil {
		return client.Service{}, err
	}
	return s.wholeService(ctx, one)
}

func (s *server) deleteService(ctx context.Context, in *servicePath) error {
	one, err := s.service(ctx, in.Service)
	if err != nil {
		return err
	}
	return s.Provided.DropService(ctx, requestOf(ctx).by(), one.ID)
}

type newBindingInput struct{ Body client.NewBinding }

func (s *server) bindService(ctx context.Context, in *newBindingInput) (client.Binding, error) {
	p := at(ctx)
	one, err := s.service(ctx, in.Body.Service)
	if err != nil {
		return client.Binding{}, err
	}
	b, err := s.Provided.Bind(ctx, requestOf(ctx).by(), p.app.ID, one.ID, in.Body.Name)
	if err != nil {
		return client.Binding{}, err
	}
	return bindingOf(service.Standing{Binding: b, ServiceName: one.Name, AppName: p.app.Name}), nil
}

func (s *server) unbindService(ctx context.Context, in *servicePath) error {
	p := at(ctx)
	one, err := s.service(ctx, in.Service)
	if err != nil {
		return err
	}
	bound, err := s.Provided.Bindings(ctx, service.Find{Services: []service.ID{one.ID}, Apps: []app.ID{p.app.ID}})
	if err != nil {
		return err
	}
	if len(bound) == 0 {
		return service.NotBound(p.app.Name, one.Name)
	}
	return s.Provided.Unbind(ctx, requestOf(ctx).by(), bound[0])
}

type groupPath struct {
	Group string `path:"group" enum:"running,staging" doc:"running: of instances; staging: of builds"`
}

func (s *server) getVariables(ctx context.Context, in *groupPath) (client.Variables, error) {
	env, err := s.Provided.Variables(ctx, provide.Group(in.Group))
	return client.Variables{Group: in.Group, Env: env}, err
}

type setVariablesInput struct {
	Group string `path:"group" enum:"running,staging" doc:"running: of instances; staging: of builds"`
	Body  client.VariablesChange
}

func (s *server) setVariables(ctx context.Context, in *setVariablesInput) (client.Variables, error) {
	env, err := s.Provided.SetVariables(ctx, requestOf(ctx).by(), provide.Group(in.Group), app.EnvChange{Set: in.Body.Set, Unset: in.Body.Unset})
	return client.Variables{Group: in.Group, Env: env}, err
}
