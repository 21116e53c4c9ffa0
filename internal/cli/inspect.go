package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/dsse"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/report"
)

// attachedImage is what inspect shows of one manifest.
type attachedImage struct {
	image.Subject
	Attached     []registry.Attached   `json:"attached"`
	Signatures   []attachedSignature   `json:"signatures"`
	Attestations []attachedAttestation `json:"attestations"`
	Unreadable   []string              `json:"unreadable,omitempty"`
}

// attachedSignature is a signature and what it says. Verified tells whether
// one of the trusted keys made it; without, all of it is hearsay.
type attachedSignature struct {
	Verified bool `json:"verified"`
	report.Signature
}

// attachedAttestation is an attestation, and whether one of the trusted keys made
// it.
type attachedAttestation struct {
	Verified bool `json:"verified"`
	report.Attestation
}

func newInspect(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inspect IMAGE…",
		Short: "Show what is attached to images: signatures and attestations, who made them, what they claim",
		Long: `Show what is attached to images in both formats. With --trusted-keys it says
which signatures verify; without, everything shown is only what is written
there. It decides nothing; signgate verify does.`,
		Example: "  signgate inspect --trusted-keys release.pub ghcr.io/acme/app:1.4",
		Args:    cobra.MinimumNArgs(1),
	}
	return newReader(p, "inspect", cmd, (*run).inspect, func(r *run, images []attachedImage) error { return printTree(r.stdout(), images) })
}

// newReader completes the command of a verb that reads images, decides nothing
// and prints what it has found, as JSON or by text.
func newReader[T any](p Process, verb string, cmd *cobra.Command, read func(*run, context.Context) (T, error), text func(*run, T) error) *cobra.Command {
	output := addFlags(cmd, verb)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := newCommandRun(p, verb, flagValues(cmd, args))
		if err != nil {
			return err
		}
		if err := checkOutput(*output); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), r.Timeout)
		defer cancel()
		found, err := read(r, ctx)
		if err != nil {
			return r.interrupted(ctx, err)
		}
		if *output == "json" {
			return report.WriteJSON(p.Stdout, found)
		}
		return text(r, found)
	}
	return cmd
}

func (r *run) inspect(ctx context.Context) ([]attachedImage, error) {
	trusted, err := r.look(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]attachedImage, len(r.report.Subjects))
	r.each(ctx, "inspect", func(ctx context.Context, s *report.Subject, i int) (err error) {
		out[i], err = r.inspectOne(ctx, s.Subject, trusted)
		return err
	})
	return out, r.firstFailure()
}

// look finds the images with all that is below them, and returns the trusted keys,
// if any.
func (r *run) look(ctx context.Context) ([]envelope.Key, error) {
	images, err := r.images(true)
	if err != nil {
		return nil, err
	}
	trusted, err := r.trustedKeys()
	if err != nil {
		return nil, err
	}
	if err := r.connect(images); err != nil {
		return nil, err
	}
	r.Recursive = true
	r.subjects(ctx, images)
	return trusted, nil
}

// firstFailure returns the first finding that did not pass as an error.
func (r *run) firstFailure() error {
	for _, s := range r.report.Subjects {
		if s.Failed() {
			f := s.Findings[len(s.Findings)-1]
			return fault.Newf(s.Decided(), f.Code, f.Next, "%s", f.Fact)
		}
	}
	return nil
}

func (r *run) inspectOne(ctx context.Context, s image.Subject, trusted []envelope.Key) (attachedImage, error) {
	out := attachedImage{Subject: s, Attached: []registry.Attached{}, Signatures: []attachedSignature{}, Attestations: []attachedAttestation{}}
	view := r.view(s)
	attached, err := view.Attached(ctx)
	if err != nil {
		return out, err
	}
	out.Attached = append(out.Attached, attached...)
	for c, err := range view.Candidates(ctx, s, envelope.Want{Attestations: true}) {
		if err != nil {
			out.Unreadable = append(out.Unreadable, err.Error())
			continue
		}
		v, err := gate.Open(c, trusted)
		verified := err == nil
		if !verified {
			v, err = hearsay(c)
		}
		switch {
		case err != nil:
			out.Unreadable = append(out.Unreadable, err.Error())
		case gate.IsAttestation(v):
			out.Attestations = append(out.Attestations, attachedAttestation{verified, report.DescribeAttestation(v)})
		default:
			out.Signatures = append(out.Signatures, attachedSignature{verified, report.Describe(v)})
		}
	}
	return out, nil
}

// statementOf returns the statement in an envelope, unverified.
func statementOf(c envelope.Candidate) ([]byte, error) {
	if c.Format == envelope.DSSE {
		return dsse.Unverified(c)
	}
	return bundle.Unverified(c)
}

// hearsay reads what a candidate says without checking its signature.
func hearsay(c envelope.Candidate) (v envelope.Verified, err error) {
	if c.Format == envelope.SimpleSigning {
		v, err = simplesigning.Unverified(c)
	} else {
		v.Candidate = c
		var statement []byte
		if statement, err = statementOf(c); err == nil {
			err = attest.Read(&v, statement)
		}
	}
	if v.Claims != nil && v.Claims.Key != nil {
		v.Key = envelope.Key{Name: v.Claims.Key.ID, Fingerprint: v.Claims.Key.Fingerprint}
	}
	return v, err
}
