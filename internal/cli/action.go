package cli

import (
	"context"
	"time"

	"github.com/signgate/signgate/internal/actions"
	"github.com/signgate/signgate/internal/fault"
)

// Action is the program of the container action: its only argument is the
// verb (sign, attest or verify), and its inputs are INPUT_ variables. It returns the
// exit code.
func Action(ctx context.Context, p Process) int {
	runner := actions.New(p.getenv, p.Environ, p.Stdout)
	given, variables := runner.Inputs()
	v := values(given)
	runner.Mask(secrets(p, runner, v)...)
	for name, value := range v {
		if value == "" && p.getenv(variables[name]) == "" && knownInput(name) {
			delete(v, name) // the runner passes inputs that were not set
		}
	}
	for _, name := range []string{"args", "entrypoint"} {
		delete(v, name) // uses: docker://… has them as inputs, and the runner has acted on them
	}
	verb := ""
	if len(p.Args) == 1 {
		verb = p.Args[0]
	}
	o, err := readInputs(verb, v)
	r := newRun(p, runner, verb, o)
	verbs := map[string]func(context.Context) error{"sign": r.sign, "attest": r.sign, "verify": r.verify}
	do := verbs[verb]
	if err != nil {
		do = func(context.Context) error { return err }
	}
	end := runner.Group("signgate " + verb)
	return int(r.do(ctx, do, func() error {
		end()
		return r.report.Text(runner.Log())
	}))
}

func knownInput(name string) bool {
	for _, in := range inputs() {
		if in.name == name {
			return true
		}
	}
	return false
}

// readInputs reads and checks the inputs of a verb. With an error it returns
// what a run needs to report it.
func readInputs(verb string, v values) (options, error) {
	o, err := parse(v)
	if verb != "sign" && verb != "attest" && verb != "verify" {
		err = fault.Configf("verb_unknown", "use sign, attest or verify as the container's only argument", "the action has no verb %q", verb)
	} else if unknown := v.checkNames(verb, true); unknown != nil {
		err = unknown
	}
	if err != nil {
		return options{values: values{}, ShowSummary: true, Timeout: time.Minute}, err
	}
	return o, nil
}
