//go:build !linux || !cgo

package pkcs11signer

import (
	"context"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/signer"
)

var errUnavailable = fault.Configf("pkcs11_unavailable",
	"use the signgate container image, the release binary signgate_linux_amd64_pkcs11, or a build on Linux with CGO_ENABLED=1 go build ./cmd/signgate",
	"this build of signgate cannot use PKCS#11 keys, because it was built without cgo or not for Linux")

// Open reports a configuration fault ("pkcs11_unavailable"): PKCS#11 modules
// are C libraries, and this build has no way to call them.
func Open(context.Context, string, Options) (*Key, error) { return nil, errUnavailable }

// Generate reports the fault of Open.
func Generate(context.Context, string, KeySpec, Options) (*Key, error) { return nil, errUnavailable }

// List reports the fault of Open.
func List(context.Context, string, Options) ([]Entry, error) { return nil, errUnavailable }

// Examine reports the fault of Open.
func Examine(context.Context, string, Options) []signer.Check {
	return []signer.Check{signer.Failed("module", errUnavailable)}
}
