// Package actions is the GitHub Actions runner as signgate sees it: inputs and
// run facts in, outputs, summary, annotations and masks out.
//
// The runner is hostile on two sides. What comes from it was written by
// whoever wrote the workflow or opened the pull request; what goes to it is
// interpreted, so text that a registry controls must not be able to become a
// workflow command, an output or a forged summary. The package therefore
//
//   - writes outputs itself, with a random heredoc delimiter for each value
//     (a constant one is the class of CVE-2022-35954) and an error instead of
//     a panic when the runner's file is not there;
//   - sends annotations, masks and groups through go-githubactions, whose
//     escaping follows actions/toolkit line by line;
//   - offers SafeWriter, through which everything else has to go.
//
// Outside Actions (GITHUB_ACTIONS is not "true") nothing is written: outputs,
// summary, annotations, masks and groups are no-ops that succeed.
//
// A Runner reads the environment through the functions it was given and holds
// no global state. All methods may be called concurrently.
package actions

import (
	"crypto/rand"
	"io"
	"sync"

	"github.com/sethvargo/go-githubactions"
)

// Runner talks to the runner that started this process.
type Runner struct {
	getenv  func(string) string
	environ []string
	out     *SafeWriter
	command *githubactions.Action
	random  io.Reader
	mount   string // where the runner mounts its folders into a container

	mu     sync.Mutex
	issued map[level]int // annotations so far
}

// New returns the runner described by the environment. log is a stream the
// runner listens to, standard output or standard error: workflow commands are
// written there, so it must not be a stream that somebody parses as data.
func New(getenv func(string) string, environ []string, log io.Writer) *Runner {
	out := NewSafeWriter(log)
	return &Runner{
		getenv:  getenv,
		environ: environ,
		out:     out,
		command: githubactions.New(
			githubactions.WithWriter(commandWriter{out}),
			githubactions.WithGetenv(getenv)),
		random: rand.Reader,
		mount:  "/github",
		issued: map[level]int{},
	}
}

// Active reports whether the process runs in GitHub Actions.
func (r *Runner) Active() bool { return r.getenv("GITHUB_ACTIONS") == "true" }

// Debugging reports whether the user asked the runner for debug output.
func (r *Runner) Debugging() bool { return r.Active() && r.getenv("RUNNER_DEBUG") == "1" }

// Log returns the writer for ordinary lines on the runner's stream. In Actions
// it neutralises workflow commands and shares line state with the commands of
// this Runner, so that neither breaks the other; use it instead of the raw
// stream. Outside Actions it changes nothing.
func (r *Runner) Log() io.Writer {
	if r.Active() {
		return r.out
	}
	return r.out.w
}
