//go:build linux && cgo && race

package pkcs11signer

// allowance is how much a process may grow. The race detector keeps a history.
const allowance = 64 << 20
