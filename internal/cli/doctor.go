package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/pkcs11signer"
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
module and its tokens, the key and its state, the permission to sign, the pin.
Nothing is published. Each line is ok, warn or fail and says what to do next.
With a PKCS#11 module or socket and no key it says what is on the tokens.

Exit codes: 0 nothing failed, 1 something did, 2 usage.`,
		Example: `  signgate doctor --key awskms:///alias/release
  signgate doctor --pkcs11-module /usr/lib/softhsm/libsofthsm2.so`,
		Args: cobra.NoArgs,
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
	var all []diagnosis
	var keys []*signer.Signer
	lines := r.lines("key")
	switch {
	case len(lines) == 0 && r.get("pkcs11-module")+r.get("pkcs11-socket") != "":
		all = append(all, diagnosis{Key: "pkcs11:", Checks: r.examineToken(ctx, "")})
	case len(lines) == 0:
		lines = []string{""} // for ParseURI to refuse
	}
	for _, raw := range lines {
		uri, err := signer.ParseURI(raw)
		if err != nil {
			return err
		}
		d := diagnosis{Key: uri.String(), Checks: r.examineBackend(ctx, uri)}
		if !d.failed() {
			key, closeKey, checks := r.examineKey(ctx, uri)
			defer closeKey()
			d.Checks = append(d.Checks, checks...)
			keys = append(keys, key...)
		}
		all = append(all, d)
	}
	if len(keys) > 0 && len(keys) == len(all) {
		all = append(all, diagnosis{Key: "all keys", Checks: r.examinePins(keys)})
	}
	if err := r.printDiagnoses(all, output); err != nil {
		return err
	}
	if slices.ContainsFunc(all, diagnosis.failed) {
		return errOutcome(fault.Refused)
	}
	return nil
}

func (r *run) printDiagnoses(all []diagnosis, output string) error {
	if output == "json" {
		return report.WriteJSON(r.process.Stdout, all)
	}
	var out strings.Builder
	for _, d := range all {
		fmt.Fprintf(&out, "%s\n", d.Key)
		for _, c := range d.Checks {
			fmt.Fprintf(&out, "  %-4s %s: ", c.Status, c.Name)
			if c.Code != "" {
				fmt.Fprintf(&out, "%s: ", c.Code)
			}
			out.WriteString(c.Fact)
			if c.Next != "" {
				fmt.Fprintf(&out, "; %s", c.Next)
			}
			out.WriteByte('\n')
		}
	}
	_, err := io.WriteString(r.stdout(), out.String())
	return err
}

// examineKey opens the key as sign does, and checks its type. Where the backend
// does not examine itself, it makes a trial signature, which is verified and
// thrown away. It returns the key, or none when it cannot be used.
func (r *run) examineKey(ctx context.Context, uri signer.URI) (keys []*signer.Signer, closeKey func(), checks []signer.Check) {
	closeKey = func() {}
	defer func(policy pkcs11signer.KeyPolicy) { r.KeyPolicy = policy }(r.KeyPolicy)
	r.KeyPolicy = pkcs11signer.Off // it has been examined
	key, err := r.openKey(ctx, uri.Raw)
	if err != nil {
		return nil, closeKey, []signer.Check{signer.Failed("public key", err)}
	}
	if c, ok := key.(io.Closer); ok {
		closeKey = func() { _ = c.Close() } // what was found stands
	}
	s, err := signer.Guard(key, r.keyRetry())
	if err != nil {
		return nil, closeKey, []signer.Check{signer.Failed("public key", err)}
	}
	if !examines(uri.Backend) {
		made := trial(ctx, s)
		checks = []signer.Check{{Name: "public key", Status: signer.OK, Fact: signer.KeyType(s.Public()) + ", " + s.Fingerprint()}, made}
		if made.Status == signer.Fail {
			return nil, closeKey, checks // nothing to pin
		}
	}
	if w := envelope.ReaderWarning(s.Public()); w != "" {
		checks = append(checks, signer.Check{Name: "readers", Status: signer.Warn, Fact: w})
	}
	return []*signer.Signer{s}, closeKey, checks
}

// trial signs a fixed text, which the guard verifies.
func trial(ctx context.Context, s *signer.Signer) signer.Check {
	alg, err := signer.Usual(s.Public())
	if err == nil {
		_, err = s.Sign(ctx, alg, []byte("signgate doctor: a trial signature"))
	}
	if err != nil {
		return signer.Failed("trial signature", err)
	}
	return signer.Check{Name: "trial signature", Status: signer.OK, Fact: "made with " + string(alg) + " and verified"}
}

// examinePins decides about the keys together as sign does: none twice, each
// with its pin, and none behind an endpoint override without one.
func (r *run) examinePins(keys []*signer.Signer) []signer.Check {
	pins := r.list("expected-key")
	for i, k := range keys {
		if slices.ContainsFunc(keys[:i], func(o *signer.Signer) bool { return o.Fingerprint() == k.Fingerprint() }) {
			return []signer.Check{{Name: "keys", Status: signer.Fail, Fact: "the key " + k.ID() + " is given twice", Next: "remove one of its lines"}}
		}
		if to := k.RedirectedTo(); to != "" && len(pins) == 0 {
			return []signer.Check{{Name: "pin", Status: signer.Fail, Fact: "an endpoint override sends the calls for " + k.ID() + " to " + to + ", and nothing says which key is expected",
				Next: "set expected-key to " + k.Fingerprint() + " if that is the right key, give sign trusted-keys, or remove the override"}}
		}
	}
	if len(pins) == 0 {
		return []signer.Check{{Name: "pin", Status: signer.Warn, Fact: "no expected-key is given", Next: "set expected-key to " + fingerprints(keys) + " once you know that this is right"}}
	}
	if err := signer.CheckPins(keys, pins); err != nil {
		return []signer.Check{signer.Failed("pin", err)}
	}
	return []signer.Check{{Name: "pin", Status: signer.OK, Fact: "expected-key names what was found"}}
}

func fingerprints(keys []*signer.Signer) string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = k.Fingerprint()
	}
	return strings.Join(out, ",")
}
