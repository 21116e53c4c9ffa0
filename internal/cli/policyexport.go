package cli

import (
	"github.com/spf13/cobra"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy/containerspolicy"
)

// containersPolicy is the one format that policies are exported to.
const containersPolicy = "containers-policy"

func newPolicyExport(p Process) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export --to containers-policy FILE",
		Short: "Print a policy in the format of another reader",
		Long: `Print what a policy says as containers-policy.json(5), which Podman, CRI-O and
Skopeo read. They know keys and repositories, and neither ages nor tags that are
bound, nor attestations. A policy that asks for more is refused; with --lossy the rest
is printed, and what was dropped is listed on standard error.`,
		Example: "  signgate policy export --to containers-policy --lossy policy.yaml > policy.json",
		Args:    cobra.ExactArgs(1),
	}
	to := cmd.Flags().String("to", "", "the format: containers-policy")
	lossy := cmd.Flags().Bool("lossy", false, "leave out what the format cannot express")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if *to != containersPolicy {
			return badInput("to", *to, containersPolicy)
		}
		return exportPolicy(p, args[0], *lossy)
	}
	return cmd
}

func exportPolicy(p Process, file string, lossy bool) error {
	r, err := newCommandRun(p, "policy", values{})
	if err != nil {
		return err
	}
	loaded, err := r.policyFile(file)
	if err != nil {
		return err
	}
	e, err := containerspolicy.Render(loaded, r.now)
	if err != nil {
		return err
	}
	for _, d := range e.Dropped {
		r.say("dropped: %s", d)
	}
	if len(e.Dropped) > 0 && !lossy {
		return fault.Configf("export_lossy", "give --lossy to export the rest, and gate with signgate verify where what is dropped matters",
			"%s asks for what %s cannot say", file, containersPolicy)
	}
	for _, n := range e.Notes {
		r.say("note: %s", n)
	}
	if !e.Until.IsZero() {
		r.warn("export it again on " + stamp(e.Until) + ", when the validity of a key begins or ends")
	}
	_, err = r.process.Stdout.Write(e.JSON)
	return err
}
