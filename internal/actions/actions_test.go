package actions_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/actions"
	"github.com/signgate/signgate/internal/fault"
)

// runner returns a Runner in an environment, and its log.
func runner(env map[string]string) (*actions.Runner, *bytes.Buffer) {
	var log bytes.Buffer
	var environ []string
	for k, v := range env {
		environ = append(environ, k+"="+v)
	}
	return actions.New(func(k string) string { return env[k] }, environ, &log), &log
}

// inActions is runner with GITHUB_ACTIONS and an empty file for each variable.
func inActions(t *testing.T, env map[string]string, files ...string) (*actions.Runner, *bytes.Buffer, map[string]string) {
	t.Helper()
	all := map[string]string{"GITHUB_ACTIONS": "true"}
	for k, v := range env {
		all[k] = v
	}
	for _, name := range files {
		all[name] = filepath.Join(t.TempDir(), name)
		write(t, all[name], "")
	}
	r, log := runner(all)
	return r, log, all
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", code)
	}
	if got := fault.CodeOf(err); got != code {
		t.Fatalf("code %s, want %s: %v", got, code, err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error is not one line: %q", err)
	}
}

func TestOutsideActionsNothingIsWritten(t *testing.T) {
	r, log := runner(map[string]string{"GITHUB_OUTPUT": "/nonexistent", "GITHUB_EVENT_NAME": "issue_comment", "GITHUB_SHA": "x"})
	if r.Active() {
		t.Fatal("active")
	}
	if err := r.SetOutput("digest", "x"); err != nil {
		t.Error(err)
	}
	if err := r.AddSummary("# hello"); err != nil {
		t.Error(err)
	}
	r.Mask("secret")
	r.Error("t", "x")
	r.Debug("x")
	r.Group("g")()
	r.Finish()
	if log.Len() != 0 {
		t.Errorf("log %q", log)
	}
	if r.Trigger().Untrusted() || r.Run() != (actions.Run{}) {
		t.Error("run facts outside Actions")
	}
	r.Log().Write([]byte("::1 is loopback"))
	if log.String() != "::1 is loopback" {
		t.Errorf("log changed outside Actions: %q", log)
	}
}

func TestInputs(t *testing.T) {
	r, _ := runner(map[string]string{
		"INPUT_TRUSTED-KEYS": "\n a.pem \n b.pem\n",
		"INPUT_TRUSTED_KEYS": "typo",
		"INPUT_KEY":          "",
		"INPUT_key":          "other case",
		"INPUT_policy":       "by hand",
		"INPUT_":             "no name",
		"PATH":               "/bin",
	})
	values, variables := r.Inputs()
	want := map[string]string{"trusted-keys": "a.pem \n b.pem", "trusted_keys": "typo", "key": "", "policy": "by hand"}
	if !reflect.DeepEqual(values, want) {
		t.Errorf("values %q", values)
	}
	if variables["trusted-keys"] != "INPUT_TRUSTED-KEYS" || variables["key"] != "INPUT_KEY" || variables["policy"] != "INPUT_policy" {
		t.Errorf("variables %q", variables)
	}
}

func TestTrigger(t *testing.T) {
	for event, want := range map[string][2]bool{
		"push": {}, "workflow_dispatch": {}, "": {},
		"pull_request":        {false, true},
		"pull_request_review": {false, true},
		"pull_request_target": {true, false},
		"workflow_run":        {true, false},
		"issue_comment":       {true, false},
	} {
		r, _, _ := inActions(t, map[string]string{"GITHUB_EVENT_NAME": event})
		trigger := r.Trigger()
		if got := [2]bool{trigger.Untrusted(), trigger.PullRequest()}; got != want || trigger.Event != event {
			t.Errorf("%s: %v", event, got)
		}
	}
}

func TestRunHasOnlyWhatTheRunnerGives(t *testing.T) {
	r, _, _ := inActions(t, map[string]string{"GITHUB_REPOSITORY": "o/r", "GITHUB_REPOSITORY_ID": "7", "GITHUB_RUN_ATTEMPT": "2"})
	want := actions.Run{Repository: "o/r", RepositoryID: "7", RunAttempt: "2"}
	if got := r.Run(); got != want {
		t.Errorf("%+v", got)
	}
}
