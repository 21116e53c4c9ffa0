//go:build !linux || !cgo

package pkcs11signer

import (
	"context"

	"github.com/signgate/signgate/internal/fault"
)

// Open reports a configuration fault ("pkcs11_unavailable"): PKCS#11 modules
// are C libraries, and this build has no way to call them.
func Open(context.Context, string, Options) (*Key, error) {
	return nil, fault.Configf("pkcs11_unavailable",
		"use the signgate container image, the release binary signgate_linux_amd64_pkcs11, or a build on Linux with CGO_ENABLED=1 go build ./cmd/signgate",
		"this build of signgate cannot use PKCS#11 keys, because it was built without cgo or not for Linux")
}
