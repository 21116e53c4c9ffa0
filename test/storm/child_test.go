package storm

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// childLimit is the longest that a run may take in a test. A run that needs
// more hangs.
const childLimit = 2 * time.Minute

// ended is a run that is over.
type ended struct {
	code   int // -1 when it was killed
	stdout string
	stderr string
	report report
	took   time.Duration
	peak   int64 // of resident memory in bytes, where it was measured
}

// command returns signgate with arguments, not yet started. It sees no
// environment but an empty home.
func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, append(args, "--output", "json")...)
	cmd.Env = []string{"HOME=" + home, "TMPDIR=" + os.TempDir(), "AWS_EC2_METADATA_DISABLED=true"}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// signgate runs the program to its end.
func signgate(t *testing.T, args ...string) ended {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), childLimit)
	defer cancel()
	return wait(t, start(t, command(ctx, args...)))
}

// peakLimit is the most resident memory that a hostile registry can make a run
// use.
const peakLimit = 64 << 20

// attestationLimit is the same for a reader that wants attestations, which may be
// six times as large as signatures.
const attestationLimit = 96 << 20

// measured runs the program against something hostile: its memory has a bound.
func measured(t *testing.T, args ...string) ended {
	t.Helper()
	return within(t, peakLimit, args...)
}

func within(t *testing.T, limit int64, args ...string) ended {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), childLimit)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(ctx, args...)
	file := filepath.Join(t.TempDir(), "peak")
	cmd.Path, cmd.Args = self, append([]string{self}, cmd.Args...)
	cmd.Env = append(cmd.Env, peakFile+"="+file)
	e := wait(t, start(t, cmd))
	e.peak = readPeak(t, file)
	t.Logf("exit code %d %q after %s, peak %.1f MiB", e.code, e.report.codes(), e.took.Round(time.Millisecond), float64(e.peak)/(1<<20))
	if e.peak > limit {
		t.Errorf("a peak of %d MiB, more than %d\n%s", e.peak>>20, limit>>20, e)
	}
	return e
}

// running is a run that is not over.
type running struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	began          time.Time
}

func start(t *testing.T, cmd *exec.Cmd) *running {
	t.Helper()
	r := &running{cmd: cmd, began: time.Now()}
	cmd.Stdout, cmd.Stderr = &r.stdout, &r.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

// wait waits for the end, and checks what no run may ever do.
func wait(t *testing.T, r *running) ended {
	t.Helper()
	err := r.cmd.Wait()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	e := ended{code: r.cmd.ProcessState.ExitCode(), stdout: r.stdout.String(), stderr: r.stderr.String(), took: time.Since(r.began)}
	e.report = parseReport(t, e)
	e.clean(t)
	return e
}

// secrets are what no output may hold.
var secrets = []string{
	"Authorization", registrytest.Password,
	base64.StdEncoding.EncodeToString([]byte(registrytest.User + ":" + registrytest.Password)),
}

// clean fails the test on a panic, a secret in the output and an exit code that
// does not exist.
func (e ended) clean(t *testing.T) {
	t.Helper()
	all := e.stdout + e.stderr
	for _, s := range secrets {
		if strings.Contains(all, s) {
			t.Errorf("the output holds %q\n%s", s, e)
		}
	}
	if strings.Contains(all, "panic:") || strings.Contains(all, "goroutine ") || e.code > 3 {
		t.Errorf("a crash\n%s", e)
	}
}

// exits fails the test unless the run ended with one of the exit codes.
func (e ended) exits(t *testing.T, what string, codes ...int) ended {
	t.Helper()
	for _, c := range codes {
		if e.code == c {
			return e
		}
	}
	t.Errorf("%s: exit code %d, want %d\n%s", what, e.code, codes, e)
	return e
}

// short bounds what a failing test prints of a run.
const short = 3000

func (e ended) String() string {
	return "stdout: " + e.stdout[:min(len(e.stdout), short)] + "\nstderr: " + e.stderr[:min(len(e.stderr), short)]
}
