package hashivault

import (
	"context"
	"crypto"
	"slices"
	"strings"
	"time"

	"github.com/signgate/signgate/internal/signer"
)

// trial is what Examine signs. It is no payload of any format.
const trial = "signgate doctor: a trial signature, which signs nothing"

// Examine looks at all that a signature needs, for signgate doctor, up to the
// first thing that fails. It makes one signature, verifies it here and forgets
// it.
func Examine(ctx context.Context, uri string, o Options) []signer.Check {
	s, err := connect(uri, o)
	if err != nil {
		return []signer.Check{signer.Failed("address", err)}
	}
	checks := []signer.Check{signer.Good("address", "%s (%sADDR)", s.address, s.env.prefix)}
	if err := s.login(ctx); err != nil {
		return append(checks, signer.Failed("login", err))
	}
	defer s.revoke()
	checks = append(checks, signer.Good("login", "%s", s.how), s.examineToken(ctx),
		signer.Good("namespace", "%s", s.namespaceName()), signer.Good("mount", "%s", s.mount))
	d, err := s.read(ctx)
	if err != nil {
		return append(checks, signer.Failed("key", err))
	}
	version, public, err := s.choose(d)
	if err != nil {
		return append(checks, signer.Failed("key", err))
	}
	checks = append(checks, s.examineKey(d, version, public)...)
	return append(checks, s.examineSign(ctx, &Key{session: s, version: version, public: public}))
}

// examineToken reads what the token is (GET /auth/token/lookup-self), which the
// policy "default" allows.
func (s *session) examineToken(ctx context.Context) signer.Check {
	var t struct {
		Name     string   `json:"display_name"`
		Policies []string `json:"policies"`
		TTL      int      `json:"ttl"` // seconds; 0 for never
	}
	_, err := s.ask(ctx, call{what: "look up the token", method: "GET", path: "auth/token/lookup-self", namespace: s.home}, &t)
	if err != nil {
		c := signer.Failed("token", err)
		c.Status = signer.Warn // a policy may forbid it, and still let the token sign
		return c
	}
	left := "without an end"
	if t.TTL > 0 {
		left = "for " + (time.Duration(t.TTL) * time.Second).String()
	}
	c := signer.Good("token", "%s, policies %s, valid %s", s.said(t.Name), s.said(strings.Join(t.Policies, ", ")), left)
	switch {
	case slices.Contains(t.Policies, "root"):
		c.Status, c.Next = signer.Warn, "use a token with a policy for this key alone"
	case t.TTL > 0 && t.TTL < 120:
		c.Status, c.Next = signer.Warn, "raise the token_ttl of the role: a run may take longer"
	}
	return c
}

func (s *session) examineKey(d description, version int, public crypto.PublicKey) []signer.Check {
	checks := []signer.Check{
		signer.Good("key", "%s, type %s (%s)", s.target, d.Type, signer.KeyType(public)),
		signer.Good("version", "%d of %d, min_encryption_version %d, min_decryption_version %d", version, d.Latest, d.MinEncryption, d.MinDecryption),
		signer.Good("deletion", "deletion_allowed is false"),
		signer.Good("export", "exportable and allow_plaintext_backup are false"),
	}
	if d.DeletionAllowed {
		checks[2] = signer.Doubtful("deletion", "set it back: vault write "+s.keyPath()+"/config deletion_allowed=false", "deletion_allowed is true: whoever has delete on the path can destroy the key")
	}
	if d.Exportable || d.PlaintextBackup {
		checks[3] = signer.Doubtful("export", "replace the key; neither can be taken back", "the private key can leave the server: exportable is %t, allow_plaintext_backup is %t", d.Exportable, d.PlaintextBackup)
	}
	return checks
}

// examineSign signs through the guard, which verifies.
func (s *session) examineSign(ctx context.Context, k *Key) signer.Check {
	const name = "permission to sign"
	guarded, err := signer.Guard(k, s.opts.Retry)
	if err != nil {
		return signer.Failed(name, err)
	}
	alg, err := signer.Usual(k.public)
	if err != nil {
		return signer.Failed(name, err)
	}
	sig, err := guarded.Sign(ctx, alg, []byte(trial))
	if err != nil {
		return signer.Failed(name, err)
	}
	return signer.Good(name, "a trial signature with %s verifies (request %s)", sig.Algorithm, sig.RequestID)
}
