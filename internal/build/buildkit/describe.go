package buildkit

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"naru/internal/app"
	"naru/internal/artifact"
	"naru/internal/build"
)

// describe reads back what was pushed: sizes, and what the configuration of a
// Dockerfile's image says.
func describe(ctx context.Context, req build.Request, ref artifact.Ref) (build.Result, error) {
	img, err := fetch(ctx, req.Target, ref)
	if err != nil {
		return build.Result{}, fmt.Errorf("read back image %s: %w", ref, err)
	}
	manifest, err := img.Manifest()
	if err != nil {
		return build.Result{}, fmt.Errorf("read manifest of %s: %w", ref, err)
	}
	res := build.Result{Ref: ref, Processes: req.Recipe.Processes}
	if f := req.Foundations.Run; f.Digest != "" {
		res.Foundation = f.Name + "@" + f.Digest
	}
	own := len(manifest.Layers) - len(req.Recipe.Layers)
	for i, l := range manifest.Layers {
		layer := build.ResultLayer{Digest: l.Digest.String(), Bytes: l.Size}
		switch {
		case req.Recipe.Dockerfile != nil:
			layer.Name = "dockerfile"
		case i < own:
			layer.Name = "foundation"
		default:
			layer.Name = req.Recipe.Layers[i-own].Name
		}
		res.Layers, res.Bytes = append(res.Layers, layer), res.Bytes+l.Size
	}
	if req.Recipe.Dockerfile == nil && len(req.Recipe.Buildpacks) == 0 {
		return res, nil
	}
	config, err := img.ConfigFile()
	if err != nil {
		return build.Result{}, fmt.Errorf("read configuration of %s: %w", ref, err)
	}
	if len(req.Recipe.Buildpacks) > 0 {
		if err := json.Unmarshal([]byte(config.Config.Labels[LabelProcesses]), &res.Processes); err != nil {
			return build.Result{}, fmt.Errorf("read processes of %s: %w", ref, err)
		}
		res.Origin = config.Config.Labels[LabelOrigin]
		return res, nil
	}
	res.Processes = withPort(req.Recipe.Processes, config)
	return res, nil
}

func fetch(ctx context.Context, target build.Target, ref artifact.Ref) (v1.Image, error) {
	var opts []name.Option
	if target.Insecure {
		opts = append(opts, name.Insecure)
	}
	at, err := name.NewDigest(ref.At(target.Registry), opts...)
	if err != nil {
		return nil, err
	}
	auth := authn.Anonymous
	if !target.Token.IsZero() {
		user := target.User
		if user == "" {
			user = "naru"
		}
		auth = &authn.Basic{Username: user, Password: target.Token.Reveal()}
	}
	return remote.Image(at, remote.WithContext(ctx), remote.WithAuth(auth))
}

// withPort gives web the one TCP port that the image exposes; with none or
// several it stays as it was.
func withPort(processes []app.Process, config *v1.ConfigFile) []app.Process {
	var ports []int
	for spec := range config.Config.ExposedPorts {
		number, proto, _ := strings.Cut(spec, "/")
		if n, err := strconv.Atoi(number); err == nil && (proto == "" || proto == "tcp") {
			ports = append(ports, n)
		}
	}
	out := append([]app.Process(nil), processes...)
	for i, p := range out {
		if p.Type == app.Web && len(ports) == 1 {
			out[i].Port = ports[0]
		}
	}
	return out
}
