// Package pkcs11signer reaches private keys on PKCS#11 tokens: HSMs, smart
// cards and SoftHSM, through the vendor's own library.
//
// # The key URI
//
// A key is named by an RFC 7512 URI. Every attribute that is given has to
// match, and exactly one token and exactly one private key may remain:
//
//	pkcs11:token=release;object=signing?module-path=/usr/lib/softhsm/libsofthsm2.so
//	pkcs11:serial=4c1f6a0b2d3e4f50;id=%01
//
// No match and several matches are errors that list what there is as URIs to
// copy. They never hold a PIN; neither does any other text of this package.
//
// # The module
//
// A module is native code in this process. Its path is absolute, its symbolic
// links are resolved, and it is refused below the workspace of a job unless
// that is allowed. It is inspected before it is called, so that a file of
// another architecture or C library, or one with missing dependencies, is an
// error and not a crash. A module is initialised once per process and never
// finalised or unloaded: other users of the module in this process, and the
// exit handlers of several vendors, do not survive that.
//
// # Login
//
// The PIN is tried once. A PIN that the token rejected is not presented to it
// again through this module by this process, a locked token is not touched, and a token that would
// be locked by one more mistake is refused. There is no logout, because it
// would end the sessions of every other user of the token in this process.
//
// # Signing
//
// Messages are hashed here; the token sees the digest. Up to four sessions sign
// at the same time. When the token lost its sessions, a signature is tried once
// more with new ones. No call into a module can be interrupted: when the
// context ends first, the call is left behind in its goroutine, its session is
// not used again until it returns, and Sign reports "pkcs11_timeout".
//
// PKCS#11 needs cgo and Linux. In other builds Open says which build has it.
package pkcs11signer

import (
	"crypto"

	"github.com/signgate/signgate/internal/signer"
)

// EnvPIN is the environment variable that is asked for the PIN last.
const EnvPIN = "SIGNGATE_PKCS11_PIN"

// Options say how to reach the key that the URI names.
type Options struct {
	// Module is the absolute path of the PKCS#11 library, the input
	// pkcs11-module. It stands in for module-path in the URI; when both are
	// given they have to be the same file.
	Module string

	// Socket is the path of the Unix socket of a p11-kit server, the input
	// pkcs11-socket: the module is then p11-kit's client, which is found in
	// the usual places when Module is empty.
	Socket string

	// InitArgs is what C_Initialize gets as its reserved argument, for
	// modules that read their configuration there; the input
	// pkcs11-init-args.
	InitArgs string

	// PublicKeys stand in for the public half of a key whose token has
	// none, the input pkcs11-public-key. One of them may have the key's
	// type; what it signs proves that it is the right one.
	PublicKeys []crypto.PublicKey

	// KeyPolicy decides about keys that can leave the token, the input
	// pkcs11-key-policy. Empty is Warn.
	KeyPolicy KeyPolicy

	// PIN is the input pkcs11-pin, PINFile the input pkcs11-pin-file. The
	// file wins, then PIN, then pin-source and pin-value of the URI, then
	// the variable SIGNGATE_PKCS11_PIN. One newline at the end of a file is
	// dropped.
	PIN     string
	PINFile string

	// Getenv reads the environment; nil means that there is none.
	Getenv func(string) string

	// Workspace is the directory whose files anyone who changes the
	// repository can write. A module below it needs AllowWorkspaceModule,
	// the input pkcs11-allow-workspace-module.
	Workspace            string
	AllowWorkspaceModule bool

	// Warn receives one sentence for each thing that works but should be
	// changed; nil drops them.
	Warn func(string)
}

// Key is an open private key on a token. It implements signer.Key and is safe
// for concurrent use.
//
// Close gives the sessions back. It does not log out, waits a few seconds at
// most, and may be called more than once; Sign fails afterwards.
type Key struct{ backend }

type backend interface {
	signer.Key
	signer.Kept
	URI() string
	Close() error
}
