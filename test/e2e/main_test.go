//go:build e2e

// Package e2e runs the action as users do: workflows by act against a Docker
// engine and a real registry, and the docker run line of GitHub's runner.
//
// test/setup/e2e.sh prepares what these tests need and runs them.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// howTo is the next step whenever something is missing.
const howTo = "run: test/setup/e2e.sh"

// ownImage is the action's image under a name that nobody else uses.
const ownImage = "signgate-test/action"

// The images that act builds for "uses: ./" and "uses: ./verify".
var actImages = []string{"act-dockeraction:latest", "act-verify-dockeraction:latest"}

func TestMain(m *testing.M) {
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	toolcache := exec.Command("docker", "volume", "inspect", "act-toolcache").Run() == nil
	code := m.Run()
	removeActImages()
	if !toolcache { // then it is act's, of this run
		_ = exec.Command("docker", "volume", "rm", "act-toolcache").Run()
	}
	os.Exit(code)
}

// prepare makes sure that an engine answers and that no image of an earlier
// run is taken for this checkout's.
func prepare() error {
	if err := exec.Command("docker", "version").Run(); err != nil {
		return fmt.Errorf("no Docker engine answers; %s", howTo)
	}
	// act does not know the contexts of the docker command.
	if os.Getenv("DOCKER_HOST") == "" {
		out, err := exec.Command("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}").Output()
		if err != nil {
			return fmt.Errorf("docker context inspect: %w", err)
		}
		os.Setenv("DOCKER_HOST", strings.TrimSpace(string(out)))
	}
	removeActImages()
	return nil
}

// removeActImages takes act's names from its images. One keeps another name, so
// that the engine keeps its layers for the next build.
func removeActImages() {
	_ = exec.Command("docker", "tag", actImages[0], ownImage).Run()
	for _, image := range actImages {
		_ = exec.Command("docker", "image", "rm", image).Run() // absent is fine
	}
}

// checkout is the root of the repository.
func checkout() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// peer returns the path of a tool that test/setup/peers.sh builds.
func peer(t *testing.T, name string) string {
	t.Helper()
	cache := os.Getenv("SIGNGATE_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(dir, "signgate")
	}
	path, err := filepath.EvalSymlinks(filepath.Join(cache, "peers", name))
	if err != nil {
		t.Fatalf("%s is not built: %v\n%s", name, err, howTo)
	}
	return path
}

// run runs a command and returns what it prints; a failure ends the test.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := command(t, time.Minute, name, args...).Output()
	if err != nil {
		stderr := ""
		if exit, ok := err.(*exec.ExitError); ok {
			stderr = string(exit.Stderr)
		}
		t.Fatalf("%s %s: %v\n%s%s", filepath.Base(name), strings.Join(args, " "), err, out, stderr)
	}
	return strings.TrimSpace(string(out))
}

// command returns a command that ends with the test, or when its time is over:
// by an interrupt, so that it can clean up, and a kill later.
func command(t *testing.T, limit time.Duration, name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// write writes a file, with its folders.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// want fails the test for each text that the output lacks.
func want(t *testing.T, output string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(output, text) {
			t.Errorf("the output lacks %q:\n%s", text, output)
		}
	}
}
