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
	trusted, err := r.trustedKeys()
	if err != nil {
		return err
	}
	keys, closeKeys, err := r.openKeys(ctx)
	defer closeKeys()
	if err != nil {
		return err
	}
	if err := r.checkRedirected(keys); err != nil {
		return err
	}
	if err := r.describeKeys(keys); err != nil {
		return err
	}
	required, err := r.signPolicy(keys, trusted)
	if err != nil {
		return err
	}
	if err := r.connect(images); err != nil {
		return err
	}
	if r.report.Subjects, err = r.subjects(ctx, images); err != nil {
		return err
	}
	return r.signAll(ctx, keys, required)
}

// storedCheck begins the names of the requirements that what was written is
// there.
const storedCheck = "stored "

// signPolicy is what the end of sign requires: in each format, each key's
// signature; and what the trusted keys ask for.
func (r *run) signPolicy(keys []*signer.Signer, trusted []envelope.Key) (policy.Policy, error) {
	var p policy.Policy
	own := publicKeys(keys)
	for _, f := range r.Formats {
		p.Require = append(p.Require, policy.Group{Name: storedCheck + string(f), Keys: own, Min: len(own), Formats: []envelope.Format{f}, Annotations: r.Annotations})
	}
	r.report.Proof = report.ProofStored
	if len(trusted) > 0 {
		p.Require = append(p.Require, policy.Group{Name: "trusted-keys", Keys: trusted, Min: r.Threshold, Formats: r.Formats})
		r.report.Proof = report.ProofTrusted
	}
	return p, p.Check()
}

func publicKeys(keys []*signer.Signer) []envelope.Key {
	out := make([]envelope.Key, len(keys))
	for i, k := range keys {
		out[i] = envelope.Key{Name: k.ID(), Public: k.Public(), Fingerprint: k.Fingerprint()}
	}
	return out
}

func (r *run) signAll(ctx context.Context, keys []*signer.Signer, required policy.Policy) error {
	plans := make([]*plan, len(r.report.Subjects))
	err := r.each(ctx, func(ctx context.Context, i int) (err error) {
		plans[i], err = r.plan(ctx, r.report.Subjects[i].Subject, keys)
		return err
	})
	if err != nil {
		return err
	}
	for i, p := range plans {
		s := &r.report.Subjects[i]
		s.Signed, s.Existing, s.RequestIDs, s.Outcome = len(p.attachments), p.existing, p.requestIDs, fault.Passed.String()
	}
	if r.DryRun {
		return nil
	}
	err = r.each(ctx, func(ctx context.Context, i int) (err error) {
		s := &r.report.Subjects[i]
		s.Written, err = r.registry.Attach(ctx, s.Subject, plans[i].attachments)
		if err != nil {
			s.Outcome = fault.OutcomeOf(err).String()
		}
		return err
	})
	if err != nil {
		return err
	}
	return r.gateAll(ctx, required, true)
}

// each calls f for every subject, several at a time. The first error ends it.
func (r *run) each(ctx context.Context, f func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for i := range r.report.Subjects {
		g.Go(func() error { return f(ctx, i) })
	}
	return g.Wait()
}

// gateAll decides every subject from what the registry holds now. After our
// own writes it reads again for a while, because some registries lag.
func (r *run) gateAll(ctx context.Context, required policy.Policy, written bool) error {
	return r.each(ctx, func(ctx context.Context, i int) error {
		s := &r.report.Subjects[i]
		for attempt := 0; ; attempt++ {
			v, err := gate.Check(ctx, gate.Request{Subject: s.Subject, Policy: required, Now: r.now}, r.registry)
			if err != nil {
				return err
			}
			s.Decide(v)
			if v.Outcome() == fault.Passed || !written || attempt >= min(r.Retries, 4) || !lagging(v) {
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
		return strings.HasPrefix(f.Check, storedCheck) && slices.Contains([]string{"unsigned", "threshold", "key_other", "referrer_missing", "blob_missing"}, f.Code)
	})
}

// signOutputs are the outputs that only sign has.
func (r *run) signOutputs(set func(name, value string)) {
	var fingerprints, pems []string
	for _, k := range r.report.Keys {
		fingerprints, pems = append(fingerprints, k.Fingerprint), append(pems, k.PublicKey)
	}
	digests, signed := map[string][]string{}, r.report.Passed() && !r.DryRun
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
	set("signed", trueFalse(signed))
	set("key-fingerprint", strings.Join(fingerprints, "\n"))
	set("public-key", strings.Join(pems, ""))
	set("signature-digests", string(text))
}
