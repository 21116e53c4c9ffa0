package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/signgate/signgate/internal/actions"
	"github.com/signgate/signgate/internal/fault"
)

// errOutcome carries an exit code whose reason has been told already.
type errOutcome fault.Outcome

func (e errOutcome) Error() string { return fault.Outcome(e).String() }

// Main is the command line program. It returns the exit code.
func Main(ctx context.Context, p Process) int {
	root := newRoot(p)
	root.SetArgs(p.Args)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	err := root.ExecuteContext(ctx)
	if told, ok := errors.AsType[errOutcome](err); ok {
		return int(told)
	}
	if err == nil {
		return int(fault.Passed)
	}
	if _, ours := errors.AsType[*fault.Error](err); !ours {
		err = fault.Configf("usage", usageHint(err.Error()), "%w", err)
	}
	tell(p, err)
	return int(fault.OutcomeOf(err))
}

func tell(p Process, err error) { fmt.Fprintf(p.Stderr, "error: %s: %v\n", fault.CodeOf(err), err) }

func newRoot(p Process) *cobra.Command {
	root := &cobra.Command{
		Use:           "signgate",
		Short:         "Sign container image digests with a KMS, an HSM or a key file, and gate what the registry holds",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       p.version(),
	}
	root.AddCommand(newSign(p), newAttest(p), newVerify(p), newDownload(p), newKey(p), newInspect(p), newContents(p), newPolicy(p), newAudit(p), newDoctor(p), newDemo(p), newVersion(p))
	return root
}

func newSign(p Process) *cobra.Command {
	return newRunCommand(p, "sign", &cobra.Command{
		Use:   "sign --key URI IMAGE…",
		Short: "Sign images, attach the signatures and check that the registry holds them",
		Long: `Sign images by digest, attach the signatures to the registry in both cosign
formats, read them back and decide whether they are what was signed.

Exit codes: 0 passed, 1 refused, 2 configuration, 3 undecided.`,
		Example: `  signgate sign --key awskms:///alias/release ghcr.io/acme/app:1.4@sha256:…
  signgate sign --key 'pkcs11:token=prod;object=release?module-path=/usr/lib/libCryptoki2_64.so' \
    --pkcs11-pin-file /run/secrets/pin --images ghcr.io/acme/app:1.4 --digest sha256:…`,
	}, (*run).sign)
}

func newAttest(p Process) *cobra.Command {
	return newRunCommand(p, "attest", &cobra.Command{
		Use:   "attest --key URI IMAGE…",
		Short: "Attest how images were built, what is in them, or what a scan has found",
		Long: `Make statements about images (in-toto), sign them, attach them to the registry
as Sigstore bundles and at cosign's attestation tag, and check that the registry
holds them. What is there already is not made again. sign takes the same inputs
and does both.

Exit codes: 0 passed, 1 refused, 2 configuration, 3 undecided.`,
		Example: `  signgate attest --key awskms:///alias/release --sbom-path sbom.spdx.json ghcr.io/acme/app@sha256:…
  signgate attest --key release.key --predicate-type openvex --predicate-path vex.json ghcr.io/acme/app@sha256:…`,
	}, (*run).sign)
}

func newVerify(p Process) *cobra.Command {
	return newRunCommand(p, "verify", &cobra.Command{
		Use:   "verify --trusted-keys FILE IMAGE…",
		Short: "Decide whether images are signed by trusted keys",
		Long: `Read the signatures of images from the registry and decide whether the
trusted keys have signed them. It talks to the registry only.

Exit codes: 0 passed, 1 refused, 2 configuration, 3 undecided.`,
		Example: `  signgate verify --trusted-keys release.pub ghcr.io/acme/app:1.4
  signgate verify --trusted-keys a.pub --trusted-keys b.pub --threshold 2 ghcr.io/acme/app@sha256:…
  signgate verify --trusted-keys release.pub --attestation spdxjson ghcr.io/acme/app:1.4`,
	}, (*run).verify)
}

// newRunCommand completes the command of a verb that makes a report.
func newRunCommand(p Process, verb string, cmd *cobra.Command, do func(*run, context.Context) error) *cobra.Command {
	output := addFlags(cmd, verb)
	cmd.Flags().Lookup("output").Usage = "what is printed: text, json or sarif"
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := newCommandRun(p, verb, flagValues(cmd, args))
		if err != nil {
			return err
		}
		if err := checkReportOutput(*output); err != nil {
			return err
		}
		return ended(r.do(cmd.Context(), func(ctx context.Context) error { return do(r, ctx) }, func() error { return r.print(*output) }))
	}
	return cmd
}

func ended(outcome fault.Outcome) error {
	if outcome == fault.Passed {
		return nil
	}
	return errOutcome(outcome)
}

func checkOutput(output string) error {
	if output != "text" && output != "json" {
		return badInput("output", output, "text or json")
	}
	return nil
}

// newCommandRun reads the flags of a verb. In a run step of a workflow it sets
// the outputs of that step and writes its summary, as the action does.
func newCommandRun(p Process, verb string, v values) (*run, error) {
	o, err := parse(v)
	if err != nil {
		return nil, err
	}
	runner := actions.New(p.getenv, p.Environ, p.Stderr)
	runner.Mask(secrets(p, runner, v)...)
	return newRun(p, runner, verb, o), nil
}

// addFlags adds a flag for each input of the verb, and --output.
func addFlags(cmd *cobra.Command, verb string) (output *string) {
	addInputs(cmd, verb)
	return cmd.Flags().StringP("output", "o", "text", "what is printed: text or json")
}

func addInputs(cmd *cobra.Command, verb string) {
	for _, in := range verbInputs(verb) {
		switch in.kind {
		case boolean:
			cmd.Flags().Bool(in.name, in.def == "true", in.help)
		case list, lines:
			cmd.Flags().StringArray(in.name, nil, withDefault(in)+"; may be repeated")
		default:
			cmd.Flags().String(in.name, "", withDefault(in))
		}
	}
	cmd.Flags().SortFlags = false
}

func withDefault(in input) string {
	if in.def == "" {
		return in.help
	}
	return in.help + " (default " + in.def + ")"
}

// flagValues returns the flags that were given, and the arguments as images.
func flagValues(cmd *cobra.Command, args []string) values {
	v := values{}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if s, ok := f.Value.(pflag.SliceValue); ok {
			v[f.Name] = strings.Join(s.GetSlice(), "\n")
		} else if f.Name != "output" {
			v[f.Name] = f.Value.String()
		}
	})
	if len(args) > 0 {
		v["images"] = strings.Join(append(args, v["images"]), "\n")
	}
	return v
}

func newVersion(p Process) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(p.Stdout, p.version())
			return err
		},
	}
}
