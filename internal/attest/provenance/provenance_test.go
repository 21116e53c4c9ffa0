package provenance_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	proto "github.com/in-toto/attestation/go/predicates/provenance/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/attest/provenance"
	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	now    = time.Date(2026, 11, 22, 13, 30, 15, 999, time.FixedZone("", 3600))
	digest = "sha256:" + strings.Repeat("0a", 32)
)

// full is a run of which the runner says everything.
func full() envelope.Run {
	return envelope.Run{
		Server: "https://github.com", Repository: "acme/app", RepositoryID: "1", RepositoryOwnerID: "2",
		WorkflowRef: "acme/app/.github/workflows/release.yml@refs/tags/v1", WorkflowSHA: strings.Repeat("a", 40), SHA: strings.Repeat("a", 40),
		Ref: "refs/tags/v1", Event: "push", RunID: "71", RunAttempt: "2", RunnerEnvironment: "github-hosted",
	}
}

// read returns a predicate as its official message, and fails when that does not
// hold it or does not validate.
func read(t testing.TB, p attest.Predicate) *proto.Provenance {
	t.Helper()
	m := new(proto.Provenance)
	if err := protojson.Unmarshal(p.Body, m); err != nil {
		t.Fatalf("%v in %s", err, p.Body)
	}
	if err := m.Validate(); err != nil {
		t.Fatalf("%v in %s", err, p.Body)
	}
	return m
}

func TestPredicate(t *testing.T) {
	bare := envelope.Run{Server: "https://git.example.com/", Repository: "acme/app", WorkflowRef: "acme/app/.github/workflows/a.yml", RunID: "1"}
	required := full()
	required.WorkflowRef, required.WorkflowSHA = "acme/rules/.github/workflows/required.yml@refs/heads/main", strings.Repeat("b", 40)
	scheduled := full()
	scheduled.Event = "schedule"
	for name, tc := range map[string]struct {
		run   envelope.Run
		bases []provenance.Base
		notes int
	}{
		"full":      {full(), []provenance.Base{{Name: "debian:12", Digest: digest}, {Name: "localhost:5000/acme/base"}}, 0},
		"bare":      {bare, nil, 0},
		"required":  {required, nil, 0},
		"scheduled": {scheduled, nil, 1},
	} {
		p, err := provenance.Predicate(tc.run, tc.bases, now)
		if err != nil || p.Type != attest.Provenance || len(p.Notes) != tc.notes {
			t.Fatalf("%s: %v, %+v", name, err, p)
		}
		read(t, p)
		at, _ := gate.PredicateTime(p.Type, p.Body)
		if !at.Equal(now.Truncate(time.Second)) {
			t.Errorf("%s: the gate reads the time %s", name, at)
		}
		golden(t, "testdata/"+name+".json", p)
	}
}

func golden(t *testing.T, name string, p attest.Predicate) {
	t.Helper()
	if err := p.Body.Indent(); err != nil {
		t.Fatal(err)
	}
	got := string(p.Body) + "\n"
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(name); err != nil || got != string(want) {
		t.Errorf("%s differs (%v), which -update writes:\n%s", name, err, got)
	}
}

