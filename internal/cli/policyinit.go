package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/report"
)

func newPolicyInit(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init --trusted-keys FILE IMAGE…",
		Short: "Print a policy for images that are signed already",
		Long: `Find out which of the given keys have signed the images, and print a policy
that requires it of their repositories from now on. A signature does not bring its
public key along, so the keys have to be given: as PEM with --trusted-keys, or by
the URI of a backend with --key. Review what is printed; nothing is written.

Exit codes: 0 printed, 1 an image is not signed by the keys, 2 configuration,
3 undecided.`,
		Example: `  signgate policy init --trusted-keys release.pub ghcr.io/acme/app:1.4 > policy.yaml
  signgate policy init --key awskms:///alias/release ghcr.io/acme/app:1.4 > policy.yaml`,
		Args: cobra.MinimumNArgs(1),
	}
	addInputs(cmd, "policy-init")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := newCommandRun(p, "policy-init", flagValues(cmd, args))
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), r.Timeout)
		defer cancel()
		return r.interrupted(ctx, r.initPolicy(ctx))
	}
	return cmd
}

func (r *run) initPolicy(ctx context.Context) error {
	images, err := r.images(true)
	if err != nil {
		return err
	}
	keys, err := r.starterKeys(ctx)
	if err != nil {
		return err
	}
	if err := r.connect(images); err != nil {
		return err
	}
	r.Recursive = true
	r.subjects(ctx, images)
	signed := make([]signedSubject, len(r.report.Subjects))
	r.each(ctx, "policy init", func(ctx context.Context, s *report.Subject, i int) (err error) {
		signed[i], err = r.signers(ctx, s.Subject, keys)
		return err
	})
	if err := r.firstFailure(); err != nil {
		return err
	}
	text, err := starter(signed, keys, r.now)
	if err != nil {
		return err
	}
	if _, err := policy.Load(policy.Source{Name: "starter", Text: []byte(text), Now: r.now}); err != nil {
		return err
	}
	_, err = fmt.Fprint(r.process.Stdout, text)
	return err
}

// starterKeys returns the keys of the inputs trusted-keys and key, each once,
// with names that a policy may have.
func (r *run) starterKeys(ctx context.Context) ([]envelope.Key, error) {
	keys, err := r.trustedKeys()
	if err != nil {
		return nil, err
	}
	if len(r.lines("key")) > 0 {
		opened, closeKeys, err := r.openKeys(ctx)
		defer closeKeys()
		if err != nil {
			return nil, err
		}
		for _, k := range opened {
			r.warnRedirected(k)
			keys = append(keys, envelope.Key{Public: k.Public(), Fingerprint: k.Fingerprint()})
		}
	}
	if len(keys) == 0 {
		return nil, fault.Configf("trust_missing", "give --trusted-keys or --key", "policy init needs the public keys that may have signed")
	}
	return named(keys), nil
}

// signedSubject is who has signed a manifest, and what all of that says.
type signedSubject struct {
	image.Subject
	keys       []string // names
	repository bool     // each key has a signature that is for this repository
	tag        bool     // and for each tag that was asked for
}

// signers finds out which of the keys have signed a manifest.
func (r *run) signers(ctx context.Context, s image.Subject, keys []envelope.Key) (signedSubject, error) {
	out := signedSubject{Subject: s, repository: true, tag: len(s.Tags) > 0}
	want := envelope.Want{Each: max(1, len(s.Tags))}
	for _, k := range keys {
		want.Keys = append(want.Keys, k.Fingerprint)
	}
	by := map[string][]envelope.Verified{}
	for c, err := range r.view(s).Candidates(ctx, s, want) {
		if err != nil && fault.OutcomeOf(err) != fault.Refused {
			return out, err
		}
		if err != nil {
			continue
		}
		if v, err := gate.Verify(c, keys); err == nil && v.SubjectDigest == s.Digest {
			by[v.Key.Name] = append(by[v.Key.Name], v)
		}
	}
	for _, k := range keys {
		if all := by[k.Name]; len(all) > 0 {
			out.keys = append(out.keys, k.Name)
			repository, tag := says(all, s, r)
			out.repository, out.tag = out.repository && repository, out.tag && tag
		}
	}
	return out, nil
}

// says reports whether the signatures of one key, taken together, claim the
// repository and each tag of the subject.
func says(all []envelope.Verified, s image.Subject, r *run) (repository, tags bool) {
	claims := slices.DeleteFunc(slices.Clone(all), func(v envelope.Verified) bool {
		return v.Claims == nil || v.Claims.Repository == "" || v.Claims.Contradiction(s.Repository, "", v.Key.Fingerprint, r.now) != ""
	})
	tags = len(s.Tags) > 0
	for _, tag := range s.Tags {
		tags = tags && slices.ContainsFunc(claims, func(v envelope.Verified) bool { return slices.Contains(v.Claims.Tags, tag) })
	}
	return len(claims) > 0, tags
}
