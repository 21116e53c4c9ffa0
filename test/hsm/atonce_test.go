package hsm

import (
	"fmt"
	"sync"
	"testing"

	"github.com/signgate/signgate/internal/pkcs11signer"
)

// atOnce signs with all keys of a token in eight goroutines: more than a key
// has sessions, and several keys in one login.
func atOnce(t *testing.T, m *module) {
	var keys []*pkcs11signer.Key
	types := m.signing()
	for _, k := range types {
		keys = append(keys, open(t, m, m.uri(k.name), m.options()))
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for round := range 4 {
				n := (i + round) % len(keys)
				alg, message := types[n].algs[0], fmt.Appendf(nil, "goroutine %d, round %d", i, round)
				sig, err := keys[n].Sign(t.Context(), alg, message)
				if err == nil {
					err = alg.Verify(keys[n].Public(), message, sig.Bytes)
				}
				if err != nil {
					t.Errorf("%s: %v", types[n].name, err)
				}
			}
		})
	}
	wg.Wait()
}
