package buildkit

import (
	"context"
	"fmt"
	"slices"
	"strings"

	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	"google.golang.org/protobuf/proto"
)

// dockerfileFrontend lets BuildKit's own reader turn the Dockerfile into a
// graph, lends mirrors and the operator's bundle to its commands, and solves
// that. The reader runs nothing by itself.
func dockerfileFrontend(attrs map[string]string) gateway.BuildFunc {
	return func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
		read, err := c.Solve(ctx, gateway.SolveRequest{Frontend: "dockerfile.v0", FrontendOpt: attrs})
		if err != nil {
			return nil, err
		}
		ref, err := read.SingleRef()
		if err != nil {
			return nil, fmt.Errorf("read Dockerfile: %w", err)
		}
		if ref == nil { // FROM scratch and nothing more
			return read, nil
		}
		state, err := ref.ToState()
		if err != nil {
			return nil, fmt.Errorf("read graph of Dockerfile: %w", err)
		}
		def, err := state.Marshal(ctx)
		if err != nil {
			return nil, fmt.Errorf("read graph of Dockerfile: %w", err)
		}
		graph, err := lend(def.ToPB())
		if err != nil {
			return nil, fmt.Errorf("lend mirrors to Dockerfile: %w", err)
		}
		res, err := c.Solve(ctx, gateway.SolveRequest{Definition: graph, Evaluate: true})
		if err != nil {
			return nil, err
		}
		for key, value := range read.Metadata {
			res.AddMeta(key, value)
		}
		return res, nil
	}
}

// lend returns the graph with optional secrets added to every command. Parts of
// a graph name each other by digest, so each name that changes is changed where
// it is used, which is always further down.
func lend(in *pb.Definition) (*pb.Definition, error) {
	out := &pb.Definition{Metadata: map[string]*pb.OpMetadata{}, Source: in.Source}
	renamed := map[string]string{}
	for _, raw := range in.Def {
		var op pb.Op
		if err := proto.Unmarshal(raw, &op); err != nil {
			return nil, fmt.Errorf("decode: %w", err)
		}
		for _, input := range op.Inputs {
			if to, ok := renamed[input.Digest]; ok {
				input.Digest = to
			}
		}
		if exec := op.GetExec(); exec != nil {
			lendTo(exec)
		}
		next, err := proto.MarshalOptions{Deterministic: true}.Marshal(&op)
		if err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		from, to := digest.FromBytes(raw).String(), digest.FromBytes(next).String()
		renamed[from] = to
		out.Def = append(out.Def, next)
		if meta, ok := in.Metadata[from]; ok {
			out.Metadata[to] = meta
		}
	}
	if in.Source != nil {
		out.Source = &pb.Source{Infos: in.Source.Infos, Locations: map[string]*pb.Locations{}}
		for from, at := range in.Source.Locations {
			if to, ok := renamed[from]; ok {
				out.Source.Locations[to] = at
			}
		}
	}
	return out, nil
}

// lendTo adds the secrets that the command does not set itself.
func lendTo(exec *pb.ExecOp) {
	taken := func(name string) bool {
		return slices.ContainsFunc(exec.Meta.GetEnv(), func(line string) bool { return strings.HasPrefix(line, name+"=") }) ||
			slices.ContainsFunc(exec.Secretenv, func(s *pb.SecretEnv) bool { return s.Name == name })
	}
	for _, name := range mirrorEnv {
		if !taken(name) {
			exec.Secretenv = append(exec.Secretenv, &pb.SecretEnv{ID: "mirror/env/" + name, Name: name, Optional: true})
		}
	}
	exec.Mounts = append(exec.Mounts, &pb.Mount{
		Input: int64(pb.Empty), Dest: caPath, MountType: pb.MountType_SECRET,
		SecretOpt: &pb.SecretOpt{ID: "mirror/ca", Mode: 0o444, Optional: true},
	})
}
