package cf

import (
	"encoding/json"
	"time"
)

// resource is what all things have in common.
type resource struct {
	GUID      string          `json:"guid"`
	CreatedAt stamp           `json:"created_at"`
	UpdatedAt stamp           `json:"updated_at"`
	Metadata  *metadata       `json:"metadata,omitempty"`
	Links     map[string]link `json:"links,omitempty"`
}

// thing begins a resource at a path of the API.
func (c *call) thing(guid string, created, updated time.Time, path string) resource {
	if updated.IsZero() {
		updated = created
	}
	return resource{
		GUID: guid, CreatedAt: stamp(created), UpdatedAt: stamp(updated), Metadata: c.writtenOn(path),
		Links: map[string]link{"self": {Href: c.at.api + path}},
	}
}

// with adds a link to a path of the API.
func (r resource) with(c *call, name, path string) resource {
	r.Links[name] = link{Href: c.at.api + path}
	return r
}

type metadata struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

type link struct {
	Href   string `json:"href"`
	Method string `json:"method,omitempty"`
}

// stamp is a time as the API writes it.
type stamp time.Time

// MarshalJSON writes whole seconds of UTC.
func (s stamp) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Time(s).UTC().Format("2006-01-02T15:04:05Z"))
}

// toOne is a relationship to one thing, or to none.
type toOne struct {
	Data *ref `json:"data"`
}

type ref struct {
	GUID string `json:"guid"`
}

func one(guid string) toOne { return toOne{&ref{guid}} }

func none() toOne { return toOne{} }

// guid is what a request relates to; "" for nothing.
func (r toOne) guid() string {
	if r.Data == nil {
		return ""
	}
	return r.Data.GUID
}
