package cli

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/report"
	"github.com/signgate/signgate/internal/signer"
)

// sign signs the images with each key in each format and makes the attestations
// that are asked for, attaches all that and gates what the registry then holds.
// Everything is signed and verified locally before the first write. Attest is
// the same without signatures.
func (r *run) sign(ctx context.Context) error {
	if t := r.runner.Trigger(); t.Untrusted() && !r.AllowUntrustedTrigger {
		return fault.Refusedf("untrusted_trigger", "sign in a workflow that runs on push, release or schedule, or set allow-untrusted-trigger: true after you have read what it means",
			"a workflow on %s can be started by a stranger and has your secrets", t.Event)
	}
	images, err := r.images(false)
	if err != nil {
		return err
	}
	if err := r.checkPromotion(images, r.list("promote-tags")); err != nil {
		return err
	}
	trusted, err := r.signTrust()
	if err != nil {
		return err
	}
	if err := r.readDocuments(); err != nil {
		return err
	}
	if err := r.connect(images); err != nil {
		return err
	}
	// The key backend and the registry are asked at the same time.
	found, stop := context.WithCancel(ctx)
	defer stop()
	var registry errgroup.Group
	registry.Go(func() error { r.subjects(found, images); return nil })
	keys, closeKeys, err := r.openKeys(ctx)
	defer closeKeys()
	if err == nil {
		err = r.checkKeys(keys, trusted)
	}
	if err != nil {
		stop()
	}
	_ = registry.Wait() // each failure is in the report
	if err != nil {
		r.report.Subjects = []report.Subject{}
		return err
	}
	return r.signAll(ctx, keys, trusted)
}

// signTrust returns the trusted keys, if any, and refuses inputs that only
// mean something beside them.
func (r *run) signTrust() ([]envelope.Key, error) {
	trusted, err := r.trustedKeys()
	if err != nil || len(trusted) > 0 {
		r.report.Proof = report.ProofTrusted
		return trusted, err
	}
	r.report.Proof = report.ProofStored
	name := ""
	switch {
	case r.Threshold > 1:
		name = "threshold"
	case r.get("trusted-keys-sha256") != "":
		name = "trusted-keys-sha256"
	default:
		return nil, nil
	}
	return nil, fault.Configf("inputs_contradict", "set trusted-keys, or remove "+name, "%s is given without trusted-keys", name)
}

// checkKeys refuses, before anything is signed, a key that the trusted keys do
// not know, and a redirected backend that nothing vouches for.
func (r *run) checkKeys(keys []*signer.Signer, trusted []envelope.Key) error {
	for _, k := range keys {
		known := slices.ContainsFunc(trusted, func(t envelope.Key) bool { return t.Fingerprint == k.Fingerprint() })
		if len(trusted) > 0 && !known {
			return fault.Refusedf("key_mismatch", "nothing was signed; correct key, or add its public key to trusted-keys",
				"the key %s (%s) is not one of trusted-keys", k.ID(), k.Fingerprint())
		}
		if to := k.RedirectedTo(); to != "" && !known && len(r.list("expected-key")) == 0 {
			return fault.Configf("backend_redirected", "set expected-key to the key's fingerprint, or trusted-keys, or remove the override",
				"an endpoint override sends the calls for %s to %s, and nothing says which key is expected", k.ID(), to)
		}
	}
	if len(trusted) > 0 {
		if err := r.trustedGroup(trusted).Check(); err != nil {
			return err
		}
	}
	return r.describeKeys(keys)
}

// storedCheck begins the names of the requirements that what was written is
// there.
const storedCheck = "stored "

// signPolicy is what the end of sign requires of a subject: in each format,
// each key's signature as this run made or found it; and what the trusted keys
// ask for.
func (r *run) signPolicy(own, trusted []envelope.Key, p *plan) policy.Rule {
	out := policy.Rule{Name: report.ProofStored, Attestations: r.attested(own, p)}
	if len(trusted) > 0 {
		out.Name = "trusted-keys"
	}
	if r.report.Command == "attest" {
		return out
	}
	for _, f := range r.Formats {
		if p.refused[f] != nil {
			continue // the bundle is there, and the user was told
		}
		out.Require = append(out.Require, policy.Group{Name: storedCheck + string(f), Keys: own, Min: len(own), Formats: []envelope.Format{f}, Only: p.blobs})
	}
	if len(trusted) > 0 {
		out.Require = append(out.Require, r.trustedGroup(trusted))
	}
	return out
}

func (r *run) trustedGroup(trusted []envelope.Key) policy.Group {
	return policy.Group{Name: "trusted-keys", Keys: trusted, Min: r.Threshold, Formats: r.Formats}
}

func publicKeys(keys []*signer.Signer) []envelope.Key {
	out := make([]envelope.Key, len(keys))
	for i, k := range keys {
		out[i] = envelope.Key{Name: k.ID(), Public: k.Public(), Fingerprint: k.Fingerprint()}
	}
	return out
}

// signOutputs are the outputs that only sign has.
func (r *run) signOutputs(set func(name, value string)) {
	var fingerprints, pems []string
	for _, k := range r.report.Keys {
		fingerprints, pems = append(fingerprints, k.Fingerprint), append(pems, k.PublicKey)
	}
	set("key-fingerprint", strings.Join(fingerprints, "\n"))
	set("public-key", strings.Join(pems, ""))
	if r.report.Command == "sign" {
		set("signature-digests", r.manifests(func(s report.Subject) (out []string) {
			for _, sig := range s.Signatures {
				out = append(out, sig.Manifest)
			}
			return out
		}))
	}
	set("attestation-digests", r.manifests(func(s report.Subject) (out []string) {
		for _, a := range s.Attestations {
			out = append(out, a.Manifest)
		}
		return out
	}))
}

// manifests returns a JSON object from each digest to manifests that belong to it,
// each once.
func (r *run) manifests(of func(report.Subject) []string) string {
	digests := map[string][]string{}
	for _, s := range r.report.Subjects {
		for _, m := range of(s) {
			if !slices.Contains(digests[s.Digest], m) {
				digests[s.Digest] = append(digests[s.Digest], m)
			}
		}
	}
	text, err := json.Marshal(digests)
	if err != nil {
		return "{}"
	}
	return string(text)
}
