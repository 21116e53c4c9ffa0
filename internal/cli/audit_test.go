package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/audit"
	"github.com/signgate/signgate/internal/registry/registrytest"
)

func auditEntries(t *testing.T, path string) []audit.Entry {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := audit.Check(bytes.NewReader(data)); err != nil || c.Problems != nil {
		t.Errorf("%v, %v", c.Problems, err)
	}
	var out []audit.Entry
	for line := range strings.Lines(string(data)) {
		var e audit.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func count(entries []audit.Entry, kind, outcome string) (n int) {
	for _, e := range entries {
		if e.Kind == kind && e.Outcome == outcome {
			n++
		}
	}
	return n
}

// TestAuditOfAnIndex: each payload of each manifest has a line of its own, all
// of them seen in the registry.
func TestAuditOfAnIndex(t *testing.T) {
	for _, mode := range []registrytest.Mode{registrytest.Referrers, registrytest.Fallback} {
		s := registrytest.Start(t, mode)
		key, _ := keyPair(t)
		ref := s.Host + "/app:1@" + s.PushIndex(t, "app:1", "linux/amd64", "linux/arm64")
		log := filepath.Join(t.TempDir(), "audit.jsonl")
		signgate(t, s, "sign", "--key", key, "--audit-log", log, ref)
		entries := auditEntries(t, log)
		if n := count(entries, audit.Signature, audit.Stored); n != 6 || len(entries) != 9 {
			t.Errorf("%s: %d of 6 signatures are stored, %d lines", mode, n, len(entries))
		}
	}
}

// TestAuditOfACancelledRun: what was signed has its line although the run was
// cancelled before it could look.
func TestAuditOfACancelledRun(t *testing.T) {
	s := registrytest.Start(t, registrytest.Referrers)
	key, _ := keyPair(t)
	ref := s.Host + "/app@" + s.Push(t, "app:1")
	log := filepath.Join(t.TempDir(), "audit.jsonl")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			cancel()
		}
		return false
	})
	if code, out := run(ctx, s, "sign", "--key", key, "--audit-log", log, ref); code != 3 {
		t.Errorf("exit code %d\n%s", code, out)
	}
	entries := auditEntries(t, log)
	if n := count(entries, audit.Signature, audit.Unconfirmed); n != 2 || len(entries) != 3 || entries[2].Outcome != "undecided" {
		t.Errorf("%+v", entries)
	}
}

// TestAuditThatCannotBeWritten: a run that has signed and cannot say so in the
// log has failed, and says both.
func TestAuditThatCannotBeWritten(t *testing.T) {
	s := registrytest.Start(t, registrytest.Referrers)
	key, pub := keyPair(t)
	ref := s.Host + "/app@" + s.Push(t, "app:1")
	log := filepath.Join(t.TempDir(), "audit.jsonl")
	s.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			_ = os.WriteFile(log, []byte(`{"version":1,"se`), 0o600)
		}
		return false
	})
	code, out := run(t.Context(), s, "sign", "--key", key, "--audit-log", log, "-o", "json", ref)
	if code != 2 || !strings.Contains(out, `"code": "audit_torn"`) || !strings.Contains(out, "what it signed stays signed") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	s.Intercept(nil)
	signgate(t, s, "verify", "--trusted-keys", pub, ref)
}
