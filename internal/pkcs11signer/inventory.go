package pkcs11signer

import (
	"strings"

	"github.com/signgate/signgate/internal/signer"
)

// Entry is one key that a token shows: a private key, or a public key or
// certificate whose private half does not show without a login.
type Entry struct {
	URI         string          `json:"uri"`                   // names the key; it has no PIN
	Private     bool            `json:"private"`               // the private key shows
	Type        string          `json:"type,omitempty"`        // "P-256", "RSA-3072", …; empty when the public half is missing
	Fingerprint string          `json:"fingerprint,omitempty"` // see signer.Fingerprint
	Source      string          `json:"source,omitempty"`      // where the public half was found
	Proved      bool            `json:"proved"`                // the token itself ties the two halves together; Open makes a signature otherwise
	Custody     *signer.Custody `json:"custody,omitempty"`
	Problem     string          `json:"problem,omitempty"` // why signgate cannot sign with it
}

// KeySpec is a type of key that Generate makes.
type KeySpec string

// KeySpecs returns what Generate makes; the first is the one that every reader
// of signatures can use.
func KeySpecs() []KeySpec {
	return []KeySpec{"p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096", "ed25519"}
}

// SpecNames returns them in one line.
func SpecNames() string {
	var names []string
	for _, s := range KeySpecs() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}
