package cli_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/signgate/signgate/internal/cli"
	"github.com/signgate/signgate/internal/registry/registrytest"
	"github.com/signgate/signgate/internal/report"
)

// made is a report that the program has made.
type made struct {
	code int
	text []byte
	report.Report
}

// reportOf runs the program with -o json.
func reportOf(t *testing.T, env []string, args ...string) (m made) {
	t.Helper()
	var out, log bytes.Buffer
	m.code = cli.Main(t.Context(), cli.Process{Args: append(args, "--output", "json"), Environ: env, Stdout: &out, Stderr: &log, Version: "v1.2.3"})
	m.text = out.Bytes()
	if err := json.Unmarshal(m.text, &m.Report); err != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, out.Bytes(), log.Bytes())
	}
	return m
}

func reportSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile("../../docs/report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// workflow is the environment of a step.
func workflow(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"output", "summary"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{
		"GITHUB_ACTIONS=true", "GITHUB_OUTPUT=" + filepath.Join(dir, "output"), "GITHUB_STEP_SUMMARY=" + filepath.Join(dir, "summary"), "GITHUB_WORKSPACE=" + dir,
		"GITHUB_SERVER_URL=https://github.com", "GITHUB_REPOSITORY=acme/app", "GITHUB_RUN_ID=4711", "GITHUB_EVENT_NAME=release",
		"GITHUB_WORKFLOW_REF=acme/app/.github/workflows/release.yml@refs/tags/v1", "GITHUB_SHA=5f0c1d2e3a4b5c6d7e8f90a1b2c3d4e5f6071829",
	}
}

// TestReportSchema: what the program reports of runs of all kinds is what
// docs/report.schema.json describes.
func TestReportSchema(t *testing.T) {
	s := registrytest.Start(t, registrytest.Referrers)
	schema := reportSchema(t)
	key, pub := keyPair(t)
	_, other := keyPair(t)
	index := s.Host + "/app:1.0@" + s.PushIndex(t, "app:1.0", "linux/amd64", "linux/arm64")
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte("version: 1\nkeys:\n  release: {pem: "+pub+"}\nrules:\n  - match: [\""+s.Host+"/**\"]\n    require:\n      - {name: release, keys: [release]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		what    string
		code    int
		outcome string
		broken  bool // the registry answers 503
		args    []string
	}{
		{"dry run", 0, "passed", false, []string{"sign", "--key", key, "--dry-run", index}},
		{"sign", 0, "passed", false, []string{"sign", "--key", key, "--annotations", "env=prod", "--expires", "30d", index}},
		{"sign with trust", 0, "passed", false, []string{"sign", "--key", key, "--trusted-keys", pub, index}},
		{"verify", 0, "passed", false, []string{"verify", "--trusted-keys", pub, index}},
		{"verify by policy", 0, "passed", false, []string{"verify", "--policy", policy, index}},
		{"refused", 1, "refused", false, []string{"verify", "--trusted-keys", other, index}},
		{"absent", 1, "refused", false, []string{"verify", "--trusted-keys", other, s.Host + "/app:none"}},
		{"configuration", 2, "configuration", false, []string{"verify", "--trusted-keys", pub + ".none", index}},
		{"undecided", 3, "undecided", true, []string{"verify", "--trusted-keys", pub, "--retries", "0", index}},
	} {
		t.Run(tc.what, func(t *testing.T) {
			if tc.broken {
				s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
					w.WriteHeader(http.StatusServiceUnavailable)
					return true
				})
				defer s.Intercept(nil)
			}
			m := reportOf(t, workflow(t), tc.args...)
			if m.code != tc.code || m.ExitCode != tc.code || m.Outcome != tc.outcome {
				t.Errorf("exit code %d, want %d; the report says %d, %s", m.code, tc.code, m.ExitCode, m.Outcome)
			}
			if r := m.Subjects; tc.what == "verify by policy" && (r[0].Rule == nil || r[0].Rule.Policy != policy || len(r[0].Rule.SHA256) != 64) {
				t.Errorf("the policy decided as %+v", r[0].Rule)
			}
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(m.text))
			if err == nil {
				err = schema.Validate(v)
			}
			if err != nil {
				t.Errorf("%v\n%s", err, m.text)
			}
		})
	}
}

