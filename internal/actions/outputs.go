package actions

import (
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/signgate/signgate/internal/fault"
)

// SetOutput sets an output of the step. The runner reads outputs even when the
// step fails, so a refusal is to be reported before exiting. A value with
// lines of its own cannot set a second output: the delimiter is random and a
// value that contains it is refused.
func (r *Runner) SetOutput(name, value string) error {
	if !r.Active() {
		return nil
	}
	if name == "" || strings.ContainsAny(name, "=\r\n") || strings.Contains(name, "<<") {
		return fault.Configf("output_invalid", "report this as a bug of signgate",
			"%q cannot be the name of an output", name)
	}
	delimiter, err := r.delimiter()
	if err != nil {
		return err
	}
	if strings.Contains(value, delimiter) {
		return fault.Configf("output_invalid", "run the step again",
			"the value of output %s contains the delimiter chosen for it", name)
	}
	return r.appendTo("GITHUB_OUTPUT", name+"<<"+delimiter+"\n"+value+"\n"+delimiter+"\n")
}

// delimiter returns 128 random bits in a form that can end a heredoc.
func (r *Runner) delimiter() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(r.random, b[:]); err != nil {
		return "", fault.Undecidedf("random_unavailable", "check the random source of this machine",
			"no random bytes for an output delimiter: %w", err)
	}
	return "signgate_" + hex.EncodeToString(b[:]), nil
}

// appendTo adds text to the file that a runner variable names. It does not
// create the file: the runner reads only the one it made, so what is written
// to another would be lost without a word.
func (r *Runner) appendTo(variable, text string) error {
	f, err := r.open(variable)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if err = errors.Join(err, f.Close()); err != nil {
		return fileFault(variable, err)
	}
	return nil
}

func (r *Runner) open(variable string) (*os.File, error) {
	path := r.getenv(variable)
	if path == "" {
		return nil, fault.Configf("runner_file_missing",
			"start signgate from a step of a workflow, or unset GITHUB_ACTIONS",
			"GITHUB_ACTIONS is true but %s is not set", variable)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, fileFault(variable, err)
	}
	return f, nil
}

func fileFault(variable string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Configf("runner_file_missing",
			"keep "+variable+" as the runner set it and mount its folder when you start a container yourself",
			"%s names a file that does not exist: %w", variable, err)
	}
	return fault.Configf("runner_file_unwritable",
		"run the container as root, which the runner requires, and keep "+variable+" as the runner set it",
		"%s names a file that cannot be written: %w", variable, err)
}
