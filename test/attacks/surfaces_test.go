package attacks

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/kmsigner/kmstest"
	"github.com/signgate/signgate/internal/registry/registrytest"
)

// result is what a surface has come to.
type result struct {
	exit     int
	codes    []string
	verified bool
	warnings string
	printed  string
	requests []string
}

// runProgram runs signgate with flags.
func runProgram(t *testing.T, s *scene) result {
	args := []string{or(s.Verb, "verify"), "--output-dir=out"}
	for _, name := range slices.Sorted(maps.Keys(s.inputs())) {
		args = append(args, "--"+name+"="+s.inputs()[name])
	}
	var env []string
	if s.Event != "" {
		env = s.runner(s.Event)
	}
	return s.run(t, "signgate", args, env)
}

// runAction runs the entrypoint of the action with inputs.
func runAction(t *testing.T, s *scene) result {
	env := append(s.runner(or(s.Event, "push")), "INPUT_OUTPUT-DIR=out")
	for name, value := range s.inputs() {
		env = append(env, "INPUT_"+strings.ToUpper(name)+"="+value)
	}
	return s.run(t, "action", []string{or(s.Verb, "verify")}, env)
}

func (s *scene) inputs() map[string]string {
	in := map[string]string{"retries": "0", "images": "${REG}/" + s.first()}
	if s.Policy != "" {
		in["policy"] = "policy.yaml"
	}
	if s.Mode == registrytest.Token {
		in["registry-username"], in["registry-password"] = registrytest.User, registrytest.Password
	}
	maps.Copy(in, s.Inputs)
	for name, value := range in {
		in[name] = strings.TrimSpace(s.expand(value))
	}
	return in
}

func (s *scene) first() string {
	if len(s.Images) == 0 {
		return ""
	}
	return s.Images[0].Ref
}

// runner is what GitHub's runner gives to a step.
func (s *scene) runner(event string) []string {
	env := []string{"GITHUB_ACTIONS=true", "GITHUB_EVENT_NAME=" + event, "GITHUB_WORKSPACE=" + s.workspace(), "GITHUB_REPOSITORY=acme/app", "GITHUB_RUN_ID=4711"}
	for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"} {
		path := filepath.Join(s.dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			s.t.Fatal(err)
		}
		env = append(env, name+"="+path)
	}
	return env
}

// run runs a program in the workspace and reads its report.
func (s *scene) run(t *testing.T, name string, args, env []string) result {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir = s.workspace()
	cmd.Env = append(env, program+"="+name, "HOME="+s.dir, "AWS_EC2_METADATA_DISABLED=true")
	if s.KMS {
		cmd.Env = append(cmd.Env, startKMS(t)...)
	}
	out, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r := result{exit: cmd.ProcessState.ExitCode(), printed: string(out), requests: s.Requests()}
	s.read(t, &r)
	return r
}

// startKMS starts a key service with the key alias/release and returns the
// environment that leads to it.
func startKMS(t *testing.T) (env []string) {
	t.Helper()
	kms, err := kmstest.New(kmstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kms.Close() })
	arn, err := kms.CreateKey("ECC_NIST_P256")
	if err != nil {
		t.Fatal(err)
	}
	kms.Alias("alias/release", arn)
	for k, v := range kms.Env() {
		env = append(env, k+"="+v)
	}
	return env
}

// read reads the report into a result.
func (s *scene) read(t *testing.T, r *result) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.workspace(), "out", "report.json"))
	if err != nil {
		t.Fatalf("%v\n%s", err, r.printed)
	}
	var report struct {
		ExitCode int
		Error    *struct{ Code string }
		Subjects []struct {
			Spared   bool
			Findings []finding
		}
		Warnings []string
	}
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	if report.ExitCode != r.exit {
		t.Errorf("the report says exit code %d, the process %d\n%s", report.ExitCode, r.exit, r.printed)
	}
	var all []finding
	r.verified, r.warnings = r.exit == 0, strings.Join(report.Warnings, "\n")
	if report.Error != nil {
		all = append(all, finding{report.Error.Code, "failed"})
	}
	for _, sub := range report.Subjects {
		all, r.verified = append(all, sub.Findings...), r.verified && !sub.Spared
	}
	r.codes = codesOf(all)
}

type finding struct{ Code, Outcome string }

// codesOf returns the codes of what did not pass, or else those of everything.
func codesOf(all []finding) []string {
	var passed, other []string
	for _, f := range all {
		if f.Outcome == fault.Passed.String() {
			passed = append(passed, f.Code)
		} else {
			other = append(other, f.Code)
		}
	}
	if len(other) == 0 {
		other = passed
	}
	slices.Sort(other)
	return slices.Compact(other)
}

// check compares what has happened with what must happen.
func (s *scene) check(t *testing.T, surface string, got result) {
	t.Helper()
	verified := s.Want.Exit == 0
	if s.Want.Verified != nil {
		verified = *s.Want.Verified
	}
	if got.exit != s.Want.Exit || !slices.Equal(got.codes, s.Want.Codes) || got.verified != verified {
		t.Errorf("%s: exit code %d by %v, verified %v; want %d by %v, verified %v\n%s", surface, got.exit, got.codes, got.verified, s.Want.Exit, s.Want.Codes, verified, got.printed)
	}
	if letters := s.stranger.got(); len(letters) > 0 {
		t.Errorf("%s: another host got %q", surface, letters)
	}
	if surface == "gate" {
		return
	}
	if s.Want.Requests != nil && len(got.requests) != *s.Want.Requests {
		t.Errorf("%s: %d requests, want %d: %q", surface, len(got.requests), *s.Want.Requests, got.requests)
	}
	if !strings.Contains(got.warnings, s.Want.Warning) {
		t.Errorf("%s: the warnings %q lack %q", surface, got.warnings, s.Want.Warning)
	}
	for name, text := range s.Want.Files {
		got, err := os.ReadFile(filepath.Join(s.workspace(), name))
		if want := strings.Fields(s.expand(text)); err != nil || !slices.Equal(strings.Fields(string(got)), want) {
			t.Errorf("%s: %s is %q, want %q, %v", surface, name, got, want, err)
		}
	}
	for tag, ref := range s.Want.Tags {
		repo, name := split(tag)
		want := ""
		if ref != "" {
			want = s.digest(ref)
		}
		if rec := s.serve(http.MethodHead, "/v2/"+repo+"/manifests/"+name, "", nil); rec.Header().Get("Docker-Content-Digest") != want {
			t.Errorf("%s: the tag %s is %s, want %s (%s)", surface, tag, rec.Header().Get("Docker-Content-Digest"), want, ref)
		}
	}
}
