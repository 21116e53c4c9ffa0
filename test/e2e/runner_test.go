//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// runner replays what GitHub's runner does for a container action: its mounts,
// its variables, its docker run line (actions/runner,
// src/Runner.Worker/Handlers/ContainerActionHandler.cs).
type runner struct {
	image   string
	network string
	temp    string // RUNNER_TEMP of the host
	work    string // the workspace of the host
	owner   int    // whom the runner runs as
	socket  string // the engine's
}

// step is one step of a job.
type step struct {
	action string            // the path of the action's metadata
	inputs map[string]string // with:
	env    map[string]string // env:
}

// outcome is what the runner sees of a step.
type outcome struct {
	code    int
	log     string
	outputs map[string]string
	summary string
}

func newRunner(t *testing.T, image, network string) *runner {
	r := &runner{image: image, network: network, owner: os.Getuid(), socket: "/var/run/docker.sock"}
	if path, ok := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); ok {
		r.socket = path
	}
	if r.owner == 0 {
		r.owner = 1001 // GitHub's; root in the container is somebody else then
	}
	r.temp, r.work = filepath.Join(t.TempDir(), "_temp"), filepath.Join(t.TempDir(), "repo")
	for _, folder := range []string{r.work, r.temp, r.temp + "/_github_home", r.temp + "/_github_workflow", r.temp + "/_runner_file_commands"} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, r.temp+"/_github_workflow/event.json", "{}")
	// Another user's folder below a private one: the container's root enters it, as the runner's does.
	r.chown(t, r.work)
	r.chown(t, r.temp)
	return r
}

// chown gives a folder and what is in it to the runner's user.
func (r *runner) chown(t *testing.T, folder string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, r.owner, -1)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a step.
func (r *runner) run(t *testing.T, s step) outcome {
	t.Helper()
	action := readAction(t, s.action)
	env := r.variables()
	for name, value := range action.inputs(s.inputs) {
		env["INPUT_"+strings.ToUpper(strings.ReplaceAll(name, " ", "_"))] = value
	}
	for name, value := range s.env {
		env[name] = value
	}
	commands := r.temp + "/_runner_file_commands/"
	for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_STATE", "GITHUB_PATH"} {
		file := strings.ToLower(name) + "_" + filepath.Base(t.TempDir())
		write(t, commands+file, "")
		env[name] = commands + file
	}
	r.chown(t, commands)

	args := []string{"run", "--rm", "--label", "signgate-e2e", "--workdir", "/github/workspace", "--network", r.network}
	var environ []string
	for name, value := range env {
		args = append(args, "-e", name)
		environ = append(environ, name+"="+r.inside(value))
	}
	args = append(args, "-e", "GITHUB_ACTIONS=true", "-e", "CI=true",
		"-v", r.socket+":/var/run/docker.sock",
		"-v", r.temp+":/github/runner_temp",
		"-v", r.temp+"/_github_home:/github/home",
		"-v", r.temp+"/_github_workflow:/github/workflow",
		"-v", r.temp+"/_runner_file_commands:/github/file_commands",
		"-v", r.work+":/github/workspace",
		r.image)
	cmd := command(t, 2*time.Minute, "docker", append(args, action.Runs.Args...)...)
	cmd.Env = append(environ, "PATH="+os.Getenv("PATH"), "DOCKER_HOST="+os.Getenv("DOCKER_HOST"))
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	err := cmd.Run()
	if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() < 0 || exit.ExitCode() >= 125) {
		t.Fatalf("docker run: %v\n%s", err, log.String())
	}
	return outcome{cmd.ProcessState.ExitCode(), log.String(), readOutputs(t, env["GITHUB_OUTPUT"]), readFile(t, env["GITHUB_STEP_SUMMARY"])}
}

// variables are the runner's own for each step, with the host's paths.
func (r *runner) variables() map[string]string {
	return map[string]string{
		"HOME":               r.temp + "/_github_home",
		"GITHUB_JOB":         "release",
		"GITHUB_REF":         "refs/heads/main",
		"GITHUB_SHA":         strings.Repeat("1", 40),
		"GITHUB_REPOSITORY":  "octo/app",
		"GITHUB_RUN_ID":      "42",
		"GITHUB_RUN_ATTEMPT": "1",
		"GITHUB_ACTOR":       "octocat",
		"GITHUB_WORKFLOW":    "release",
		"GITHUB_EVENT_NAME":  "push",
		"GITHUB_SERVER_URL":  "https://github.com",
		"GITHUB_API_URL":     "https://api.github.com",
		"GITHUB_WORKSPACE":   r.work,
		"GITHUB_EVENT_PATH":  r.temp + "/_github_workflow/event.json",
		"GITHUB_ACTION":      "__self",
		"RUNNER_OS":          "Linux",
		"RUNNER_TEMP":        r.temp,
		"RUNNER_WORKSPACE":   filepath.Dir(r.work),
		"ACTIONS_RUNTIME_URL": "https://pipelines.actions.githubusercontent.com/" +
			"unreachable-from-here/",
	}
}

// inside rewrites a value that begins with a mapped host path, as the runner
// does: the longest path first, and only at the beginning.
func (r *runner) inside(value string) string {
	for _, m := range [][2]string{
		{r.temp + "/_github_home", "/github/home"},
		{r.temp + "/_github_workflow", "/github/workflow"},
		{r.temp + "/_runner_file_commands", "/github/file_commands"},
		{r.temp, "/github/runner_temp"},
		{r.work, "/github/workspace"},
	} {
		if rest, ok := strings.CutPrefix(value, m[0]); ok {
			return m[1] + rest
		}
	}
	return value
}

// action is the part of the metadata that the runner acts on.
type action struct {
	Inputs map[string]struct{ Default string }
	Runs   struct{ Args []string }
}

func readAction(t *testing.T, path string) (a action) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(readFile(t, filepath.Join(checkout(), path))), &a); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return a
}

// inputs returns all declared inputs with their defaults, and what was given:
// the runner passes on unknown ones too.
func (a action) inputs(given map[string]string) map[string]string {
	all := map[string]string{}
	for name, input := range a.Inputs {
		all[name] = strings.ReplaceAll(input.Default, "${{ github.token }}", "ghs_token")
	}
	for name, value := range given {
		all[name] = value
	}
	return all
}

// readOutputs reads a file of name<<delimiter, lines, delimiter.
func readOutputs(t *testing.T, path string) map[string]string {
	t.Helper()
	outputs := map[string]string{}
	lines := strings.Split(strings.TrimSuffix(readFile(t, path), "\n"), "\n")
	for len(lines) > 0 && lines[0] != "" {
		name, delimiter, ok := strings.Cut(lines[0], "<<")
		end := slices.Index(lines[1:], delimiter)
		if !ok || end < 0 {
			t.Fatalf("the outputs file has the line %q", lines[0])
		}
		outputs[name] = strings.Join(lines[1:1+end], "\n")
		lines = lines[end+2:]
	}
	return outputs
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
