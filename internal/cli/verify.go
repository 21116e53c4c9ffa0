package cli

import (
	"context"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/report"
)

// verify gates the images with the trusted keys. It needs no key backend.
func (r *run) verify(ctx context.Context) error {
	images, err := r.images(true)
	if err != nil {
		return err
	}
	trusted, err := r.trustedKeys()
	if err != nil {
		return err
	}
	if len(trusted) == 0 {
		return fault.Configf("trust_missing", "set trusted-keys to the PEM of the public key; signgate key public prints it", "nothing says whose signatures count")
	}
	required := policy.Rule{Require: []policy.Group{{
		Name: "trusted-keys", Keys: trusted, Min: r.Threshold, Formats: r.Formats, Annotations: r.Annotations,
	}}}
	if err := required.Check(); err != nil {
		return err
	}
	r.report.Proof = report.ProofTrusted
	if err := r.connect(images); err != nil {
		return err
	}
	r.subjects(ctx, images)
	r.verifyAll(ctx, required)
	return nil
}
