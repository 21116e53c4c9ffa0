package storm

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// largeTail ends a bundle whose signature is none.
const largeTail = `","signatures":[{"sig":"QUFB"}]}}`

// largeHead begins one that differs from the others.
func largeHead(i int) string {
	return fmt.Sprintf(`{"mediaType":%q,"verificationMaterial":{"publicKey":{"hint":"%03d"}},"dsseEnvelope":{"payloadType":"application/vnd.in-toto+json","payload":"`, bundleType, i)
}

// plantLarge attaches 64 bundles of about size bytes and no more. Their blobs
// are made as they are read.
func plantLarge(size int, annotations ...string) func(*testing.T, *target) {
	payload := strings.Repeat("QUFB", (size-len(largeHead(0))-len(largeTail))/4)
	content := func(i int) io.Reader {
		return io.MultiReader(strings.NewReader(largeHead(i)), strings.NewReader(payload), strings.NewReader(largeTail))
	}
	total := len(largeHead(0)) + len(payload) + len(largeTail)
	return func(t *testing.T, x *target) {
		blobs := map[string]int{} // by digest
		for i := range 64 {
			sum := sha256.New()
			_, _ = io.Copy(sum, content(i))
			digest := fmt.Sprintf("sha256:%x", sum.Sum(nil))
			blobs[digest] = i
			x.refer(t, descriptor{MediaType: bundleType, Digest: digest, Size: total}, annotations...)
		}
		x.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			i, ok := blobs[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]]
			if !ok || r.Method != http.MethodGet {
				return false
			}
			w.Header().Set("Content-Length", fmt.Sprint(total))
			_, _ = io.Copy(w, content(i))
			return true
		})
	}
}

// TestLargeAttestations: attestations may be larger than signatures, and those of
// a wanted type that nobody has signed cost a reader a bounded amount of memory.
func TestLargeAttestations(t *testing.T) {
	t.Parallel()
	const kind = "https://acme.example/large/v1"
	x := newTarget(t, registrytest.Referrers)
	x.signed(t, both)
	x.RequireBlobs(false)
	plantLarge(24<<20-1<<12, "dev.sigstore.bundle.predicateType", kind)(t, x)
	e := within(t, attestationLimit, x.verifyArgs(both, "--attestation", kind)...)
	e.exits(t, "an attestation that is not there", 1, 3)
	measured(t, x.verifyArgs(both)...).exits(t, "signatures alone", 0)
}

// TestLargestAttestation: the largest predicate that may be attested is read back,
// found again and gated.
func TestLargestAttestation(t *testing.T) {
	t.Parallel()
	x := newTarget(t, registrytest.Referrers)
	predicate := filepath.Join(t.TempDir(), "predicate.json")
	if err := os.WriteFile(predicate, []byte(`{"text":"`+strings.Repeat("x", 16<<20-11)+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	attest := []string{"--predicate-type", "custom", "--predicate-path", predicate}
	x.sign(t, both, attest...).exits(t, "sign", 0)
	if again := x.sign(t, both, attest...); again.code != 0 || !strings.Contains(again.stdout, `"existingAttestations": 1`) {
		t.Errorf("again: %s", again)
	}
	x.verify(t, both, "--attestation", "custom").exits(t, "verify", 0)
}
