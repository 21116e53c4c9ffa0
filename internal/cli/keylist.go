package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/pkcs11signer"
	"github.com/signgate/signgate/internal/report"
	"github.com/signgate/signgate/internal/signer"
)

func newKeyList(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [--key pkcs11:token=LABEL]",
		Short: "List the keys of PKCS#11 tokens as key URIs",
		Long: `List the keys of the tokens that --key names, or of all tokens of the module.
The PIN is presented only when one token is left; without a login most tokens
show public keys only.`,
		Example: "  signgate key list --pkcs11-module /usr/lib/softhsm/libsofthsm2.so --key pkcs11:token=lab --pkcs11-pin-file pin",
		Args:    cobra.NoArgs,
	}
	output := addFlags(cmd, "key")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		return runKey(p, cmd, func(r *run, ctx context.Context) error { return r.interrupted(ctx, r.listKeys(ctx, *output)) })
	}
	return cmd
}

// runKey runs a verb of key, whose flags are inputs but for extra.
func runKey(p Process, cmd *cobra.Command, do func(*run, context.Context) error, extra ...string) error {
	v := flagValues(cmd, nil)
	for _, name := range extra {
		delete(v, name)
	}
	r, err := newCommandRun(p, "key", v)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), r.Timeout)
	defer cancel()
	return do(r, ctx)
}

func (r *run) listKeys(ctx context.Context, output string) error {
	uri, err := r.tokenURI("key list", "pkcs11:")
	if err != nil {
		return err
	}
	opts, err := r.pkcs11()
	if err != nil {
		return err
	}
	entries, err := pkcs11signer.List(ctx, uri, opts)
	if err != nil {
		return err
	}
	if output == "json" {
		return report.WriteJSON(r.process.Stdout, append([]pkcs11signer.Entry{}, entries...))
	}
	if len(entries) == 0 {
		r.say("no key shows; without a PIN, and with several tokens, there is no login")
	}
	return printEntries(r.stdout(), entries)
}

// tokenURI returns the one PKCS#11 URI of the input key.
func (r *run) tokenURI(verb, otherwise string) (string, error) {
	lines := r.lines("key")
	if len(lines) > 1 {
		return "", fault.Configf("inputs_contradict", "give one", "%s takes one key, and %d are given", verb, len(lines))
	}
	uri := cmp.Or(strings.Join(lines, ""), otherwise)
	if uri == "" {
		return "", fault.Configf("key_missing", "set key to pkcs11:token=LABEL;object=LABEL", "%s needs the URI of a key on a PKCS#11 token", verb)
	}
	parsed, err := signer.ParseURI(uri)
	if err == nil && parsed.Backend != signer.PKCS11 {
		err = fault.Configf("key_uri_invalid", "give a pkcs11: URI; the keys of a cloud KMS are made and listed with the tools of that cloud",
			"%s works on PKCS#11 tokens, and %s is none", verb, parsed)
	}
	return uri, err
}

func printEntries(w io.Writer, entries []pkcs11signer.Entry) error {
	var b strings.Builder
	for _, e := range entries {
		report.Line(&b, "%s", e.URI)
		if e.Type != "" {
			report.Line(&b, "    %s %s, from %s%s", e.Type, e.Fingerprint, e.Source, map[bool]string{false: " (not proved)"}[e.Proved || !e.Private])
		}
		if e.Custody != nil {
			report.Line(&b, "    %s", e.Custody)
		}
		if e.Problem != "" {
			report.Line(&b, "    not usable: %s", e.Problem)
		}
	}
	_, err := fmt.Fprint(w, b.String())
	return err
}
