package recipes

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/dsse"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/retry"
)

// The predicate types of the recipe.
const (
	provenance = "https://slsa.dev/provenance/v1"
	vuln       = "https://cosign.sigstore.dev/attestation/vuln/v1"
)

func TestAttestations(t *testing.T) {
	r := open(t, "attestations", "ghcr.io/acme")
	base := r.Push(t, "base/alpine:3")
	r.sign("base/alpine:3", base, "ci")
	other := r.Push(t, "base/debian:13")

	good := func(tag string) string {
		digest := r.Push(t, "pay:"+tag)
		r.sign("pay:"+tag, digest, "ci")
		return digest
	}
	now, lastWeek := time.Now(), time.Now().AddDate(0, 0, -8)

	digest := good("passes")
	r.refuses("attestation_missing", "pay:passes")
	r.attest("pay", digest, provenance, r.built("main", "base/alpine:3", base))
	r.refuses("attestation_missing", "pay:passes")
	r.attest("pay", digest, vuln, scanned(0, lastWeek))
	r.refuses("too_old", "pay:passes")
	r.attest("pay", digest, vuln, scanned(0, now))
	r.passes("pay:passes")

	digest = good("branch")
	r.attest("pay", digest, provenance, r.built("feature", "base/alpine:3", base))
	r.attest("pay", digest, vuln, scanned(0, now))
	r.refuses("condition", "pay:branch")

	digest = good("critical")
	r.attest("pay", digest, provenance, r.built("main", "base/alpine:3", base))
	r.attest("pay", digest, vuln, scanned(0, now.Add(-time.Hour)))
	r.attest("pay", digest, vuln, scanned(1, now))
	r.refuses("condition", "pay:critical")

	digest = good("format")
	r.attest("pay", digest, provenance, r.built("main", "base/alpine:3", base))
	r.attest("pay", digest, vuln, map[string]any{"scanner": map[string]any{}, "metadata": map[string]any{"scanFinishedOn": now.Format(time.RFC3339)}})
	r.refuses("condition", "pay:format")

	digest = good("base")
	r.attest("pay", digest, provenance, r.built("main", "base/debian:13", other))
	r.attest("pay", digest, vuln, scanned(0, now))
	r.refuses("unsigned", "pay:base")

	digest = good("nobody")
	r.attest("pay", digest, provenance, r.built("main", "elsewhere:13", r.Push(t, "elsewhere:13")))
	r.attest("pay", digest, vuln, scanned(0, now))
	r.refuses("rule_missing", "pay:nobody")

	digest = good("exception")
	r.refuses("attestation_missing", "pay:exception")
	r.edit("4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945", strings.TrimPrefix(digest, "sha256:"))
	r.passes("pay:exception")
}

func (r *recipe) built(branch, base, digest string) map[string]any {
	return map[string]any{"buildDefinition": map[string]any{
		"externalParameters":   map[string]any{"workflow": map[string]any{"ref": "refs/heads/" + branch}},
		"resolvedDependencies": []any{map[string]any{"uri": "docker-image://" + r.Host + "/" + base, "digest": map[string]any{"sha256": strings.TrimPrefix(digest, "sha256:")}}},
	}}
}

func scanned(critical int, at time.Time) map[string]any {
	return map[string]any{
		"scanner":  map[string]any{"result": map[string]any{"critical": critical}},
		"metadata": map[string]any{"scanFinishedOn": at.UTC().Format(time.RFC3339)},
	}
}

// attest attaches an attestation by the key ci, as a CI job would.
func (r *recipe) attest(repository, digest, predicateType string, predicate map[string]any) {
	r.t.Helper()
	statement, err := json.Marshal(map[string]any{
		"_type": "https://in-toto.io/Statement/v1", "predicateType": predicateType, "predicate": predicate,
		"subject": []any{map[string]any{"name": repository, "digest": map[string]any{"sha256": strings.TrimPrefix(digest, "sha256:")}}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	sum := sha256.Sum256(dsse.ToSign(statement))
	sig, err := ecdsa.SignASN1(rand.Reader, r.keys["ci"], sum[:])
	if err != nil {
		r.t.Fatal(err)
	}
	key, err := policy.KeyOf("ci", r.keys["ci"].Public())
	if err != nil {
		r.t.Fatal(err)
	}
	a, err := bundle.Seal(statement, sig, predicateType, key.Fingerprint)
	if err != nil {
		r.t.Fatal(err)
	}
	r.attach(repository, digest, a)
}

func (r *recipe) attach(repository, digest string, a envelope.Attachment) {
	r.t.Helper()
	client := registry.New(registry.Options{Keychain: authn.NewMultiKeychain(), Push: true, Retry: retry.Policy{Attempts: 1, PerAttempt: time.Minute}, Transport: http.DefaultTransport})
	repository = r.Host + "/" + repository
	m, presence, err := client.Manifest(context.Background(), repository, digest)
	if err != nil || presence != registry.Found {
		r.t.Fatal(presence, err)
	}
	s := image.Subject{Repository: repository, Digest: digest, MediaType: m.MediaType, Size: int64(len(m.Body))}
	if _, err := client.Attach(context.Background(), s, client.View(s), []envelope.Attachment{a}); err != nil {
		r.t.Fatal(err)
	}
}

// copy mirrors an image and its signatures to another repository.
func (r *recipe) copy(from, to, digest, tag string) {
	r.t.Helper()
	references, sig := []string{"@" + digest}, ":"+strings.Replace(digest, ":", "-", 1)+".sig"
	for _, ref := range append(references, sig) {
		source, err := name.ParseReference(r.Host + "/" + from + ref)
		if err != nil {
			r.t.Fatal(err)
		}
		img, err := remote.Image(source)
		if err != nil {
			r.t.Fatal(err)
		}
		target := r.Host + "/" + to + ":" + tag
		if ref == sig {
			target = r.Host + "/" + to + sig
		}
		destination, err := name.NewTag(target)
		if err != nil {
			r.t.Fatal(err)
		}
		if err := remote.Write(destination, img); err != nil {
			r.t.Fatal(err)
		}
	}
}
