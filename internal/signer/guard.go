package signer

import (
	"context"
	"crypto"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/retry"
)

// Signer is a guarded Key. It is safe for concurrent use.
type Signer struct {
	key         Key
	fingerprint string
	retry       retry.Policy
}

// Guard wraps key. It fails when the key's type is not one that signgate
// supports.
func Guard(key Key, retry retry.Policy) (*Signer, error) {
	if err := CheckKey(key.Public()); err != nil {
		return nil, err
	}
	fp, err := Fingerprint(key.Public())
	if err != nil {
		return nil, err
	}
	return &Signer{key: key, fingerprint: fp, retry: retry}, nil
}

// ID returns the key's immutable identity.
func (s *Signer) ID() string { return s.key.ID() }

// Public returns the public key.
func (s *Signer) Public() crypto.PublicKey { return s.key.Public() }

// Fingerprint returns the key's SPKI fingerprint, see the function Fingerprint.
func (s *Signer) Fingerprint() string { return s.fingerprint }

// RedirectedTo returns the endpoint that the environment sends the key's
// backend to, or "".
func (s *Signer) RedirectedTo() string {
	if r, ok := s.key.(Redirected); ok {
		return r.RedirectedTo()
	}
	return ""
}

// Custody returns how the key's backend says that the key is kept, and false
// when it says nothing.
func (s *Signer) Custody() (Custody, bool) {
	k, ok := s.key.(Kept)
	if !ok || k.Custody() == (Custody{}) {
		return Custody{}, false
	}
	return k.Custody(), true
}

// Sign signs message and returns the signature only after it has verified it
// locally, with the public key fetched at open, over the exact message. It
// repeats a transient failure as its policy says, and nothing else. A response
// that came from another key or another algorithm is a refusal.
func (s *Signer) Sign(ctx context.Context, alg Algorithm, message []byte) (Signature, error) {
	var sig Signature
	err := s.retry.Do(ctx, "signing with "+s.ID(), func(ctx context.Context) (err error) {
		sig, err = s.key.Sign(ctx, alg, message)
		return err
	})
	if err != nil {
		return Signature{}, err
	}
	return sig, s.check(sig, alg, message)
}

func (s *Signer) check(sig Signature, alg Algorithm, message []byte) error {
	const next = "nothing was published; check that the public key is that of the private one, and that no proxy, alias change or endpoint override sits between signgate and the key"
	if sig.KeyID != s.ID() || sig.Algorithm != alg {
		return fault.Refusedf("key_mismatch", next, "asked %s to sign with %s, but %.300q answered with %.60q",
			s.ID(), alg, sig.KeyID, string(sig.Algorithm))
	}
	if err := alg.Verify(s.Public(), message, sig.Bytes); err != nil {
		return fault.Refusedf("bad_signature", next, "a signature that %s returned (request %q) does not verify with its public key: %w",
			s.ID(), sig.RequestID, err)
	}
	return nil
}

// CheckPins compares the keys of a run with the expected SPKI fingerprints.
// Without pins everything passes. With pins there is one for each key, each
// key has its pin and each pin is used; the order does not matter. A
// malformed pin is a configuration fault ("pin_invalid"), a key without a pin
// or a pin without a key is a refusal ("key_mismatch").
func CheckPins(keys []*Signer, pins []string) error {
	if len(pins) == 0 {
		return nil
	}
	left := make([]string, 0, len(pins))
	for _, pin := range pins {
		if !validPin(pin) {
			return fault.Configf("pin_invalid", "print the right one with: signgate key public --fingerprint",
				"the expected key %q is not a fingerprint of the form sha256:<64 lower-case hex digits>", pin)
		}
		left = append(left, pin)
	}
	for _, k := range keys {
		i := slices.Index(left, k.Fingerprint())
		if i < 0 {
			return fault.Refusedf("key_mismatch", "nothing was signed; if the key was replaced on purpose, change expected-key",
				"the key %s has the fingerprint %s, which is not among the expected keys %s", k.ID(), k.Fingerprint(), strings.Join(pins, ", "))
		}
		left = slices.Delete(left, i, i+1)
	}
	if len(left) > 0 {
		return fault.Refusedf("key_mismatch", "nothing was signed; give one expected-key for each key",
			"no key of this run has the expected fingerprint %s", strings.Join(left, ", "))
	}
	return nil
}

func validPin(pin string) bool {
	hex, ok := strings.CutPrefix(pin, "sha256:")
	return ok && len(hex) == 64 && strings.Trim(hex, "0123456789abcdef") == ""
}
