// Package vcap writes the part of an instance's environment by which apps made for
// Cloud Foundry find out where they are and what they are bound to.
package vcap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"

	"naru/internal/app/service"
	"naru/internal/fault"
)

// MaxServices bounds VCAP_SERVICES in bytes: Linux starts nothing with a longer
// variable than 128 KiB.
const MaxServices = 127 << 10

// Descriptors is how many files a process may open, as VCAP_APPLICATION says.
const Descriptors = 16384

// Limits are those of an instance.
type Limits struct {
	Descriptors int `json:"fds"`
	MemoryMiB   int `json:"mem,omitempty"`
	DiskMiB     int `json:"disk,omitempty"`
}

// Application is VCAP_APPLICATION.
type Application struct {
	API          string   `json:"cf_api"`
	Limits       Limits   `json:"limits"`
	Name         string   `json:"application_name"`
	URIs         []string `json:"application_uris"`
	PlainName    string   `json:"name"`
	PlainURIs    []string `json:"uris"`
	SpaceName    string   `json:"space_name"`
	Space        string   `json:"space_id"`
	Org          string   `json:"organization_id"`
	OrgName      string   `json:"organization_name"`
	Process      string   `json:"process_id,omitempty"`
	ProcessType  string   `json:"process_type,omitempty"`
	ID           string   `json:"application_id"`
	Version      string   `json:"version,omitempty"`
	PlainVersion string   `json:"application_version,omitempty"`

	// Of an instance that is placed.
	Host     string `json:"host,omitempty"`
	Port     int    `json:"port,omitempty"`
	Instance string `json:"instance_id,omitempty"`
	Index    *int   `json:"instance_index,omitempty"`
}

// Text is the value of the variable.
func (a Application) Text() (string, error) {
	a.PlainName, a.PlainVersion = a.Name, a.Version
	if a.URIs == nil {
		a.URIs = []string{}
	}
	a.PlainURIs = a.URIs
	return encoded(a)
}

// ProcessID is the id of a process type of an app. That of web is the app's own,
// as in Cloud Foundry; that of another type tells which.
func ProcessID(app, process string) string {
	if process == "web" {
		return app
	}
	return app + "-" + process
}

// entry is one service in VCAP_SERVICES.
type entry struct {
	Label        string          `json:"label"`
	Name         string          `json:"name"`
	Tags         []string        `json:"tags"`
	InstanceID   service.ID      `json:"instance_guid"`
	InstanceName string          `json:"instance_name"`
	BindingID    string          `json:"binding_guid"`
	BindingName  *string         `json:"binding_name"`
	Credentials  json.RawMessage `json:"credentials"`
	Drain        *string         `json:"syslog_drain_url"`
	Mounts       []struct{}      `json:"volume_mounts"`
}

// Services is the value of VCAP_SERVICES; without bindings it is {}. It is a
// secret.
func Services(bound []service.Bound) (string, error) {
	out := map[string][]entry{}
	for _, b := range bound {
		e := entry{
			Label: service.UserProvided, Name: b.Title(), Tags: slices.Clone(b.Of.Tags), InstanceID: b.Of.ID, InstanceName: b.Of.Name,
			BindingID: string(b.ID), Credentials: json.RawMessage(b.Content.JSON()), Mounts: []struct{}{},
		}
		if e.Tags == nil {
			e.Tags = []string{}
		}
		if b.Name != "" {
			e.BindingName = &b.Name
		}
		if b.Content.Drain != "" {
			e.Drain = &b.Content.Drain
		}
		out[e.Label] = append(out[e.Label], e)
	}
	text, err := encoded(out)
	if err != nil {
		return "", fmt.Errorf("write VCAP_SERVICES: %w", err)
	}
	if len(text) > MaxServices {
		return "", fault.New(fault.TooLarge, "credentials", "with these the app's services take %d bytes of its environment, and %d are the most", len(text), MaxServices).
			WithTry("shorter credentials, or fewer services for the app: naru unbind APP SERVICE")
	}
	return text, nil
}

// schemes are those of relational databases, each as Rails' adapters are called,
// which is how Cloud Foundry writes DATABASE_URL.
var schemes = map[string]string{
	"mysql": "mysql2", "mysql2": "mysql2", "postgres": "postgres", "postgresql": "postgres", "db2": "db2", "informix": "informix",
}

// Database is the value of DATABASE_URL: the uri of the first service that is a
// relational database, "" without one. It is a secret.
func Database(bound []service.Bound) string {
	for _, b := range bound {
		var c struct {
			URI string `json:"uri"`
		}
		if json.Unmarshal([]byte(b.Content.JSON()), &c) != nil || c.URI == "" {
			continue
		}
		u, err := url.Parse(c.URI)
		if err != nil {
			continue
		}
		scheme, known := schemes[u.Scheme]
		if !known {
			continue
		}
		// Only the scheme changes: parsing and printing again could escape otherwise.
		return scheme + c.URI[len(u.Scheme):]
	}
	return ""
}

func encoded(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // people and shell scripts read it
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return string(bytes.TrimSpace(b.Bytes())), nil
}
