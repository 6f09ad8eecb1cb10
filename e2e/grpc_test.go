package e2e

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// An app that speaks gRPC is pushed like any other; its route says what it
// speaks, over releases, too.
func TestGRPC(t *testing.T) {
	t.Parallel()
	p := start(t)
	dir := compiled(t, "prices")
	p.admin.do(t, "push", "prices", "--path", dir)
	p.admin.refused(t, []string{"map-route", "prices", "prices", "--protocol", "spdy"}, "protocol", "http2")
	p.admin.do(t, "map-route", "prices", "prices", "--protocol", "http2")

	conn, err := grpc.NewClient("passthrough:///"+p.apps, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("prices.localhost"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	client := grpc_health_v1.NewHealthClient(conn)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	check := func() {
		t.Helper()
		if got, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil || got.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("%s, %v", got.GetStatus(), err)
		}
		if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "nobody"}); status.Code(err) != codes.NotFound {
			t.Errorf("an unknown service: %v", err)
		}
	}
	check()
	stream, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := stream.Recv(); err != nil || got.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("the stream says %s, %v", got.GetStatus(), err)
	}
	p.admin.do(t, "restart", "prices")
	check()
}
