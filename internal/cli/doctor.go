package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/report"
	"github.com/signgate/signgate/internal/signer"
)

// diagnosis is what doctor found out about one key.
type diagnosis struct {
	Key    string         `json:"key"` // the URI, without a PIN
	Checks []signer.Check `json:"checks"`
}

func (d diagnosis) failed() bool {
	return slices.ContainsFunc(d.Checks, func(c signer.Check) bool { return c.Status == signer.Fail })
}

func newDoctor(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor --key URI",
		Short: "Say whether a key can sign here, and what is missing",
		Long: `Look at everything between here and a signature: credentials, endpoint, the
key and its state, the permission to sign, the pin. Nothing is published. Each
line is ok, warn or fail and says what to do next.

Exit codes: 0 nothing failed, 1 something did, 2 usage.`,
		Example: "  signgate doctor --key awskms:///alias/release",
		Args:    cobra.NoArgs,
	}
	output := addFlags(cmd, "doctor")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := newCommandRun(p, "doctor", flagValues(cmd, nil))
		if err != nil {
			return err
		}
		if err := checkOutput(*output); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), r.Timeout)
		defer cancel()
		return r.doctor(ctx, *output)
	}
	return cmd
}

// doctor examines each key and prints what it found. A check that fails makes
// the exit code 1.
func (r *run) doctor(ctx context.Context, output string) error {
	if len(r.lines("key")) == 0 {
		_, err := signer.ParseURI("")
		return err
	}
	var all []diagnosis
	failed := false
	for _, raw := range r.lines("key") {
		uri, err := signer.ParseURI(raw)
		if err != nil {
			return err
		}
		d := diagnosis{Key: uri.String(), Checks: r.examineBackend(ctx, uri)}
		if !d.failed() {
			d.Checks = append(d.Checks, r.examineKey(ctx, uri)...)
		}
		failed = failed || d.failed()
		all = append(all, d)
	}
	err := printDiagnoses(r.stdout(), all)
	if output == "json" {
		err = report.WriteJSON(r.process.Stdout, all)
	}
	if err == nil && failed {
		err = errOutcome(fault.Refused)
	}
	return err
}

func printDiagnoses(w io.Writer, all []diagnosis) error {
	var out strings.Builder
	for _, d := range all {
		fmt.Fprintf(&out, "%s\n", d.Key)
		for _, c := range d.Checks {
			fmt.Fprintf(&out, "  %-4s %s: %s", c.Status, c.Name, c.Fact)
			if c.Next != "" {
				fmt.Fprintf(&out, "; %s", c.Next)
			}
			out.WriteByte('\n')
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// examineKey opens the key as sign does, and checks its type and its pin.
// Where the backend does not examine itself, it makes a trial signature, which
// is verified and thrown away.
func (r *run) examineKey(ctx context.Context, uri signer.URI) []signer.Check {
	key, err := r.openKey(ctx, uri.Raw)
	if err != nil {
		return []signer.Check{failedCheck("public key", err)}
	}
	if c, ok := key.(io.Closer); ok {
		defer c.Close()
	}
	s, err := signer.Guard(key, r.keyRetry())
	if err != nil {
		return []signer.Check{failedCheck("public key", err)}
	}
	var checks []signer.Check
	if !examines(uri.Backend) {
		checks = []signer.Check{{Name: "public key", Status: signer.OK, Fact: signer.KeyType(s.Public()) + ", " + s.Fingerprint()}, trial(ctx, s)}
	}
	if w := envelope.ReaderWarning(s.Public()); w != "" {
		checks = append(checks, signer.Check{Name: "readers", Status: signer.Warn, Fact: w})
	}
	return append(checks, r.examinePin(s))
}

// trial signs a fixed text, which the guard verifies.
func trial(ctx context.Context, s *signer.Signer) signer.Check {
	alg, err := envelope.AlgorithmFor(s.Public())
	if err == nil {
		_, err = s.Sign(ctx, alg, []byte("signgate doctor: a trial signature"))
	}
	if err != nil {
		return failedCheck("trial signature", err)
	}
	return signer.Check{Name: "trial signature", Status: signer.OK, Fact: "made with " + string(alg) + " and verified"}
}

func (r *run) examinePin(s *signer.Signer) signer.Check {
	pins := r.list("expected-key")
	switch {
	case len(pins) == 0:
		return signer.Check{Name: "pin", Status: signer.Warn, Fact: "no expected-key is given", Next: "set expected-key to " + s.Fingerprint() + " once you know that this is the right key"}
	case slices.Contains(pins, s.Fingerprint()):
		return signer.Check{Name: "pin", Status: signer.OK, Fact: "it is the expected key"}
	}
	return signer.Check{Name: "pin", Status: signer.Fail, Fact: "its fingerprint is not in expected-key", Next: "find out whether the key was replaced on purpose"}
}

// failedCheck turns an error into a line.
func failedCheck(name string, err error) signer.Check {
	c := signer.Check{Name: name, Status: signer.Fail, Fact: err.Error()}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		c.Fact, c.Next = f.Code+": "+f.What, f.Next
	}
	return c
}
