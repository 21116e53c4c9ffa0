package cli

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/signgate/signgate/internal/actions"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/registry"
	"github.com/signgate/signgate/internal/report"
	"github.com/signgate/signgate/internal/retry"
)

// Process is what the operating system gives a program. Only main takes it
// from there.
type Process struct {
	Args    []string // without the program's name
	Environ []string
	Stdout  io.Writer
	Stderr  io.Writer
	Version string
	Demo    bool // throwaway keys: no warning about key files
}

// version returns the version that the linker set, or else the one that the
// module was built as.
func (p Process) version() string {
	if info, ok := debug.ReadBuildInfo(); p.Version == "dev" && ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return p.Version
}

// lookup returns an environment variable and whether it is set.
func (p Process) lookup(name string) (string, bool) {
	for _, e := range p.Environ {
		if k, v, _ := strings.Cut(e, "="); k == name {
			return v, true
		}
	}
	return "", false
}

func (p Process) getenv(name string) string {
	v, _ := p.lookup(name)
	return v
}

// run is one run of a verb: its inputs, the way to the world, its report.
type run struct {
	options
	process  Process
	runner   *actions.Runner
	log      io.Writer // the talk: standard error, made safe for the runner
	registry *registry.Client
	report   *report.Report
	now      time.Time

	progress  *progress
	documents []document     // what sign and attest are to attest
	audited   audited        // what goes into the audit log
	rules     rules          // of verify; nil for sign
	policy    *policy.Policy // nil without one
	floors    floors
	accepted  map[string]int64 // the sequence numbers of what has passed, by "repository:tag"; guarded by mu

	mu    sync.Mutex                // guards report.Warnings and the rest
	views map[string]*registry.View // by manifest

	evidence map[string]envelope.Key // the keys whose evidence counted, by fingerprint; guarded by mu
}

func newRun(p Process, runner *actions.Runner, verb string, o options) *run {
	r := &run{
		options: o, process: p, runner: runner, log: runner.Log(), now: time.Now(),
		report:   newReport(verb, p.version(), o.DryRun, o.StoreIn),
		progress: newProgress(p.Stderr, runner.Log()), views: map[string]*registry.View{}, accepted: map[string]int64{}, evidence: map[string]envelope.Key{},
	}
	r.report.Begin(r.now, r.workflowRun())
	return r
}

func newReport(verb, version string, dryRun bool, store string) *report.Report {
	return &report.Report{Store: store, SchemaVersion: report.SchemaVersion, Version: version, Command: verb, DryRun: dryRun, Subjects: []report.Subject{},
		Outcome: fault.Undecided.String(), ExitCode: int(fault.Undecided)}
}

// secrets returns what must never be printed: secret inputs, passwords from
// the environment, PINs in files and in key URIs. Files are read only in a
// workflow, where there is something to mask, and only plain ones: a pipe
// gives what it holds once.
func secrets(p Process, runner *actions.Runner, v values) []string {
	var out []string
	for _, in := range inputs() {
		if in.kind == secret && in.name != "registry-auth" {
			out = append(out, v.get(in.name))
		}
	}
	for _, name := range []string{"SIGNGATE_KEY_PASSWORD", "COSIGN_PASSWORD", "SIGNGATE_PKCS11_PIN"} {
		out = append(out, p.getenv(name))
	}
	files := []string{v.get("pkcs11-pin-file")}
	for _, m := range pinInURI.FindAllStringSubmatch(v.get("key"), -1) {
		text, err := url.PathUnescape(m[2])
		if err != nil {
			text = m[2]
		}
		if m[1] == "source" {
			files = append(files, strings.TrimPrefix(strings.TrimPrefix(text, "file:"), "//localhost"))
		} else {
			out = append(out, text, m[2])
		}
	}
	for _, f := range files {
		f = runner.TranslatePath(f)
		if info, err := os.Stat(f); err != nil || !info.Mode().IsRegular() || !runner.Active() {
			continue
		}
		if data, err := readFile("a PIN", f, 4096); err == nil {
			out = append(out, strings.TrimSpace(string(data)))
		}
	}
	return out
}

var pinInURI = regexp.MustCompile(`[?&;]pin-(value|source)=([^&;\s]+)`)

// stdout is standard output for text, which the runner reads as well.
func (r *run) stdout() io.Writer {
	if r.runner.Active() {
		return actions.NewSafeWriter(r.process.Stdout)
	}
	return r.process.Stdout
}

func (r *run) say(format string, args ...any) { fmt.Fprintf(r.log, format+"\n", args...) }

// warn tells the user something that does not stop the run, once.
func (r *run) warn(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.report.Warnings {
		if w == text {
			return
		}
	}
	r.report.Warnings = append(r.report.Warnings, text)
	if r.runner.Active() {
		r.runner.Warning("signgate", text)
		return
	}
	r.say("warning: %s", report.Clean(text))
}

func (r *run) retry() retry.Policy {
	return retry.Policy{Attempts: r.Retries + 1, PerAttempt: 30 * time.Second, Base: 500 * time.Millisecond}
}

// keyRetry gives each call to a key backend ten seconds.
func (r *run) keyRetry() retry.Policy {
	p := r.retry()
	p.PerAttempt = 10 * time.Second
	return p
}

// interrupted turns the end of the run's time into a fault of its own.
func (r *run) interrupted(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || fault.OutcomeOf(err) == fault.Refused {
		return err
	}
	if context.Cause(ctx) == context.DeadlineExceeded {
		return fault.Undecidedf("timeout", "raise timeout, or find out what is slow; what was written stays and is not written twice",
			"the run did not finish within %s; it was busy with: %w", r.Timeout, err)
	}
	return fault.Undecidedf("interrupted", "run again; what was written stays and is not written twice", "the run was interrupted: %w", err)
}
