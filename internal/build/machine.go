package build

import (
	"debug/elf"
	"runtime"
)

// hostMachine is what programs must be made for: images are built for the
// machine that naru runs on.
var hostMachine = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
