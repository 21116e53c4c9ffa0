package hsm

import (
	"context"
	"crypto"
	"testing"

	"github.com/signgate/signgate/internal/pkcs11signer"
	"github.com/signgate/signgate/internal/signer"
)

// module is a PKCS#11 library with a token for this run.
type module struct {
	name       string
	column     int    // in keyTypes
	library    string // the file, as locate finds it
	label      string // of the token
	pin, wrong string

	// How modules differ.
	counts  bool           // the token's flags tell of a wrong PIN
	tells   string         // where a private key tells its public half
	guards  reach          // of a key that wants the PIN for each signature
	custody signer.Custody // of keys that were made without a word about it
	kept    signer.Custody // of keys that signgate made

	// start makes the token and starts the servers. It sets the fields below.
	start  func(ctx context.Context, m *module) error
	args   string   // Options.InitArgs
	socket string   // Options.Socket
	beside string   // the library of pkcs11-tool, when it is not the module's
	env    []string // of pkcs11-tool

	dir  string
	made map[string]error            // by label: what making a key said
	half map[string]crypto.PublicKey // by label: the public object as pkcs11-tool reads it
}

// modules are the five.
var modules = []*module{softHSM, nss, tpm2, p11kit, opencryptoki}

// keptInside is how a key should be kept.
var keptInside = signer.Custody{
	Sensitive: signer.Yes, Extractable: signer.No, NeverExtractable: signer.Yes, Local: signer.Yes, AlwaysAuthenticate: signer.No,
}

// reach says how far a type of key gets with a module.
type reach int

const (
	signs    reach = iota // it makes signatures that verify
	unmade                // the module makes no such key
	unread                // the module makes the key and shows its public half malformed
	unsigned              // the module has the key and does not sign with it
)

// keyType is a type of key that signgate signs with.
type keyType struct {
	name  string // as signer.KeyType spells it, which is the key's label too
	tool  string // as pkcs11-tool spells it
	spec  pkcs11signer.KeySpec
	algs  []signer.Algorithm
	reach [6]reach // by module
}

var (
	withEC  = []signer.Algorithm{signer.ECDSASHA256, signer.ECDSASHA384, signer.ECDSASHA512}
	withRSA = []signer.Algorithm{signer.RSAPKCS1SHA256, signer.RSAPSSSHA256}
	withEd  = []signer.Algorithm{signer.Ed25519}
)

// keyTypes is the one table of what the modules offer. opencryptoki has two
// columns, for 3.8 of Debian 12 and for 3.23 of Debian 13 and Ubuntu 24.04.
var keyTypes = []keyType{
	//                                                      SoftHSM  NSS     tpm2    p11-kit   opencryptoki
	{"P-256", "EC:prime256v1", "p256", withEC, [6]reach{signs, signs, signs, signs, unmade, signs}},
	{"P-384", "EC:secp384r1", "p384", withEC, [6]reach{signs, signs, signs, signs, unmade, signs}},
	{"P-521", "EC:secp521r1", "p521", withEC, [6]reach{signs, signs, unread, signs, unmade, signs}},
	{"RSA-2048", "rsa:2048", "rsa2048", withRSA, [6]reach{signs, signs, signs, signs, signs, signs}},
	{"RSA-3072", "rsa:3072", "rsa3072", withRSA, [6]reach{signs, signs, signs, signs, signs, signs}},
	{"Ed25519", "EC:edwards25519", "ed25519", withEd, [6]reach{signs, unmade, unmade, unsigned, unmade, unmade}},
}

// checks are what every module goes through, in this order: a token whose user
// is logged in accepts any PIN, so the wrong one comes first.
var checks = []struct {
	name string
	run  func(*testing.T, *module)
}{
	{"wrong PIN", wrongPIN},
	{"contract", contract},
	{"openssl", openssl},
	{"selection", selection},
	{"unknown", unknown},
	{"list", list},
	{"doctor", doctor},
	{"custody", custody},
	{"policy", policy},
	{"public half", publicHalf},
	{"guarded", guardedKey},
	{"at once", atOnce},
	{"generate", generate},
}

func TestModules(t *testing.T) {
	for _, m := range modules {
		t.Run(m.name, func(t *testing.T) {
			for _, c := range checks {
				t.Run(c.name, func(t *testing.T) { c.run(t, m) })
			}
		})
	}
}

// options reach the module's token with the right PIN.
func (m *module) options() pkcs11signer.Options {
	opts := pkcs11signer.Options{PIN: m.pin, InitArgs: m.args, Socket: m.socket}
	if m.socket == "" {
		opts.Module = locate(m.library)
	}
	return opts
}

// uri names a key by its label.
func (m *module) uri(label string) string { return "pkcs11:token=" + m.label + ";object=" + label }
