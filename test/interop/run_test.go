package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// result is a process that has ended.
type result struct {
	command        string
	code           int
	stdout, stderr string
}

func (r result) String() string {
	return fmt.Sprintf("$ %s\n=> exit code %d\n%s%s", r.command, r.code, r.stdout, r.stderr)
}

// environment is what every child gets: a home of its own, and a proxy that
// refuses, so that whoever leaves the loopback interface fails and shows it.
func environment(more []string) []string {
	const nowhere = "http://127.0.0.1:9"
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "HOME=" + home,
		"HTTP_PROXY=" + nowhere, "HTTPS_PROXY=" + nowhere, "COSIGN_PASSWORD=" + password,
	}, more...)
}

// run runs a program to its end.
func run(t *testing.T, env []string, name string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(env), &stdout, &stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatalf("%s: %v", name, err)
	}
	return result{
		command: filepath.Base(name) + " " + strings.Join(args, " "), code: cmd.ProcessState.ExitCode(),
		stdout: stdout.String(), stderr: stderr.String(),
	}
}

// must runs a program that has to succeed and returns what it prints.
func must(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	r := run(t, env, name, args...)
	if r.code != 0 {
		t.Fatal(r)
	}
	return r.stdout
}

// start starts a program that runs until the test ends.
func start(t *testing.T, name string, args ...string) {
	t.Helper()
	launch(t, exec.Command(name, args...))
}

func launch(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Env, cmd.Stderr = environment(nil), &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // reports the kill
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("%s wrote:\n%s", filepath.Base(cmd.Path), stderr.String())
		}
	})
}

// answers waits until an HTTP server answers.
func answers(t *testing.T, url string) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var resp *http.Response
		if resp, err = http.Get(url); err == nil {
			resp.Body.Close()
			return
		}
	}
	t.Fatalf("no answer: %v", err)
}

// write writes a file that only this test knows, and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// The exit codes of signgate.
const (
	passed = iota
	refused
	configuration
	undecided
)

// report is the part of signgate's report that the tests look at.
type report struct {
	result
	Error *struct {
		Code, Message string
	}
	Warnings []string
	Subjects []struct {
		Digest     string
		Written    []string
		Findings   []struct{ Outcome, Code, Fact string }
		Ignored    []struct{ Code, Why string }
		Signatures []struct{ Format, Reference string }
	}
}

// codes returns the stable codes of why the run did not pass.
func (r report) codes() []string {
	var out []string
	if r.Error != nil {
		out = append(out, r.Error.Code)
	}
	for _, s := range r.Subjects {
		for _, f := range s.Findings {
			if f.Outcome != "passed" {
				out = append(out, f.Code)
			}
		}
		for _, i := range s.Ignored {
			out = append(out, i.Code)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// signgate runs a verb that makes a report and checks its exit code.
func (r registry) signgate(t *testing.T, want int, args ...string) report {
	t.Helper()
	return r.signgateWith(t, nil, want, args...)
}

func (r registry) signgateWith(t *testing.T, env []string, want int, args ...string) report {
	t.Helper()
	rep := report{result: run(t, append(slices.Clone(r.env), env...), programs.signgate, append(slices.Clone(args), "--output", "json")...)}
	if rep.code != want {
		t.Fatalf("want exit code %d\n%s", want, rep)
	}
	if rep.stdout != "" {
		if err := json.Unmarshal([]byte(rep.stdout), &rep); err != nil {
			t.Fatalf("%v\n%s", err, rep)
		}
	}
	return rep
}

// sign signs an image under all its tags, in the given formats.
func (r registry) sign(t *testing.T, img image, formats string, k key) report {
	t.Helper()
	return r.signgateWith(t, k.env, passed, slices.Concat([]string{"sign", "--formats", formats}, k.flags, img.references())...)
}
