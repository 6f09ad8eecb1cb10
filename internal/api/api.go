// Package api serves naru's own HTTP API under /v1: every route on one page,
// handlers that decode, call and encode, and one place where errors get their
// status.
package api