// TestUnavailable: there is no provenance of what is not known to be a run.
func TestUnavailable(t *testing.T) {
	for name, spoil := range map[string]func(*envelope.Run){
		"GITHUB_SERVER_URL":   func(r *envelope.Run) { r.Server = "" },
		"GITHUB_REPOSITORY":   func(r *envelope.Run) { *r = envelope.Run{Server: r.Server} },
		"GITHUB_RUN_ID":       func(r *envelope.Run) { r.RunID = "" },
		"GITHUB_WORKFLOW_REF": func(r *envelope.Run) { r.WorkflowRef = "" },
	} {
		run := full()
		spoil(&run)
		_, err := provenance.Predicate(run, nil, now)
		if fault.CodeOf(err) != "provenance_unavailable" || fault.OutcomeOf(err) != fault.Config || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "predicate-path") {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// TestNotUTF8: git allows refs that JSON does not.
func TestNotUTF8(t *testing.T) {
	run := full()
	run.Ref = "refs/heads/\xff"
	if p, err := provenance.Predicate(run, nil, now); fault.CodeOf(err) != "provenance_unavailable" || p.Body != nil {
		t.Errorf("%v, %s", err, p.Body)
	}
}

// TestWorkflow: paths and refs may hold "@" and more; what is read of them puts
// them together again.
func TestWorkflow(t *testing.T) {
	for _, tc := range []struct{ workflowRef, repository, path, ref string }{
		{"acme/app/.github/workflows/a.yml@refs/heads/main", "acme/app", ".github/workflows/a.yml", "refs/heads/main"},
		{"acme/app/.github/workflows/a@b.yml@refs/tags/@acme/pkg@1.0", "acme/app", ".github/workflows/a@b.yml", "refs/tags/@acme/pkg@1.0"},
		{"acme/app/.github/workflows/a.yml@refs/heads/x@refs/heads/y", "acme/app", ".github/workflows/a.yml", "refs/heads/x@refs/heads/y"},
		{"acme/app/.github/workflows/a@b.yml@0a0a", "acme/app", ".github/workflows/a@b.yml", "0a0a"},
		{"acme/app/.github/workflows/a.yml@refs/heads/ü#\"<%20", "acme/app", ".github/workflows/a.yml", "refs/heads/ü#\"<%20"},
		{"acme/app/.github/workflows/a.yml", "acme/app", ".github/workflows/a.yml", "refs/tags/v1"},
		{"other/rules/.github/workflows/a.yml@refs/heads/main", "other/rules", ".github/workflows/a.yml", "refs/heads/main"},
		{"a.yml", "acme/app", "", "refs/tags/v1"},
	} {
		run := full()
		run.WorkflowRef = tc.workflowRef
		p, err := provenance.Predicate(run, nil, now)
		if err != nil {
			t.Fatal(err)
		}
		m := read(t, p)
		w := m.BuildDefinition.ExternalParameters.Fields["workflow"].GetStructValue().AsMap()
		path, _ := w["path"].(string)
		if w["repository"] != "https://github.com/"+tc.repository || path != tc.path || w["ref"] != tc.ref {
			t.Errorf("%s: %v", tc.workflowRef, w)
		}
		if id := "https://github.com/" + tc.workflowRef; m.RunDetails.Builder.Id != id {
			t.Errorf("the builder is %s, want %s", m.RunDetails.Builder.Id, id)
		}
	}
}

// TestBasesAreReadBack: the gate reads the bases of a provenance, and takes one
// without a digest for a base that it does not know.
func TestBasesAreReadBack(t *testing.T) {
	for _, tc := range []struct {
		base       provenance.Base
		repository string
	}{
		{provenance.Base{Name: "debian:12", Digest: digest}, "docker.io/library/debian"},
		{provenance.Base{Name: "index.docker.io/library/debian", Digest: digest}, "docker.io/library/debian"},
		{provenance.Base{Name: "localhost:5000/a/b__c/d-e.f:1", Digest: digest}, "localhost:5000/a/b__c/d-e.f"},
		{provenance.Base{Name: "ghcr.io/acme/base:1@" + digest}, "ghcr.io/acme/base"},
		{provenance.Base{Name: "ghcr.io/acme/base:1"}, ""},
	} {
		p, err := provenance.Predicate(full(), []provenance.Base{tc.base}, now)
		if err != nil {
			t.Fatal(err)
		}
		v := envelope.Verified{PredicateType: p.Type, Predicate: p.Body}
		got := gate.ProvenBases([]envelope.Verified{v})
		if len(got) != 1 || got[0].Repository != tc.repository || tc.repository != "" && got[0].Digest != digest {
			t.Errorf("%+v: %+v from %s", tc.base, got, p.Body)
		}
	}
}

func TestBadBases(t *testing.T) {
	for _, tc := range []struct{ name, digest, code string }{
		{"no image", digest, "reference_invalid"},
		{"debian", "sha256:0a", "digest_invalid"},
		{"debian@" + digest, "sha256:" + strings.Repeat("0b", 32), "digest_invalid"},
	} {
		if _, err := provenance.Predicate(full(), []provenance.Base{{Name: tc.name, Digest: tc.digest}}, now); fault.CodeOf(err) != tc.code {
			t.Errorf("%+v: %v", tc, err)
		}
	}
}

// TestOnlyTheRun: what is secret in the environment cannot be in the predicate.
func TestOnlyTheRun(t *testing.T) {
	t.Setenv("GITHUB_TOKEN", "ghs_secret")
	t.Setenv("GITHUB_SHA", "ghs_secret")
	p, err := provenance.Predicate(full(), nil, now)
	if err != nil || strings.Contains(string(p.Body), "ghs_secret") {
		t.Errorf("%v: %s", err, p.Body)
	}
}
