package hashivault_test

import (
	"bytes"
	"crypto"
	"encoding/json"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/kmsigner/hashivault"
	"github.com/signgate/signgate/internal/kmsigner/vaulttest"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
	"github.com/signgate/signgate/internal/signer/signertest"
)

var _ io.Closer = (*hashivault.Key)(nil)

const root = "hvs.r00tTokenThatMustNotShow0123456789"

var (
	quick   = retry.Policy{Attempts: 4, PerAttempt: 5 * time.Second, Base: time.Millisecond}
	release = vaulttest.KeyAt{Name: "release"}
)

func start(t *testing.T) *vaulttest.Server {
	t.Helper()
	server, err := vaulttest.New(vaulttest.Options{RootToken: root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

func create(t *testing.T, server *vaulttest.Server, at vaulttest.KeyAt, kind vaulttest.Type) {
	t.Helper()
	if err := server.CreateKey(at, kind); err != nil {
		t.Fatal(err)
	}
}

func rotate(t *testing.T, server *vaulttest.Server, at vaulttest.KeyAt) {
	t.Helper()
	if err := server.RotateKey(at); err != nil {
		t.Fatal(err)
	}
}

// env is the environment of a step.
type env map[string]string

func (e env) lookup(name string) (string, bool) {
	value, ok := e[name]
	return value, ok
}

func (e env) with(more env) env {
	out := maps.Clone(e)
	maps.Copy(out, more)
	return out
}

func options(e env) hashivault.Options {
	return hashivault.Options{LookupEnv: e.lookup, Retry: quick}
}

func open(t *testing.T, server *vaulttest.Server, uri string) *hashivault.Key {
	t.Helper()
	key, err := hashivault.Open(t.Context(), uri, options(server.Env()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { key.Close() })
	return key
}

func guard(t *testing.T, key signer.Key) *signer.Signer {
	t.Helper()
	guarded, err := signer.Guard(key, quick)
	if err != nil {
		t.Fatal(err)
	}
	return guarded
}

func wantFault(t *testing.T, err error, outcome fault.Outcome, code string, says ...string) {
	t.Helper()
	if fault.CodeOf(err) != code || fault.OutcomeOf(err) != outcome {
		t.Errorf("%v (%s, %s), want %s, %s", err, fault.OutcomeOf(err), fault.CodeOf(err), outcome, code)
		return
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%v does not say %q", err, text)
		}
	}
	if strings.Contains(err.Error(), root) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s shows a secret or has several lines", fault.CodeOf(err))
	}
}

var types = map[vaulttest.Type][]signer.Algorithm{
	vaulttest.P256:    {signer.ECDSASHA256, signer.ECDSASHA384},
	vaulttest.P384:    {signer.ECDSASHA384, signer.ECDSASHA256},
	vaulttest.P521:    {signer.ECDSASHA512},
	vaulttest.RSA2048: {signer.RSAPKCS1SHA256, signer.RSAPSSSHA256},
	vaulttest.RSA3072: {signer.RSAPKCS1SHA256, signer.RSAPSSSHA256},
	vaulttest.RSA4096: {signer.RSAPKCS1SHA256, signer.RSAPSSSHA256},
	vaulttest.Ed25519: {signer.Ed25519},
}

func TestContract(t *testing.T) {
	server := start(t)
	for kind, algs := range types {
		if testing.Short() && kind == vaulttest.RSA4096 {
			continue
		}
		t.Run(string(kind), func(t *testing.T) {
			at := vaulttest.KeyAt{Name: "key-" + string(kind)}
			create(t, server, at, kind)
			signertest.Run(t, func(t *testing.T) signer.Key { return open(t, server, "hashivault://"+at.Name) }, algs, root)
			key := open(t, server, "openbao://"+at.Name)
			if !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(server.Public(at, 1)) {
				t.Error("Public is not the key's public key")
			}
		})
	}
	inputs(t, server)
}

// inputs looks at what the server was given: digests of the hash's length, and
// every choice spelled out.
func inputs(t *testing.T, server *vaulttest.Server) {
	size := map[string]int{"sha2-256": 32, "sha2-384": 48, "sha2-512": 64}
	for _, r := range server.Requests() {
		if r.Operation != "sign" {
			continue
		}
		var in map[string]any
		var data struct{ Input []byte }
		if json.Unmarshal([]byte(r.Body), &in) != nil || json.Unmarshal([]byte(r.Body), &data) != nil {
			t.Fatalf("%s: %s", r.Path, r.Body)
		}
		hash := r.Path[strings.LastIndex(r.Path, "/")+1:]
		want, prehashed := size[hash]
		if (in["prehashed"] == true) != prehashed || prehashed && len(data.Input) != want || in["key_version"] != 1.0 {
			t.Errorf("%s: %s", r.Path, r.Body)
		}
		rsa := in["signature_algorithm"] == "pkcs1v15" && in["salt_length"] == nil || in["signature_algorithm"] == "pss" && in["salt_length"] == "hash"
		if strings.Contains(r.Path, "rsa") != rsa || strings.Contains(r.Path, "ecdsa") != (in["marshaling_algorithm"] == "asn1") {
			t.Errorf("%s: %s", r.Path, r.Body)
		}
	}
}

func TestEd25519SeesMessage(t *testing.T) {
	server := start(t)
	create(t, server, release, vaulttest.Ed25519)
	key := open(t, server, "hashivault://release")
	for _, n := range []int{0, 512 << 10} {
		if _, err := guard(t, key).Sign(t.Context(), signer.Ed25519, make([]byte, n)); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	_, err := key.Sign(t.Context(), signer.Ed25519, make([]byte, 512<<10+1))
	wantFault(t, err, fault.Config, "message_too_long", "ecdsa-p256")
}

// Mount and namespace come from the URI, else from the environment, and are
// part of the identity.
func TestPlaces(t *testing.T) {
	server := start(t)
	at := vaulttest.KeyAt{Namespace: "team/a", Mount: "keys/transit", Name: "release"}
	create(t, server, at, vaulttest.P256)
	create(t, server, release, vaulttest.P256)
	host := strings.TrimPrefix(server.URL, "http://")
	there, here := "hashivault://"+host+"/keys/transit/keys/release?namespace=team%2Fa&version=1", "hashivault://"+host+"/transit/keys/release?version=1"
	for name, c := range map[string]struct {
		uri string
		env env
		id  string
	}{
		"default":      {"hashivault://release", nil, here},
		"URI":          {"hashivault://release?mount=keys/transit&namespace=team/a", nil, there},
		"slashes":      {"hashivault://release?mount=/keys/transit/&namespace=team/a/", nil, there},
		"environment":  {"hashivault://release", env{"VAULT_NAMESPACE": "team/a/", "TRANSIT_SECRET_ENGINE_PATH": "/keys/transit"}, there},
		"URI wins":     {"hashivault://release?mount=keys/transit&namespace=team/a", env{"VAULT_NAMESPACE": "other", "TRANSIT_SECRET_ENGINE_PATH": "other"}, there},
		"other family": {"hashivault://release", env{"BAO_NAMESPACE": "team/a"}, here},
		"OpenBao":      {"openbao://release", nil, here},
		"version":      {"hashivault://release?version=1", nil, here},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := hashivault.Open(t.Context(), c.uri, options(env(server.Env()).with(c.env)))
			if err != nil {
				t.Fatal(err)
			}
			if key.ID() != c.id {
				t.Errorf("ID %q, want %q", key.ID(), c.id)
			}
			if _, err := guard(t, key).Sign(t.Context(), signer.ECDSASHA256, []byte("message")); err != nil {
				t.Error(err)
			}
		})
	}
}

// A rotation between open and sign changes nothing, and a version that was
// asked for has its own public key.
func TestRotation(t *testing.T) {
	server := start(t)
	create(t, server, release, vaulttest.P256)
	first := open(t, server, "hashivault://release")
	rotate(t, server, release)
	if _, err := guard(t, first).Sign(t.Context(), signer.ECDSASHA256, []byte("message")); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	second, pinned := open(t, server, "hashivault://release"), open(t, server, "hashivault://release?version=1")
	if pinned.ID() != first.ID() || second.ID() == first.ID() || !strings.HasSuffix(second.ID(), "version=2") {
		t.Errorf("IDs %s, %s, %s", first.ID(), second.ID(), pinned.ID())
	}
	for _, key := range []*hashivault.Key{second, pinned} {
		if _, err := guard(t, key).Sign(t.Context(), signer.ECDSASHA256, []byte("message")); err != nil {
			t.Error(err)
		}
	}
	server.SetMinEncryptionVersion(release, 2)
	_, err := guard(t, first).Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
	wantFault(t, err, fault.Refused, "kms_key_disabled", "may not sign", "HTTP 500")
	if n := server.Count("sign"); n != 4 {
		t.Errorf("%d requests, want 4: what is disabled is not asked again", n)
	}
}

func TestRSAIsPKCS1(t *testing.T) {
	server := start(t)
	create(t, server, release, vaulttest.RSA2048)
	server.Inject("sign", vaulttest.Edit("signature", "vault:v1:"+strings.Repeat("A", 344)))
	_, err := guard(t, open(t, server, "hashivault://release")).Sign(t.Context(), signer.RSAPKCS1SHA256, []byte("message"))
	wantFault(t, err, fault.Refused, "bad_signature")
}

// The request's name in the report is that of the answer, which the audit log
// of the server has, too.
func TestRequestID(t *testing.T) {
	server := start(t)
	create(t, server, release, vaulttest.P256)
	sig, err := open(t, server, "hashivault://release").Sign(t.Context(), signer.ECDSASHA256, bytes.Repeat([]byte("m"), 9000))
	if err != nil {
		t.Fatal(err)
	}
	log := server.Requests()
	if last := log[len(log)-1]; sig.RequestID == "" || last.RequestID != sig.RequestID {
		t.Errorf("request %q, in the log %q", sig.RequestID, last.RequestID)
	}
	if server.Count("read") != 1 {
		t.Errorf("%d reads of the key, want 1", server.Count("read"))
	}
}
