package artifact

import "time"

// Foundation is a base image that naru baked: what builds run on and what images
// stand on.
type Foundation struct {
	Name    string // "node:22"
	Ref     Ref    // in naru's registry
	Lock    string // digest of the lock file that it was baked from, "sha256:..."
	ABI     string // "node=127,glibc=2.41": equal ones may stand in for each other
	SBOM    string // digest of its software bill of materials, as kept beside it; "" for none
	Bytes   int64  // compressed size of all layers
	Created time.Time
}
