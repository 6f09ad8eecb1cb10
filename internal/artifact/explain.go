package artifact

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"naru/internal/fault"
)

// explain turns a registry's answer into something people can act on.
func explain(act, image, host string, err error) error {
	err = fmt.Errorf("%s %s: %w", act, image, err)
	var answer *transport.Error
	var dns *net.DNSError
	var dial *net.OpError
	switch {
	case errors.As(err, &answer):
		return explainStatus(act, image, host, answer.StatusCode, err)
	case errors.As(err, &dns), errors.As(err, &dial), errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.Unavailable, "image", "the registry %s cannot be reached from the server", host).WithCause(err).
			WithTry("check the name and the server's network and proxy settings")
	case strings.Contains(err.Error(), "no child with platform"):
		return fault.New(fault.Invalid, "image", "%s has no image for this machine", image).WithCause(err).
			WithTry("docker manifest inspect %s", image)
	}
	return err
}

func explainStatus(act, image, host string, status int, err error) error {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fault.New(fault.Denied, "image", "the registry %s does not let us %s %s", host, act, image).WithCause(err).
			WithTry("naru credentials set %s", host)
	case http.StatusNotFound:
		return fault.New(fault.NotFound, "image", "there is no image %s", image).WithCause(err).
			WithTry("check name and tag: skopeo list-tags docker://%s", withoutTag(image))
	case http.StatusRequestEntityTooLarge:
		return fault.New(fault.TooLarge, "image", "a layer of %s is over the registry's limit", image).WithCause(err).
			WithTry("use smaller layers, or raise registry.max_layer_bytes")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		return fault.New(fault.Unavailable, "image", "the registry %s cannot serve us now", host).WithCause(err).
			WithTry("try again in a minute")
	}
	return err
}

// withoutTag is the repository that a reference names; a colon before the last
// slash is a port's.
func withoutTag(image string) string {
	repository, _, _ := strings.Cut(image, "@")
	if i := strings.LastIndexByte(repository, ':'); i > strings.LastIndexByte(repository, '/') {
		return repository[:i]
	}
	return repository
}
