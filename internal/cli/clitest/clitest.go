// Package clitest adds to testscript what the scripts of the command line
// program and the action need: registries, keys, a fake KMS, a token.
package clitest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// Main runs the tests with the given programs where scripts find them. The
// commands signgate and action run them and check the exit code.
func Main(m *testing.M, signgate, action func()) {
	testscript.Main(m, map[string]func(){"signgate-bin": signgate, "action-bin": action})
}

// Params returns the parameters for the scripts in dir.
func Params(dir string) testscript.Params {
	return testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			runnerFiles(env)
			env.Values[serversKey{}] = map[string]*registrytest.Server{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"signgate": program("signgate-bin"),
			"action":   program("action-bin"),
			"registry": startRegistry,
			"push":     push,
			"break":    breakRegistry,
			"rival":    makeRival,
			"lose":     loseAnswer,
			"writes":   writes,
			"genkey":   genKey,
			"kms":      startKMS,
			"vault":    startVault,
			"google":   startGoogle,
			"softhsm":  makeToken,
			"faulty":   makeFaulty,
			"mistakes": checkMistakes,
			"tamper":   tamper,
			"put":      put,
			"forget":   func(ts *testscript.TestScript, _ bool, _ []string) { server(ts).Requests() },
			"setenv":   setenv,
			"freeze":   func(ts *testscript.TestScript, _ bool, _ []string) { server(ts).ImmutableTags(true) },
		},
	}
}

// program runs a program and checks its exit code:
//
//	signgate 1 verify …
func program(name string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) == 0 {
			ts.Fatalf("usage: %s exit-code args…", name)
		}
		want, err := strconv.Atoi(args[0])
		ts.Check(err)
		got := 0
		if err := ts.Exec(name, args[1:]...); err != nil {
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				ts.Fatalf("%s: %v", name, err)
			}
			got = exit.ExitCode()
		}
		if got != want {
			ts.Fatalf("exit code %d, want %d", got, want)
		}
	}
}

// startRegistry starts a registry and sets REG to its host:
//
//	registry referrers|fallback|token
func startRegistry(ts *testscript.TestScript, _ bool, args []string) {
	s := registrytest.Start(tb{ts}, registrytest.Mode(args[0]))
	ts.Setenv("REG", s.Host)
	servers(ts)[s.Host] = s
}

// setenv sets a variable to the content of a file, without the last newline:
//
//	setenv NAME file
func setenv(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSuffix(ts.ReadFile(args[1]), "\n"))
}

// runnerFiles makes what the runner gives to a step: its files and its facts.
// They count only where a script sets GITHUB_ACTIONS.
func runnerFiles(env *testscript.Env) {
	workspace := filepath.Join(env.WorkDir, "workspace")
	files := map[string]string{"GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary", "GITHUB_ENV": "env"}
	for name, file := range files {
		path := filepath.Join(env.WorkDir, file)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			panic(err)
		}
		env.Setenv(name, path)
	}
	if err := os.Mkdir(workspace, 0o755); err != nil {
		panic(err)
	}
	env.Setenv("GITHUB_WORKSPACE", workspace)
	env.Setenv("GITHUB_EVENT_NAME", "push")
	env.Setenv("GITHUB_REPOSITORY", "acme/app")
	env.Setenv("GITHUB_RUN_ID", "4711")
}

type serversKey struct{}

// servers returns the registries of a script by host.
func servers(ts *testscript.TestScript) map[string]*registrytest.Server {
	return ts.Value(serversKey{}).(map[string]*registrytest.Server)
}

func server(ts *testscript.TestScript) *registrytest.Server { return servers(ts)[ts.Getenv("REG")] }

// push pushes an image, or an index where platforms are given, and sets a
// variable to its digest:
//
//	push DIGEST app:1.0 [linux/amd64 …]
func push(ts *testscript.TestScript, _ bool, args []string) {
	s := server(ts)
	if len(args) > 2 {
		ts.Setenv(args[0], s.PushIndex(tb{ts}, args[1], args[2:]...))
	} else {
		ts.Setenv(args[0], s.Push(tb{ts}, args[1]))
	}
	s.Requests()
}

// writes checks how many writes the registry has seen since it was last asked:
//
//	writes 0
//
// forget begins to count anew.
func writes(ts *testscript.TestScript, _ bool, args []string) {
	if got := strconv.Itoa(server(ts).Writes()); got != args[0] {
		ts.Fatalf("the registry has seen %s writes, want %s", got, args[0])
	}
}

// tb is a script as registrytest.T.
type tb struct{ ts *testscript.TestScript }

func (t tb) Fatal(args ...any) { t.ts.Fatalf("%s", fmt.Sprint(args...)) }

func (t tb) Cleanup(f func()) { t.ts.Defer(f) }
