package cli

import (
	"context"

	"github.com/signgate/signgate/internal/actions"
	"github.com/signgate/signgate/internal/fault"
)

// Action is the program of the container action: its only argument is the
// verb, sign or verify, and its inputs are INPUT_ variables. It returns the
// exit code.
func Action(ctx context.Context, p Process) int {
	runner := actions.New(p.getenv, p.Environ, p.Stdout)
	given, variables := runner.Inputs()
	v := values(given)
	runner.Mask(secrets(p, v)...)
	for name, value := range v {
		if value == "" && variables[name] != "" && knownInput(name) {
			delete(v, name) // the runner passes inputs that were not set
		}
	}
	verb := ""
	if len(p.Args) == 1 {
		verb = p.Args[0]
	}
	r, err := newActionRun(p, runner, verb, v)
	if err != nil {
		return actionFailed(runner, verb, err)
	}
	end := runner.Group("signgate " + verb)
	do := r.sign
	if verb == "verify" {
		do = r.verify
	}
	outcome := r.do(ctx, do)
	end()
	_ = r.report.Text(runner.Log())
	return int(outcome)
}

func knownInput(name string) bool {
	for _, in := range inputs() {
		if in.name == name {
			return true
		}
	}
	return false
}

func newActionRun(p Process, runner *actions.Runner, verb string, v values) (*run, error) {
	if verb != "sign" && verb != "verify" {
		return nil, fault.Configf("verb_unknown", "use sign or verify as the container's only argument", "the action has no verb %q", verb)
	}
	if err := v.checkNames(verb, true); err != nil {
		return nil, err
	}
	o, err := parse(v)
	if err != nil {
		return nil, err
	}
	return newRun(p, runner, verb, o), nil
}

// actionFailed ends a run that could not begin: outputs that a later step
// reads say so, too.
func actionFailed(runner *actions.Runner, verb string, err error) int {
	outcome := fault.OutcomeOf(err)
	runner.Error("signgate "+verb+": "+outcome.String(), fault.CodeOf(err)+": "+err.Error())
	for _, name := range []string{"signed", "verified"} {
		if e := runner.SetOutput(name, "false"); e != nil {
			runner.Error("signgate", e.Error())
		}
	}
	runner.Finish()
	return int(outcome)
}
