package keys

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/mldsa"
	"github.com/cloudflare/circl/sign"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/signer"
)

// signed is what an outside verifier gets to see: the exact bytes and the
// signature over them, taken from the envelope without our readers.
type signed struct{ message, sig []byte }

// open takes an envelope apart by the specifications: cosign's SIGNATURE_SPEC
// for simple signing; for a bundle the Sigstore bundle's JSON and DSSE's
// pre-authentication encoding.
func open(t *testing.T, a envelope.Attachment) signed {
	t.Helper()
	if a.Format == envelope.SimpleSigning {
		sig, err := base64.StdEncoding.DecodeString(a.Annotations["dev.cosignproject.cosign/signature"])
		if err != nil {
			t.Fatal(err)
		}
		return signed{a.Blob, sig}
	}
	var b struct {
		DSSEEnvelope struct {
			Payload     []byte
			PayloadType string
			Signatures  []struct{ Sig []byte }
		}
	}
	if err := json.Unmarshal(a.Blob, &b); err != nil || len(b.DSSEEnvelope.Signatures) != 1 {
		t.Fatalf("%s: %v", a.Blob, err)
	}
	e := b.DSSEEnvelope
	pae := fmt.Sprintf("DSSEv1 %d %s %d %s", len(e.PayloadType), e.PayloadType, len(e.Payload), e.Payload)
	return signed{[]byte(pae), e.Signatures[0].Sig}
}

// verify checks a signature with a program or library that is not ours:
// OpenSSL, and for ML-DSA circl.
func (s signed) verify(t *testing.T, pub crypto.PublicKey, alg signer.Algorithm) error {
	t.Helper()
	if key, ok := pub.(*mldsa.PublicKey); ok {
		return s.circl(key, alg)
	}
	der, err := signer.MarshalPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := file("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	message, sig := file("message", s.message), file("sig", s.sig)
	args := []string{"dgst", "-" + strings.ReplaceAll(strings.ToLower(alg.Hash().String()), "-", ""), "-verify", key, "-signature", sig, message}
	if alg == signer.Ed25519 {
		args = []string{"pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", message, "-sigfile", sig}
	}
	if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("openssl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (s signed) circl(key *mldsa.PublicKey, alg signer.Algorithm) error {
	scheme := map[signer.Algorithm]sign.Scheme{
		signer.MLDSA44: mldsa44.Scheme(), signer.MLDSA65: mldsa65.Scheme(), signer.MLDSA87: mldsa87.Scheme(),
	}[alg]
	pub, err := scheme.UnmarshalBinaryPublicKey(key.Bytes())
	if err != nil {
		return err
	}
	if !scheme.Verify(pub, s.message, s.sig, nil) {
		return fmt.Errorf("circl does not verify %s", alg)
	}
	return nil
}
