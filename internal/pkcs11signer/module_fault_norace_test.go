//go:build linux && cgo && !race

package pkcs11signer

// allowance is how much a process may grow: some pages.
const allowance = 4 << 20
