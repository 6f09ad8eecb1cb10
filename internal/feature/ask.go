package feature

import "context"

// Asker is who asks for something, and how the features are while they do.
type Asker struct {
	Admin    bool // administers the platform
	ReadOnly bool // sees what administrators see
	Features Set
}

// Refusal is why who asks does not have a feature; nil where they have it.
func (a Asker) Refusal(n Name) error {
	f, ok := plain[n]
	if !ok {
		return nil
	}
	on, message := f.On, ""
	if st, switched := a.Features[n]; switched {
		on, message = st.On, st.Message
	}
	switch {
	case on, f.spared != nobody && a.Admin, f.spared == readers && a.ReadOnly:
		return nil
	}
	return (&Disabled{Name: n, Message: message}).Fault()
}

type askerKey struct{}

// As notes in a context who asks for what is done with it.
func As(ctx context.Context, a Asker) context.Context { return context.WithValue(ctx, askerKey{}, a) }

// Ask returns nil where who asks has a feature, else the refusal. Where nobody asks
// it is the platform itself that does something: what people asked for was decided
// when they did.
func Ask(ctx context.Context, n Name) error {
	a, asked := ctx.Value(askerKey{}).(Asker)
	if !asked {
		return nil
	}
	return a.Refusal(n)
}

// Administers reports whether somebody asks who administers the platform.
func Administers(ctx context.Context) bool {
	a, _ := ctx.Value(askerKey{}).(Asker)
	return a.Admin
}
