package cli

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/report"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
)

// concurrency bounds the subjects that are worked on at a time.
const concurrency = 8

// sign signs the images with each key in each format, attaches the signatures
// and gates what the registry then holds. Everything is signed and verified
// locally before the first write.
func (r *run) sign(ctx context.Context) error {
	if t := r.runner.Trigger(); t.Untrusted() && !r.AllowUntrustedTrigger {
		return fault.Refusedf("untrusted_trigger", "sign in a workflow that runs on push, release or schedule, or set allow-untrusted-trigger: true after you have read what it means",
			"a workflow on %s can be started by a stranger and has your secrets", t.Event)
	}
	images, err := r.images(false)
	if err != nil {
		return err
	}
	trusted, err := r.signTrust()
	if err != nil {
		return err
	}
	keys, closeKeys, err := r.openKeys(ctx)
	defer closeKeys()
	if err != nil {
		return err
	}
	if err := r.checkKeys(keys, trusted); err != nil {
		return err
	}
	if err := r.connect(images); err != nil {
		return err
	}
	r.subjects(ctx, images)
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
	if err := r.signPolicy(publicKeys(keys), trusted, &plan{}).Check(); err != nil {
		return err
	}
	return r.describeKeys(keys)
}

// storedCheck begins the names of the requirements that what was written is
// there.
const storedCheck = "stored "

// signPolicy is what the end of sign requires of a subject: in each format,
// each key's signature as this run made or found it; and what the trusted keys
// ask for.
func (r *run) signPolicy(own, trusted []envelope.Key, p *plan) policy.Policy {
	var out policy.Policy
	for _, f := range r.Formats {
		out.Require = append(out.Require, policy.Group{Name: storedCheck + string(f), Keys: own, Min: len(own), Formats: []envelope.Format{f}, Only: p.blobs})
	}
	if len(trusted) > 0 {
		out.Require = append(out.Require, policy.Group{Name: "trusted-keys", Keys: trusted, Min: r.Threshold, Formats: r.Formats})
	}
	return out
}

func publicKeys(keys []*signer.Signer) []envelope.Key {
	out := make([]envelope.Key, len(keys))
	for i, k := range keys {
		out[i] = envelope.Key{Name: k.ID(), Public: k.Public(), Fingerprint: k.Fingerprint()}
	}
	return out
}

// signAll plans, writes and gates. Nothing is written unless every subject
// could be planned.
func (r *run) signAll(ctx context.Context, keys []*signer.Signer, trusted []envelope.Key) error {
	if r.anyFailed() {
		return nil
	}
	plans := make([]*plan, len(r.report.Subjects))
	r.each(ctx, "sign", func(ctx context.Context, s *report.Subject, i int) (err error) {
		plans[i], err = r.plan(ctx, s.Subject, keys)
		if err == nil {
			s.Existing, s.RequestIDs = plans[i].existing, plans[i].requestIDs
		}
		return err
	})
	if r.anyFailed() {
		return nil
	}
	if r.DryRun {
		for i := range r.report.Subjects {
			r.report.Subjects[i].Signed = len(plans[i].attachments)
			r.report.Subjects[i].Pass("dry-run", "signed and verified locally, not written")
		}
		return nil
	}
	r.each(ctx, "attach", func(ctx context.Context, s *report.Subject, i int) (err error) {
		s.Written, err = r.registry.Attach(ctx, s.Subject, plans[i].attachments)
		if err == nil {
			s.Signed = len(plans[i].attachments)
		}
		return err
	})
	own := publicKeys(keys)
	r.gateAll(ctx, true, func(i int) policy.Policy { return r.signPolicy(own, trusted, plans[i]) })
	return nil
}

// each calls f for every subject that has not failed, several at a time. An
// error becomes a finding of the subject and stops no other.
func (r *run) each(ctx context.Context, check string, f func(ctx context.Context, s *report.Subject, i int) error) {
	var g errgroup.Group
	g.SetLimit(concurrency)
	for i := range r.report.Subjects {
		s := &r.report.Subjects[i]
		if s.Failed() {
			continue
		}
		g.Go(func() error {
			if err := f(ctx, s, i); err != nil {
				s.Fail(check, r.interrupted(ctx, err))
			}
			return nil
		})
	}
	_ = g.Wait() // each failure is in its subject
}

func (r *run) anyFailed() bool {
	return slices.ContainsFunc(r.report.Subjects, func(s report.Subject) bool { return s.Failed() })
}

// gateAll decides every subject from what the registry holds now. After our
// own writes it reads again for a while, because some registries lag, and then
// looks at the tags once more.
func (r *run) gateAll(ctx context.Context, written bool, required func(i int) policy.Policy) {
	r.each(ctx, "gate", func(ctx context.Context, s *report.Subject, i int) error {
		for attempt := 0; ; attempt++ {
			v, err := gate.Check(ctx, gate.Request{Subject: s.Subject, Policy: required(i), Now: r.now}, r.registry)
			if err != nil {
				return err
			}
			s.Decide(v)
			if ctx.Err() != nil && v.Outcome() != fault.Passed {
				return ctx.Err()
			}
			if !written || attempt >= min(r.Retries, 4) || !lagging(v) {
				break
			}
			if retry.Wait(ctx, 500*time.Millisecond<<attempt) != nil {
				break
			}
		}
		if s.Index == "" && written {
			return r.checkTags(ctx, s.Subject)
		}
		return nil
	})
}

// lagging reports whether a verdict may come from a registry that does not
// yet show what this run wrote.
func lagging(v gate.Verdict) bool {
	return slices.ContainsFunc(v.Findings, func(f gate.Finding) bool {
		return strings.HasPrefix(f.Check, storedCheck) && slices.Contains([]string{"write_lost", "referrer_missing", "blob_missing"}, f.Code)
	})
}

// signOutputs are the outputs that only sign has.
func (r *run) signOutputs(set func(name, value string)) {
	var fingerprints, pems []string
	for _, k := range r.report.Keys {
		fingerprints, pems = append(fingerprints, k.Fingerprint), append(pems, k.PublicKey)
	}
	digests := map[string][]string{}
	for _, s := range r.report.Subjects {
		for _, sig := range s.Signatures {
			if !slices.Contains(digests[s.Digest], sig.Manifest) {
				digests[s.Digest] = append(digests[s.Digest], sig.Manifest)
			}
		}
	}
	text, err := json.Marshal(digests)
	if err != nil {
		text = []byte("{}")
	}
	set("key-fingerprint", strings.Join(fingerprints, "\n"))
	set("public-key", strings.Join(pems, ""))
	set("signature-digests", string(text))
}