// TestReportSaysWhoDecided: a report names the run, its times, the rule with the
// policy's hash, the rule of each finding, and the keys whose evidence counted.
func TestReportSaysWhoDecided(t *testing.T) {
	s := registrytest.Start(t, registrytest.Referrers)
	key, pub := keyPair(t)
	ref := s.Host + "/app:1.0@" + s.Push(t, "app:1.0")
	signed := reportOf(t, workflow(t), "sign", "--key", key, ref)
	if r := signed.Subjects[0].Rule; r == nil || r.Name != "stored" || r.Policy != "" {
		t.Errorf("sign was decided by %+v", r)
	}
	m := reportOf(t, workflow(t), "verify", "--trusted-keys", pub, ref)
	subject := m.Subjects[0]
	if m.Run == nil || m.Run.RunID != "4711" || m.Run.Event != "release" || m.StartedAt.IsZero() || m.FinishedAt.Before(m.StartedAt) {
		t.Errorf("the run is %+v, from %s to %s", m.Run, m.StartedAt, m.FinishedAt)
	}
	if len(m.Keys) != 1 || m.Keys[0].Fingerprint != subject.Signatures[0].Fingerprint || !strings.Contains(m.Keys[0].PublicKey, "BEGIN PUBLIC KEY") {
		t.Errorf("the keys are %+v", m.Keys)
	}
	if subject.Rule == nil || subject.Rule.Name != "trusted-keys" || subject.Findings[0].Rule != "trusted-keys" {
		t.Errorf("decided by %+v: %+v", subject.Rule, subject.Findings)
	}
	if plain := reportOf(t, nil, "verify", "--trusted-keys", pub, ref); plain.Run != nil {
		t.Errorf("outside of a workflow the run is %+v", plain.Run)
	}
}

// TestHostileAnswers: nothing that a registry says gets to act, on a terminal,
// on the runner or in the summary.
func TestHostileAnswers(t *testing.T) {
	s := registrytest.Start(t, registrytest.Referrers)
	_, other := keyPair(t)
	const evil = "x\x1b[2J\x1b]8;;https://evil.example\x07\u202e`|<img src=x>@acme\n::error::forged\n##[error]forged"
	index := s.Host + "/app:1.0@" + s.PushIndex(t, "app:1.0", evil+"/"+evil)
	for _, broken := range []bool{false, true} {
		s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if !broken {
				return false
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]string{"code": evil, "message": evil}}})
			return true
		})
		env := workflow(t)
		var out, log bytes.Buffer
		if code := cli.Main(t.Context(), cli.Process{Args: []string{"verify", "--trusted-keys", other, index}, Environ: env, Stdout: &out, Stderr: &log, Version: "v1.2.3"}); code == 0 {
			t.Error("it passed")
		}
		if !broken && !strings.Contains(out.String()+log.String(), `\u001b[2J`) {
			t.Errorf("the platform is not shown:\n%s%s", out.String(), log.String())
		}
		summary, err := os.ReadFile(filepath.Join(filepath.Dir(strings.TrimPrefix(env[1], "GITHUB_OUTPUT=")), "summary"))
		if err != nil {
			t.Fatal(err)
		}
		for what, text := range map[string]string{"the output": out.String(), "the log": log.String(), "the summary": string(summary)} {
			if strings.ContainsAny(text, "\x1b\x07\u202e") || strings.Contains("\n"+text, "\n::error::forged") || what != "the summary" && strings.Contains(text, "##[") {
				t.Errorf("%s has a command in it:\n%q", what, text)
			}
		}
		if bytes.Contains(summary, []byte("<img")) && !bytes.Contains(summary, []byte("\\u0060\\u007c<img")) {
			t.Errorf("the summary has markup in it:\n%s", summary)
		}
	}
}
