package cli

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/spf13/cobra"

	"github.com/signgate/signgate/internal/actions"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/layout"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/report"
	"github.com/signgate/signgate/internal/retry"
)

// testedCase is what policy test says of a case.
type testedCase struct {
	Case     string           `json:"case"`
	OK       bool             `json:"ok"`
	Expect   expected         `json:"expect"`
	Verdict  string           `json:"verdict"`
	Findings []report.Finding `json:"findings"`
}

func newPolicyTest(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test DIR",
		Short: "Run the cases of a folder: an image, a policy, the verdict that is expected",
		Long: `Run each DIR/*.case.yaml: a policy, an image, a time, and the verdict that is
expected. The image is a fixture, an OCI layout with its manifests and signatures,
which --record makes of an image in a registry; then no network is used.
docs/policy-tools.md has the format.

Exit codes: 0 all cases are as expected, 1 one is not, 2 one cannot be run.`,
		Example: `  signgate policy test --record ghcr.io/acme/app:1.4 policy-tests > policy-tests/app.case.yaml
  signgate policy test policy-tests`,
		Args: cobra.ExactArgs(1),
	}
	output := addFlags(cmd, "policy-test")
	record := cmd.Flags().StringArray("record", nil, "write the manifests and signatures of this image to a layout in DIR, and print a case for it; may be repeated for its base images")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		v := flagValues(cmd, nil)
		delete(v, "record")
		if len(*record) > 0 {
			v["images"] = strings.Join(*record, "\n")
		}
		r, err := newCommandRun(p, "policy-test", v)
		if err != nil {
			return err
		}
		if err := checkOutput(*output); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), r.Timeout)
		defer cancel()
		if len(*record) > 0 {
			return r.interrupted(ctx, r.record(ctx, args[0]))
		}
		return r.interrupted(ctx, r.testPolicies(ctx, args[0], *output))
	}
	return cmd
}

func (r *run) testPolicies(ctx context.Context, dir, output string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*"+caseSuffix))
	if err == nil && len(files) == 0 {
		err = fault.Configf("case_invalid", "write one, or record an image with --record", "the folder %s has no file *%s", dir, caseSuffix)
	}
	if err != nil {
		return err
	}
	var all []testedCase
	for _, file := range files {
		c, err := readCase(file)
		if err != nil {
			return err
		}
		t, err := r.test(ctx, c)
		if err != nil {
			return err
		}
		all = append(all, t)
	}
	if err := r.printTested(all, output); err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(t testedCase) bool { return !t.OK }) {
		return errOutcome(fault.Refused)
	}
	return nil
}

// test runs one case as verify would, in a run of its own.
func (r *run) test(ctx context.Context, c policyCase) (testedCase, error) {
	t := testedCase{Case: filepath.Base(c.file), Expect: c.Expect, Findings: []report.Finding{}}
	inner, err := r.caseRun(c)
	if err != nil {
		return t, err
	}
	s, err := inner.decideCase(ctx, c)
	if errors.Is(err, errFixture) {
		return t, err
	}
	if err != nil {
		failed := report.Subject{}
		failed.Fail("policy", err)
		s = []report.Subject{failed}
	}
	if ctx.Err() != nil {
		return t, ctx.Err()
	}
	t.judge(s)
	return t, nil
}

// caseRun is a run that talks to nobody but, without a layout, the registry.
func (r *run) caseRun(c policyCase) (*run, error) {
	v := values{"policy": c.Policy, "images": c.Image}
	if c.MinimumSequence != "" {
		v["minimum-sequence"] = c.MinimumSequence
	}
	for name, text := range r.values {
		v[name] = text
	}
	o, err := parse(v)
	if err != nil {
		return nil, badCase(c.file, err.Error())
	}
	quiet := r.process
	quiet.Stderr = io.Discard
	inner := newRun(quiet, actions.New(func(string) string { return "" }, nil, io.Discard), "verify", o)
	if !c.Now.IsZero() {
		inner.now = c.Now
	}
	return inner, nil
}

// errFixture marks what is wrong with a case and not with its image.
var errFixture = errors.New("the fixture")

func (r *run) decideCase(ctx context.Context, c policyCase) ([]report.Subject, error) {
	images, err := r.images(true)
	if err != nil {
		return nil, errors.Join(err, errFixture)
	}
	p, err := r.loadPolicy()
	if err != nil {
		return nil, err
	}
	if err := r.followPolicy(p); err != nil {
		return nil, err
	}
	if c.Layout == "" {
		err = r.connect(images)
	} else {
		err = r.connectLayout(c.Layout)
	}
	if err != nil {
		return nil, errors.Join(err, errFixture)
	}
	r.subjects(ctx, images)
	r.verifyAll(ctx)
	return r.report.Subjects, nil
}

// connectLayout makes a layout stand in for every registry.
func (r *run) connectLayout(dir string) error {
	l, err := layout.Open(dir)
	if err != nil {
		return err
	}
	r.registry = registry.New(registry.Options{Keychain: authn.NewMultiKeychain(), Transport: l, Retry: retry.Policy{Attempts: 1, PerAttempt: time.Minute}})
	return nil
}
