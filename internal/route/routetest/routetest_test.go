package routetest_test

import (
	"testing"

	"naru/internal/route/routetest"
)

func TestGateway(t *testing.T) {
	routetest.Suite(t, func(_ *testing.T, socket string) routetest.Made {
		return routetest.Made{Subject: routetest.NewGateway(socket), Addresses: [2]string{"127.0.0.1:1", "127.0.0.1:2"}}
	})
}
