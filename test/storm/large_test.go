package storm

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// largeTail ends a bundle whose signature is none.
const largeTail = `","signatures":[{"sig":"QUFB"}]}}`

// largeHead begins one that differs from the others.
func largeHead(i int) string {
	return fmt.Sprintf(`{"mediaType":%q,"verificationMaterial":{"publicKey":{"hint":"%03d"}},"dsseEnvelope":{"payloadType":"application/vnd.in-toto+json","payload":"`, bundleType, i)
}

// plantLarge attaches 64 bundles of about size bytes and no more. Their blobs
// are made as they are read.
func plantLarge(size int) func(*testing.T, *target) {
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
			x.refer(t, descriptor{MediaType: bundleType, Digest: digest, Size: total})
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
