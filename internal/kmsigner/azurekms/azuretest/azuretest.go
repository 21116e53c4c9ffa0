// Package azuretest is a Key Vault with real keys, for tests.
//
// Vault answers GetKey and Sign through azkeys/fake, the typed server of the
// SDK, so that paths, names and encodings are the SDK's; what a key does, and
// how errors look, follows the documentation (About keys; Azure Key Vault REST
// API error codes). It is used in two ways: as the transport of a client, or as
// an HTTP handler behind TLS (see Cloud), which then also asks for a token.
package azuretest

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"time"

	azfake "github.com/Azure/azure-sdk-for-go/sdk/azcore/fake"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys/fake"
)

// Vault is a vault in memory. It is safe for concurrent use.
type Vault struct {
	Host string // "acme.vault.azure.net"

	typed *fake.ServerTransport

	mu     sync.Mutex // owns what follows
	keys   map[string][]*version
	faults map[string][]Fault
	calls  map[string]int
}

// State is what can be changed of a version.
type State struct {
	Enabled    bool
	NotBefore  *time.Time
	Expires    *time.Time
	Operations []string
}

type version struct {
	name   string // of the key
	id     string
	kty    azkeys.KeyType
	crv    azkeys.CurveName
	signer crypto.Signer
	state  State
}

// New returns an empty vault.
func New(host string) *Vault {
	v := &Vault{Host: host, keys: map[string][]*version{}, faults: map[string][]Fault{}, calls: map[string]int{}}
	v.typed = fake.NewServerTransport(&fake.Server{GetKey: v.getKey, Sign: v.sign})
	return v
}

// Rotate adds a version to a key, which becomes the current one, and creates
// the key if there is none. It returns the key identifier.
func (v *Vault) Rotate(name string, spec Spec) string {
	kty, crv, key := spec.generate()
	random := make([]byte, 16)
	rand.Read(random)
	added := &version{name: name, id: hex.EncodeToString(random), kty: kty, crv: crv, signer: key, state: State{Enabled: true, Operations: []string{"sign", "verify"}}}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.keys[name] = append(v.keys[name], added)
	return v.kid(added)
}

// Change changes the state of a version.
func (v *Vault) Change(kid string, change func(*State)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if found := v.find(split(kid)); found != nil {
		change(&found.state)
	}
}

// Public returns the public key of a version.
func (v *Vault) Public(kid string) crypto.PublicKey {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.find(split(kid)).signer.Public()
}

// Count returns the number of calls with a token: "get" or "sign".
func (v *Vault) Count(operation string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls[operation]
}

func (v *Vault) kid(ver *version) string {
	return "https://" + v.Host + "/keys/" + ver.name + "/" + ver.id
}

// find returns a version, the current one for "", and nil when there is none.
func (v *Vault) find(name, id string) *version {
	for known, all := range v.keys {
		if !strings.EqualFold(known, name) {
			continue
		}
		if id == "" {
			return all[len(all)-1]
		}
		for _, ver := range all {
			if ver.id == id {
				return ver
			}
		}
	}
	return nil
}

// split takes the name and the version out of a URL or a path.
func split(path string) (name, id string) {
	_, path, _ = strings.Cut(path, "/keys/")
	parts := strings.Split(path, "/")
	if len(parts) > 1 {
		id = parts[1]
	}
	return parts[0], id
}

// again takes name and version apart: the pattern of the SDK's fake (v1.5.0)
// leaves both in the name.
func again(name, id string) (string, string) { return split("/keys/" + strings.Trim(name+"/"+id, "/")) }

func (v *Vault) getKey(_ context.Context, name, id string, _ *azkeys.GetKeyOptions) (resp azfake.Responder[azkeys.GetKeyResponse], fail azfake.ErrorResponder) {
	v.mu.Lock()
	defer v.mu.Unlock()
	ver := v.find(again(name, id))
	resp.SetResponse(http.StatusOK, azkeys.GetKeyResponse{KeyBundle: azkeys.KeyBundle{Key: ver.jwk(v.kid(ver)),
		Attributes: &azkeys.KeyAttributes{Enabled: &ver.state.Enabled, NotBefore: ver.state.NotBefore, Expires: ver.state.Expires}}}, nil)
	return resp, fail
}

func (v *Vault) sign(_ context.Context, name, id string, in azkeys.SignParameters, _ *azkeys.SignOptions) (resp azfake.Responder[azkeys.SignResponse], fail azfake.ErrorResponder) {
	v.mu.Lock()
	ver := v.find(again(name, id))
	kid := azkeys.ID(v.kid(ver))
	v.mu.Unlock()
	result, err := ver.sign(*in.Algorithm, in.Value)
	if err != nil {
		fail.SetError(err)
		return resp, fail
	}
	resp.SetResponse(http.StatusOK, azkeys.SignResponse{KeyOperationResult: azkeys.KeyOperationResult{KID: &kid, Result: result}}, nil)
	return resp, fail
}
