// Package keys signs with every kind of key in every backend, in both formats,
// and has each signature verified by somebody else.
package keys

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/dsse"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

var update = flag.Bool("update", false, "write the table into docs/keys.md")

// specs are the rows of the table.
var specs = []string{"P-256", "P-384", "P-521", "RSA-2048", "RSA-3072", "RSA-4096", "Ed25519", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87", "secp256k1", "symmetric"}

// errNone is the answer of a backend that has no such keys.
var errNone = errors.New("the backend has no such keys")

// backend is a column of the table: it opens a new key of a spec.
type backend struct {
	name string
	open func(t *testing.T, spec string) (signer.Key, error)
}

const page = "../../docs/keys.md"

// TestMatrix: each cell is verified by an outside verifier in both formats, or
// refused with its reason, or the backend has no such keys; docs/keys.md says
// the same.
func TestMatrix(t *testing.T) {
	columns := backends(t)
	var table strings.Builder
	head, line := "| key type |", "|---|"
	for _, b := range columns {
		head, line = head+" "+b.name+" |", line+"---|"
	}
	fmt.Fprintf(&table, "%s\n%s\n", head, line)
	for _, spec := range specs {
		fmt.Fprintf(&table, "| %s |", spec)
		for _, b := range columns {
			fmt.Fprintf(&table, " %s |", cell(t, b, spec))
		}
		table.WriteByte('\n')
	}
	compare(t, table.String())
}

// cell returns what the table says of one backend and spec.
func cell(t *testing.T, b backend, spec string) (text string) {
	t.Run(b.name+"/"+spec, func(t *testing.T) {
		key, err := b.open(t, spec)
		switch {
		case errors.Is(err, errNone):
			text = "–"
			return
		case err != nil:
			if fault.OutcomeOf(err) != fault.Config || fault.CodeOf(err) == "internal" {
				t.Errorf("it is refused without a reason: %v", err)
			}
			text = "`" + fault.CodeOf(err) + "`"
			return
		}
		text = "yes"
		for _, format := range envelope.Formats() {
			checkFormat(t, key, format)
		}
	})
	return text
}

// checkFormat makes an envelope and has it verified, and a changed one refused.
func checkFormat(t *testing.T, key signer.Key, format envelope.Format) {
	t.Helper()
	s, err := signer.Guard(key, retry.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	alg, err := signer.Usual(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	got := open(t, seal(t, s, alg, format))
	if err := got.verify(t, s.Public(), alg); err != nil {
		t.Errorf("%s: %v", format, err)
	}
	got.message[len(got.message)/2] ^= 1
	if got.verify(t, s.Public(), alg) == nil {
		t.Errorf("%s: a changed message verifies", format)
	}
}

func seal(t *testing.T, s *signer.Signer, alg signer.Algorithm, format envelope.Format) envelope.Attachment {
	t.Helper()
	subject := image.Subject{Repository: "registry.example/app", Digest: image.DigestOf([]byte("image")), MediaType: image.OCIManifest, Size: 5}
	claims := envelope.Claims{Version: envelope.ClaimsVersion, Repository: subject.Repository, IssuedAt: time.Now().UTC().Truncate(time.Second)}
	body, err := simplesigning.Payload(subject, "1.0", claims, nil)
	message := body
	if format == envelope.Bundle {
		body, err = attest.Signature(subject, claims, nil)
		message = dsse.ToSign(body)
	}
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.Sign(t.Context(), alg, message)
	if err != nil {
		t.Fatal(err)
	}
	if format == envelope.SimpleSigning {
		return simplesigning.Seal(body, sig.Bytes, s.Fingerprint())
	}
	a, err := bundle.Seal(body, sig.Bytes, envelope.SignaturePredicate, s.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// compare checks the table in the docs, or writes it there.
func compare(t *testing.T, table string) {
	t.Helper()
	const begin, end = "<!-- BEGIN matrix -->\n", "<!-- END matrix -->"
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), begin)
	was, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", page)
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(page, []byte(before+begin+table+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if was != table {
		t.Errorf("%s says\n%s\nand it is\n%s\nrun: go test ./test/keys -update", page, was, table)
	}
}
