package docs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/policy"
)

var isPolicy = regexp.MustCompile(`(?m)^version: 1$`)

// TestPolicies: the policies in the pages load, each file that they name being a
// key of its own.
func TestPolicies(t *testing.T) {
	loaded := 0
	for _, f := range fences(t, "yaml") {
		if !isPolicy.MatchString(f.text) || !strings.Contains(f.text, "rules:") {
			continue
		}
		loaded++
		keys := map[string][]byte{}
		read := func(name string) ([]byte, error) {
			if keys[name] == nil {
				keys[name] = publicKey(t)
			}
			return keys[name], nil
		}
		until := "until: " + time.Now().AddDate(0, 0, 30).Format(time.DateOnly)
		text := regexp.MustCompile(`until: [0-9-]+`).ReplaceAllString(f.text, until)
		where := fmt.Sprintf("%s:%d", f.page, f.line)
		if _, err := policy.Load(policy.Source{Name: where, Text: []byte(text), Read: read, Now: time.Now()}); err != nil {
			t.Errorf("%s: %v", where, policy.Problems(err))
		}
	}
	if loaded < 6 {
		t.Errorf("only %d policies were found", loaded)
	}
}

func publicKey(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
